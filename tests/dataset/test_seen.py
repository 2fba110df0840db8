"""The share of the test frames that the autoencoders were trained on, and where nobody knows it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout
from dfdm.catalogue.seen import autoencoder_saw
from dfdm.media.tracks import FaceTrack, TrackCounts
from dfdm.media.video import VideoRecord


def write_track(results: Path, scene_key: str, faces: int) -> None:
    record = VideoRecord(
        **{"scene_key": scene_key, "reference": {}, "sha256": "", "start": 0, "stop": faces, "width": 64, "height": 64},
        **{"stored_width": 64, "stored_height": 64, "pixel_format": "yuv420p", "rotation": 0, "rate": (25, 1)},
        **{"time_base": (1, 25), "start_seconds": 0.0, "duration_seconds": faces / 25, "pts": None, "matrix": None},
        **{"full_range": None, "primaries": None, "transfer": None, "audio": None},
    )
    index = np.arange(faces, dtype=np.int32)
    face = np.random.default_rng(0).uniform(16, 48, (68, 2)).astype(np.float32)  # within the frame, in no line
    points, boxes = np.stack([face] * faces), np.zeros((faces, 4), np.float32)
    counts = TrackCounts(frames=faces, with_face=faces, several_faces=0, cuts=0)
    track = FaceTrack(record, index, points, boxes, np.ones(faces, np.float32), np.zeros(faces, np.int32), counts)
    path = Path(Layout(str(results)).track(scene_key))
    path.parent.mkdir(parents=True, exist_ok=True)
    track.save(path)


def test_all_frames_but_the_last_held_out_share_of_each_scene_were_seen(demo: Config, tmp_path: Path) -> None:
    for key in demo.scene_keys:
        write_track(tmp_path, key, 40)
    assert demo.settings("iae").held_out == 0.1
    rows = pd.DataFrame({"name": ["id0_id1_0000_iae", "id1_id0_0002_iae", "id0_0000_real"]})
    rows = rows.assign(model=["iae", "iae", "real"], config_hash="x")
    assert autoencoder_saw(rows, demo, tmp_path) == pytest.approx(0.9)  # whatever part of the split they are in


def test_it_is_not_known_of_originals_alone_and_of_data_made_elsewhere(demo: Config, tmp_path: Path) -> None:
    real = pd.DataFrame({"name": ["id0_0000_real"], "model": ["real"], "config_hash": ["x"]})
    assert autoencoder_saw(real, demo, tmp_path) is None
    swaps = pd.DataFrame({"name": ["id0_id1_0000_iae"], "model": ["iae"]})
    assert autoencoder_saw(swaps, demo, tmp_path) is None
