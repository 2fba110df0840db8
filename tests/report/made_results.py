"""A results folder with everything that the page shows, made up: two clips, five models, two qualities."""

import math
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd

from attribution.openset import NONE
from dfdm.base.names import VideoName
from dfdm.catalogue import config
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout, originals_of, videos_of
from dfdm.catalogue.schedule import main_runs
from dfdm.dataset.sidecar import provenance, write_sidecar
from dfdm.media.tracks import FaceTrack, TrackCounts
from dfdm.media.video import probe
from tests.report.made_up import write_score

MODELS = ["faceswap", "lightweight", "iae", "dfaker", "dfl_h128"]
FRAMES, WIDTH, HEIGHT = 12, 192, 128
BITS, BLOCK = 8, 24  # the frame's number in white and black squares along the upper edge
HOSTILE = "<script>alert('consent')</script> & \"so\""


def person(note: str = "") -> dict:
    return {
        "licence": "made by the test",
        "consent": HOSTILE,
        "note": note,
        "scenes": {"0001": {"path": "a.mp4"}, "0002": {"path": "b.mp4"}},
    }


def made_config() -> Config:
    return config.load(
        {
            "sources": {"people": {"id0": person(), "id1": person("a <note>")}},
            "swaps": ["id0_id1_0001", "id1_id0_0002"],
            "faces": {"predictor": {"path": "landmarks.dat"}},
            "crf": [0, 23],
            "models": dict.fromkeys(MODELS),
            "train": {"held_out": 0.5},
        }
    )


def face_points(turn: float = 0.0, centre: tuple[float, float] = (90, 60), size: float = 50) -> np.ndarray:
    """68 landmarks of an upright face about `size` px wide, turned by `turn` degrees."""
    angles = np.linspace(math.pi, 0, 17)
    jaw = np.stack([0.5 + 0.55 * np.cos(angles), 0.3 + 0.75 * np.sin(angles)], 1)
    brows = [(x, 0.05) for x in (0.03, 0.12, 0.22, 0.32, 0.41, 0.59, 0.68, 0.78, 0.88, 0.97)]
    nose = [(0.5, y) for y in (0.2, 0.3, 0.4, 0.5)] + [(x, 0.6) for x in (0.38, 0.44, 0.5, 0.56, 0.62)]
    eye = [(-0.1, 0), (-0.04, -0.04), (0.04, -0.04), (0.1, 0), (0.04, 0.03), (-0.04, 0.03)]
    eyes = [(cx + x, 0.22 + y) for cx in (0.22, 0.78) for x, y in eye]
    mouth = [(0.5 + 0.2 * math.cos(a), 0.82 + 0.08 * math.sin(a)) for a in np.linspace(0, 6, 20)]
    points = (np.concatenate([jaw, brows, nose, eyes, mouth]) - 0.5) * size
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    return (points @ np.array([[cos, sin], [-sin, cos]]) + centre).astype(np.float32)


def video_path(results: Path, name: VideoName, crf: int) -> Path:
    return Path(Layout(str(results)).video(name.clip, name.model, crf))


def write_video(path: Path, level: int, frames: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "crf": "10"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(frames):
            rgb = np.full((HEIGHT, WIDTH, 3), level, np.uint8)
            for bit in range(BITS):
                rgb[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = 235 if index >> bit & 1 else 16
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode())


def make_results(cfg: Config, root: Path, frames: int = FRAMES) -> Path:
    """Faces lie in all frames but the first two; the classifier names the generators that `write_predictions` says."""
    for video in videos_of(cfg, "dataset"):
        path = video_path(root, video.name, video.crf)
        write_video(path, 60 + 20 * ["real", *MODELS].index(video.name.model), frames)
        if video.name.face_id:  # the frame's number in the mask too
            write_video(Path(Layout(str(root)).changed(video.name.clip, video.name.model)), 16, frames)
    tracks = {}
    for key in ("id0_0001", "id1_0002"):
        source = video_path(root, originals_of(cfg)[0], 0)
        index = np.arange(2, frames, dtype=np.int32)
        points = np.stack([face_points()] * len(index))
        boxes = np.concatenate([points.min(1), points.max(1)], 1)
        ones = np.ones(len(index), np.float32)
        counts = TrackCounts(frames=frames, with_face=len(index), several_faces=1, cuts=0)
        segment = np.zeros(len(index), np.int32)
        record = probe(source, key, {"path": "a.mp4"})
        tracks[key] = FaceTrack(record, index, points, boxes, ones, segment, counts)
        tracks[key].save(root / "faces" / f"{key}.npz")
    for video in videos_of(cfg, "dataset"):
        track, inputs = tracks[video.name.scene_key], dict.fromkeys(("video", "track", "checkpoint", "master"), "0")
        write_sidecar(video_path(root, video.name, video.crf), track, provenance(video, {}, inputs, track))
    for model in MODELS:
        folder = root / "train" / "id0_id1" / model
        folder.mkdir(parents=True)
        steps = np.arange(1, 101)
        log = pd.DataFrame({"iteration": steps, "loss_a": 1 / steps, "loss_b": 2 / steps})
        log.to_csv(folder / "loss.csv", index=False)
        cv2.imwrite(str(folder / "preview.png"), np.full((64, 320, 3), 90, np.uint8))
    for run in main_runs(cfg):
        write_predictions(cfg, write_score(root, run, int(run.crf), MODELS, accuracy=0.9).parent)
    bench = root / "benchmarks" / "render"
    bench.mkdir(parents=True)
    (bench / "x.tsv").write_text("s\th:m:s\tmax_rss\n61.5\t0:01:01\t250.0\n")
    (bench / "y.tsv").write_text("s\th:m:s\tmax_rss\n3.5\t0:00:03\t-\n")
    return root


def write_predictions(cfg: Config, folder: Path) -> None:
    """Of id0_id1_0001 every generator is named, of id1_id0_0002 the next in the list is."""
    names = [VideoName(clip.video_id, clip.face_id, clip.scene, model) for clip in cfg.clips for model in MODELS]
    table = pd.DataFrame({"name": map(str, names), "truth": [name.model for name in names]})
    shares = np.full((len(names), len(MODELS)), 0.05)
    for row, name in enumerate(names):
        shares[row, (MODELS.index(name.model) + (name.video_id == "id1")) % len(MODELS)] = 0.8
    table[[f"p_{model}" for model in MODELS]] = shares
    table["verdict"] = [MODELS[row] for row in shares.argmax(1)]
    table.loc[0, "verdict"] = NONE
    table.to_parquet(folder / "predictions.parquet", index=False)
