"""What is in a results folder, read for the report; whatever is absent is noted in a list of what is missing."""

import os
import platform
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from attribution import models as classifiers
from dfdm.base.files import reading
from dfdm.base.machine import cpu_model
from dfdm.base.names import VideoName
from dfdm.base.records import checked
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout, originals_of, videos_of
from dfdm.dataset.sidecar import Sidecar
from dfdm.dataset.splits import read_rows
from dfdm.media.encoding import ffmpeg_version
from dfdm.media.tracks import FaceTrack
from dfdm.report.times import RuleTime, read_times
from generators import models

Content = TypeVar("Content")
PACKAGES = ("dfdm-pipeline", "torch", "torchvision", "numpy", "opencv-python-headless", "av", "snakemake")


@dataclass(frozen=True)
class EncodedVideo:
    """One video of the dataset on disk; `frames` is None where its sidecar is missing."""

    name: VideoName
    path: Path
    bytes: int
    frames: int | None


@dataclass(frozen=True)
class Results:
    """Everything found for a config's run; `missing` says in words what was not."""

    layout: Layout
    videos: dict[tuple[str, int], EncodedVideo]  # (name, crf)
    tracks: dict[str, FaceTrack]  # scene key
    losses: dict[tuple[str, str], pd.DataFrame]  # (pair, model)
    manifest: pd.DataFrame | None
    times: list[RuleTime]
    missing: list[str]


def read_or_note(read: Callable[[Path], Content], file: str, what: str, missing: list[str]) -> Content | None:
    """What a file contains; where there is none, `what` is added to `missing`."""
    if Path(file).exists():
        return read(Path(file))
    missing.append(what)
    return None


def read_results(cfg: Config, results: Path) -> Results:
    """Read a results folder as far as it goes.

    Raises DfdmError for a file that is there and damaged.
    """
    layout, missing = Layout(str(results)), list[str]()
    videos, tracks = _videos(cfg, layout, missing), dict[str, FaceTrack]()
    losses: dict[tuple[str, str], pd.DataFrame] = {}
    for key in (scene.scene_key for scene in originals_of(cfg)):
        track = read_or_note(FaceTrack.load, layout.track(key), f"face track of {key} (stage faces)", missing)
        tracks |= {} if track is None else {key: track}
    for pair, model in product(cfg.pairs, cfg.models):
        file, what = layout.training_file(pair, model, "loss.csv"), f"loss log of {model} for {pair} (stage train)"
        log = read_or_note(read_losses, file, what, missing)
        losses |= {} if log is None or log.empty else {(pair, model): log}
    file, what = layout.manifest("dataset"), "the dataset's manifest (stage dataset)"
    manifest = read_or_note(_manifest, file, what, missing)
    return Results(layout, videos, tracks, losses, manifest, read_times(layout), missing)


def read_table(path: Path, columns: Sequence[str], stage: str, **format: Any) -> pd.DataFrame:
    """A table of numbers that a stage wrote, compared with its record; DfdmError where one of the columns is none."""
    with reading(path, "not a readable table", f"run {stage}"):
        table = pd.read_csv(path, **format)
        if missing := [name for name in columns if name not in table]:
            raise ValueError(f"it has no column {missing[0]}")
        table[list(columns)].astype(float)
    checked(path)
    return table


def read_losses(path: Path) -> pd.DataFrame:
    """The loss log of an autoencoder."""
    return read_table(path, ("iteration", "loss_a", "loss_b"), "the stage train")


def _manifest(path: Path) -> pd.DataFrame:
    return read_rows(path, ("name", "model", "split_scene", "split_identity"))


def _videos(cfg: Config, layout: Layout, missing: list[str]) -> dict[tuple[str, int], EncodedVideo]:
    found: dict[tuple[str, int], EncodedVideo] = {}
    absent: dict[tuple[str, int], list[str]] = defaultdict(list)
    for video in videos_of(cfg, "dataset"):
        name, crf = video.name, video.crf
        path = Path(layout.video(name.clip, name.model, crf))
        if not path.exists():
            absent[name.model, crf].append(str(name))
            continue
        sidecar = Path(layout.sidecar(name.clip, name.model, crf))
        frames = Sidecar.read(sidecar).frames if sidecar.exists() else None
        found[str(name), crf] = EncodedVideo(name, path, path.stat().st_size, frames)
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
