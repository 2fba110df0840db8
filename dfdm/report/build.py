"""The report: one self-contained HTML file of whatever a results folder contains."""

import datetime
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import cv2
import jinja2
import pandas as pd

from dfdm.base import palette
from dfdm.base.errors import DfdmError
from dfdm.base.files import atomic
from dfdm.base.names import REAL, people_of
from dfdm.base.progress import duration
from dfdm.base.text import decimal, listed, multiples, percent, size_text
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import videos_of
from dfdm.dataset.splits import PARTS
from dfdm.report import figures, pictures
from dfdm.report.attribution import CONTROL_FIGURES, NAMED, bounds_text, read_attribution
from dfdm.report.clips import chosen_clips, clip_views
from dfdm.report.evaluation import FIGURES, read_evaluations, table, warnings
from dfdm.report.results import Results, read_results, versions

MOST_PAIRS = 12  # trainings shown; an even choice beyond


@dataclass
class Holding:
    """Videos of one model at one quality: how many there are, how many the config asks for, bytes and frames."""

    videos: int = 0
    expected: int = 0
    bytes: int = 0
    frames: int = 0


@dataclass(frozen=True)
class Training:
    """One pair's trainings: curves, the log's last line by model, preview sheets."""

    pair: str
    chart: str | None
    last: dict[str, pd.Series]
    previews: dict[str, str]


def build(cfg: Config, results: Path, out: Path) -> None:
    """Write the report of a results folder to `out`, an HTML file that loads nothing from anywhere.

    What the config asks for and the folder does not have is listed in it. Raises DfdmError for a damaged file.
    """
    found = read_results(cfg, results)
    evaluations = read_evaluations(cfg, results, found.missing)
    text = _template().render(
        cfg=cfg,
        now=datetime.datetime.now().astimezone(),
        found=found,
        clips=list(clip_views(cfg, found)),
        chosen_count=len(chosen_clips(cfg)),
        holdings=holdings(cfg, found),
        attribution=read_attribution(cfg, results, evaluations, found.missing),
        quality=table(evaluations),
        quality_warnings=warnings(evaluations),
        trainings=[_training(cfg, found, pair) for pair in cfg.pairs[:: -(-len(cfg.pairs) // MOST_PAIRS) or 1]],
        parts=_parts(found.manifest),
        versions=versions(cfg),
        people={person for clip in cfg.clips for person in (clip.video_id, clip.face_id)},
    )
    with atomic(out) as temporary:
        temporary.write_text(text, encoding="utf-8")


def holdings(cfg: Config, found: Results) -> dict[tuple[str, int], Holding]:
    """Counts by (model, crf), `real` among the models."""
    holding: dict[tuple[str, int], Holding] = defaultdict(Holding)
    for video in videos_of(cfg, "dataset"):
        held = holding[video.name.model, video.crf]
        held.expected += 1
        if there := found.videos.get((str(video.name), video.crf)):
            held.videos += 1
            held.bytes += there.bytes
            held.frames += there.frames or 0
    return holding


def _training(cfg: Config, found: Results, pair: str) -> Training:
    logs = {model: found.losses[pair, model] for model in cfg.models if (pair, model) in found.losses}
    sheets = {model: Path(found.layout.training_file(pair, model, "preview.png")) for model in cfg.models}
    return Training(
        pair,
        figures.loss_chart(logs, people_of(pair)) if logs else None,
        {model: log.iloc[-1] for model, log in logs.items()},
        {model: _sheet(path) for model, path in sheets.items() if path.exists()},
    )


def _sheet(path: Path) -> str:
    """A preview sheet, stamped."""
    image = cv2.imread(str(path))
    if image is None:
        raise DfdmError(f"{path} is not a readable picture; delete it and train again")
    sheet = pictures.fit_width(image[..., ::-1], 960)
    return pictures.embedded(pictures.jpeg(pictures.stamp(sheet, "preview", share=0.045)))


def _parts(manifest: pd.DataFrame | None) -> dict[str, dict[str, int]]:
    """For each split that was made: swapped videos by part; those in no part are counted as dropped."""
    parts: dict[str, dict[str, int]] = {}
    if manifest is None:
        return parts
    swapped = manifest[manifest["model"] != REAL]
    for split in ("scene", "identity"):
        column = swapped[f"split_{split}"]
        if column.notna().any():
            dropped = {"dropped": int(column.isna().sum())} if column.hasnans else {}
            parts[split] = {part: int((column == part).sum()) for part in PARTS} | dropped
    return parts


def _template() -> jinja2.Template:
    loader, strict = jinja2.PackageLoader("dfdm.report", "."), jinja2.StrictUndefined
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=strict, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.update(palette=palette, named=NAMED, control_figures=CONTROL_FIGURES, figures=FIGURES)
    environment.filters.update(size=size_text, percent=percent, decimal=decimal, duration=duration)
    environment.filters.update(multiples=multiples, listed=listed, bounds=bounds_text)
    return environment.get_template("report.html")
