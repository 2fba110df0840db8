"""A folder with a config, tiny videos without a face's picture, and one small file of every kind that a run makes."""

import json
import os
import shutil
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import yaml

from attribution.run import Run
from dfdm.catalogue.config import load
from dfdm.media.alignment import MEAN_FACE
from dfdm.media.tracks import FaceTrack, TrackCounts
from dfdm.media.video import VideoRecord
from tests.commands import ran
from tests.report import made_up

ROOT = Path(__file__).parent.parent
SCENES = {"id0": ["0000", "0001", "0002"], "id1": ["0000"]}
SIDE, FRAMES = 96, 12
MODELS = ["iae", "dfaker"]
WIDTH = 0.03125
TRAINED = "results/attribution/meso_inception4/scene/crf23/seed0"


def values() -> dict[str, Any]:
    """The config of the folder, as plain values."""
    whole = yaml.safe_load((ROOT / "config.yaml").read_text())
    return {
        "device": "cpu",
        "results": "results",
        "sources": {
            "root": "videos",
            "packages": {"face_recognition_models": whole["sources"]["packages"]["face_recognition_models"]},
            "people": {
                person: {
                    "licence": "made up",
                    "consent": "nobody is shown",
                    "scenes": {scene: {"path": f"{person}_{scene}.mp4"} for scene in scenes},
                }
                for person, scenes in SCENES.items()
            },
        },
        "swaps": ["id0_id1"],
        "crf": [0, 23],
        "faces": {"predictor": whole["faces"]["predictor"]},
        "models": {model: None for model in MODELS},
        "train": {"width": WIDTH, "iterations": 2, "batch": 2},
        "encode": {"preset": "ultrafast"},
        "splits": {"scene": {"train": ["id0_0000"], "validation": ["id0_0001"], "test": ["id0_0002"]}},
        "attribution": {
            **{"model": "meso_inception4", "resize": 40, "size": 32, "clip": 4, "test_clips": 2, "batch": 4},
            **{"epochs": 1, "threads": 1},
        },
        "comparison": {"classifiers": {"meso_inception4": None, "residual_dct": None}, "crf": 23, "seeds": [0]},
        "controls": {"classifiers": ["meso_inception4"]},
    }


def write_video(path: Path, seed: int, frames: int = FRAMES) -> None:
    """A tiny video of moving noise."""
    import av

    random = np.random.default_rng(seed)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"preset": "ultrafast", "qp": "0"})
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        picture = random.integers(60, 190, (SIDE * 3 // 2, SIDE), np.uint8)
        for index in range(frames):
            planes = np.ascontiguousarray(np.roll(picture, index, axis=0))
            out.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        out.mux(stream.encode(None))


def landmarks(frames: int) -> np.ndarray:
    """A face in the middle that moves a little: float32 [frames, 68, 2]."""
    angle = np.linspace(np.pi, 0, 17)
    jaw = np.stack([0.5 + 0.6 * np.cos(angle), 0.25 + 0.9 * np.sin(angle)], 1)
    face = np.concatenate([jaw, MEAN_FACE]) * 40 + 26
    return (face[None] + np.sin(np.arange(frames))[:, None, None]).astype(np.float32)


def write_track(path: Path, record: VideoRecord) -> None:
    """The track of a scene, a face in every frame."""
    points, count = landmarks(record.frames), record.frames
    boxes = np.concatenate([points.min(1), points.max(1)], 1)
    steps, ones = np.arange(count, dtype=np.int32), np.ones(count, np.float32)
    counts = TrackCounts(count, count, 0, 0)
    FaceTrack(record, steps, points, boxes, ones, np.zeros(count, np.int32), counts).save(path)


def _checkpoints() -> None:
    """Autoencoders of random weights, their loss logs and a training state."""
    import torch

    from dfdm.base.states import save_state
    from generators import checkpoint
    from generators.models import build
    from generators.settings import TrainConfig

    settings = TrainConfig(width=WIDTH)
    for model in MODELS:
        torch.manual_seed(0)
        folder = Path(f"results/train/id0_id1/{model}")
        net = build(model, WIDTH)
        about = checkpoint.describe(net, model, ("id0", "id1"), settings, 2, "0" * 64)
        checkpoint.save(folder / "model.safetensors", net, about)
        (folder / "loss.csv").write_text("iteration,loss_a,loss_b,lr\n1,0.5,0.6,0.001\n2,0.4,0.5,0.001\n")
    state = {"model": net.state_dict(), "of": {"model": model, "width": WIDTH}, "step": 2, "key": "0" * 64}
    save_state(Path("state.pt"), state)


def _classifier() -> None:
    """A classifier of random weights with the files beside it, and its scores."""
    import pandas as pd
    import torch

    from attribution import models
    from attribution.results import Speed, Tried, Tune
    from dfdm.base.tensorfile import write_weights

    cfg = load(Path("config.yaml"))
    settings, classes = cfg.classifier("meso_inception4"), cfg.classes
    torch.manual_seed(0)
    net = models.build(settings.model, len(classes), settings.depth, settings.clip)
    tensors = {name: value.contiguous().numpy() for name, value in net.state_dict().items()}
    run = Run("meso_inception4", "scene", "23", 0)
    about = made_up.training(run, classes).model_copy(update={"settings": settings.model_dump()})
    write_weights(Path(TRAINED, "model.safetensors"), tensors, {**about.plain(), "key": "0" * 64})
    about.write(Path(TRAINED, "training.json"))
    Speed(clips_per_second=2.0, seconds=3.0, device="cpu").write(Path(TRAINED, "speed.json"))
    tried = [Tried(lr=0.001, validation_accuracy=0.5, validation_loss=1.0)]
    tune = Tune(classifier="meso_inception4", lr=0.001, epochs=1, crf="23", tried=tried)
    tune.write("results/attribution/meso_inception4/tune.json")
    for crf in (0, 23):
        own = Run("meso_inception4", "scene", str(crf), 0)
        path = made_up.write_score(Path("results"), own, crf, classes)
        lines = [(f"id0_id1_0002_{model}", model, model, model) for model in MODELS]
        table = pd.DataFrame(lines, columns=["name", "truth", "predicted", "verdict"])
        table[[f"p_{name}" for name in classes]] = 0.5
        table.to_parquet(path.with_name("predictions.parquet"))
        made_up.write_controls(Path("results"), crf, "meso_inception4", classes)
    made_up.write_comparison(
        Path("results"), cfg, [made_up.entry("meso_inception4", 0.5), made_up.entry("residual_dct", 0.6)]
    )


def _evaluation() -> None:
    from generators.results import Evaluation

    path = Path("results/evaluate/id0_id1/iae.json")
    one = {"frames": 2, "ssim": 0.7, "psnr": 20.0}
    swap = {
        **{"video_id": "id0", "face_id": "id1", "clips": ["id0_id1_0000"], "frames": 2, "frames_without_landmarks": 0},
        **dict.fromkeys(("identity", "landmark_error", "eyes", "flicker", "sharpness", "edge_colour", "colour_error")),
        "perfect": None,
    }
    Evaluation.of(
        {
            "model": "iae",
            "pair": ("id0", "id1"),
            "computed_on": {},
            "reconstruction": {"id0": one, "id1": one},
            "references": None,
            "swaps": [swap],
        },
        path,
    ).write(path)


def build(folder: Path) -> None:
    """Make everything, by the commands where they are quick; no file has a record, so all count as made elsewhere."""
    (folder / "videos").mkdir(parents=True)
    before = Path.cwd()
    os.chdir(folder)
    try:
        with patch.dict(os.environ, {"DFDM_NO_RECORDS": "1"}):
            _build()
    finally:
        os.chdir(before)


def _build() -> None:
    Path("config.yaml").write_text(yaml.safe_dump(values(), sort_keys=False))
    shutil.copy(ROOT / "dfdm/plan/rates.json", "rates.json")
    shutil.copytree(ROOT / "workflow/profiles/default", "profile")
    seed = 0
    for person, scenes in SCENES.items():
        for scene in scenes:
            seed, key = seed + 1, f"{person}_{scene}"
            write_video(Path(f"videos/{key}.mp4"), seed)
            ran("sources", "probe", "--scene", key, "--out", f"results/sources/{key}.json")
            write_track(Path(f"results/faces/{key}.npz"), VideoRecord.read(f"results/sources/{key}.json"))
    _checkpoints()
    for scene in SCENES["id0"]:
        track = ("--track", f"results/faces/id0_{scene}.npz")
        for model in ["real", *MODELS]:
            name = f"id0_{scene}_real" if model == "real" else f"id0_id1_{scene}_{model}"
            master, lossy = (f"results/dataset/DFDM_crf{crf}/{model}/{name}.mp4" for crf in (0, 23))
            if model == "real":
                ran("original", *track, "--out", master)
            else:
                weights = f"results/train/id0_id1/{model}/model.safetensors"
                ran("render", *track, "--checkpoint", weights, "--out", master)
            ran("encode", "--master", master, *track, "--out", lossy)
            for crf, video in ((0, master), (23, lossy)):
                ran("crops", "--video", video, *track, "--out", f"results/crops/crf{crf}/{model}/{name}.safetensors")
    for target in ("dataset", "crf0", "crf23"):
        ran("manifest", "--target", target, "--out", f"results/manifests/{target}.parquet")
    masters = [f"results/dataset/DFDM_crf0/{model}/id0_id1_0000_{model}.mp4" for model in MODELS]
    original = "results/dataset/DFDM_crf0/real/id0_0000_real.mp4"
    region = ("--track", "results/faces/id0_0000.npz", "--out", "results/regions/id0_id1_0000.safetensors")
    ran("region", "--clip", "id0_id1_0000", "--masters", *masters, "--original", original, *region)
    weights, made = "results/train/id0_id1/iae/model.safetensors", "results/masks/iae/id0_id1_0000_iae.mp4"
    ran("masks", "--master", masters[0], "--original", original, *region[:2], "--checkpoint", weights, "--out", made)
    _classifier()
    _evaluation()
    ran("weights", "export", "results/train/id0_id1/iae/model.safetensors", "--out", "iae.npz")
    Path("iae_state.json").write_text(json.dumps({"config": {"centering": "face", "coverage": 87.5}}))
    benchmarks = Path("results/benchmarks/train")
    benchmarks.mkdir(parents=True)
    (benchmarks / "id0_id1.tsv").write_text("s\th:m:s\tmax_rss\tcpu_time\n1.5\t0:00:01\t100.0\t1.2\n")


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder and its content, without the locks, which stay."""
    every = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in ("lock", ".lock"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in every}


def restore(folder: Path, content: dict[str, bytes]) -> None:
    """Bring a folder back to what `files` gave of it."""
    for name, found in files(folder).items():
        if content.get(name) != found:
            (folder / name).unlink()
    for name, wanted in content.items():
        if not (folder / name).is_file():
            if (folder / name).parent.is_file():
                (folder / name).parent.unlink()
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(wanted)
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
        elif not path.is_file() and not path.is_dir():
            path.unlink()
