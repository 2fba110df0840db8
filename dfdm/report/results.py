"""What lies in a results folder, read for the report; whatever is absent is noted in a list of what is missing."""

import os
import platform
from collections import defaultdict
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TypeVar

import pandas as pd

from attribution import models as classifiers
from dfdm.base.machine import cpu_model
from dfdm.base.names import VideoName
from dfdm.base.stored import Stored
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout, originals_of, videos_of
from dfdm.dataset.sidecar import Sidecar
from dfdm.media.encoding import ffmpeg_version
from dfdm.media.tracks import FaceTrack
from dfdm.report.times import RuleTime, read_times
from generators import models

Read = TypeVar("Read", bound=Stored)
PACKAGES = ("dfdm-pipeline", "torch", "torchvision", "numpy", "opencv-python-headless", "av", "snakemake")


@dataclass(frozen=True)
class EncodedVideo:
    """One video of the dataset on disk; `frames` is None where its sidecar is missing."""

    name: VideoName
    crf: int
    path: Path
    bytes: int
    frames: int | None


@dataclass(frozen=True)
class Results:
    """Everything found for a config's run; `missing` says in words what was not."""

    videos: dict[tuple[str, int], EncodedVideo]  # (name, crf)
    tracks: dict[str, FaceTrack]  # scene key
    losses: dict[tuple[str, str], pd.DataFrame]  # (pair, model)
    previews: dict[tuple[str, str], Path]
    manifest: pd.DataFrame | None
    times: list[RuleTime]
    missing: list[str]


def found_or_noted(kind: type[Read], file: str, what: str, missing: list[str]) -> Read | None:
    """A result file; where there is none, `what` and the stage that makes it are added to `missing`."""
    if Path(file).exists():
        return kind.read(file)
    missing.append(f"{what} (stage {kind.stage})")
    return None


def read_results(cfg: Config, results: Path) -> Results:
    """Read a results folder as far as it goes.

    Raises DfdmError for a file that is there and damaged.
    """
    layout, missing = Layout(str(results)), list[str]()
    videos = _videos(cfg, layout, missing)
    tracks = {}
    for scene in originals_of(cfg):
        path = Path(layout.track(scene.scene_key))
        if path.exists():
            tracks[scene.scene_key] = FaceTrack.load(path)
        else:
            missing.append(f"face track of {scene.scene_key} (stage faces)")
    losses: dict[tuple[str, str], pd.DataFrame] = {}
    previews: dict[tuple[str, str], Path] = {}
    for pair in cfg.pairs:
        for model in cfg.models:
            log = Path(layout.training_file(pair, model, "loss.csv"))
            preview = Path(layout.training_file(pair, model, "preview.png"))
            if log.exists():
                losses[pair, model] = pd.read_csv(log)
            else:
                missing.append(f"loss log of {model} for {pair} (stage train)")
            if preview.exists():
                previews[pair, model] = preview
    manifest_path = Path(layout.manifest("dataset"))
    manifest = pd.read_parquet(manifest_path) if manifest_path.exists() else None
    if manifest is None:
        missing.append("the dataset's manifest (stage dataset)")
    return Results(videos, tracks, losses, previews, manifest, read_times(layout), missing)


def _videos(cfg: Config, layout: Layout, missing: list[str]) -> dict[tuple[str, int], EncodedVideo]:
    found: dict[tuple[str, int], EncodedVideo] = {}
    absent: dict[tuple[str, int], list[str]] = defaultdict(list)
    for name, crf in ((video.name, video.crf) for video in videos_of(cfg, "dataset")):
        path = Path(layout.video(name.clip, name.model, crf))
        if not path.exists():
            absent[name.model, crf].append(str(name))
            continue
        sidecar = Path(layout.sidecar(name.clip, name.model, crf))
        frames = Sidecar.read(sidecar).frames if sidecar.exists() else None
        found[str(name), crf] = EncodedVideo(name, crf, path, path.stat().st_size, frames)
    for (model, crf), names in absent.items():
        shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
        missing.append(f"videos of {model} at crf {crf} (stage dataset): {shown}")
    return found


def versions(cfg: Config) -> dict[str, str]:
    """Python, the packages that matter, ffmpeg and the CPU of the machine that builds the report."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    brought = [models.package(name) for name in cfg.models]
    brought += [classifiers.package(cfg.classifier(name).model) for name in cfg.classifier_names]
    found |= dict(package["package"].split() for package in brought if package)
    found["ffmpeg"] = ffmpeg_version().removeprefix("ffmpeg version ")
    found["cpu"] = f"{cpu_model()}, {os.cpu_count()} cores seen"
    return found
