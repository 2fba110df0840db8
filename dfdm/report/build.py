"""The report: one self-contained HTML file of whatever a results folder holds."""

import datetime
from collections import Counter, defaultdict
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
from dfdm.report.results import EncodedVideo, Results, read_results, versions

MOST_PAIRS = 12  # trainings shown; an even choice beyond


@dataclass(frozen=True)
class Holding:
    """Videos of one model at one quality: how many there are, how many the config asks for, bytes and frames."""

    videos: int
    expected: int
    bytes: int
    frames: int


@dataclass(frozen=True)
class Training:
    """One pair's trainings: curves, the log's last line by model, preview sheets."""

    pair: str
    chart: str | None
    last: dict[str, pd.Series]
    previews: dict[str, str]


def build(cfg: Config, results: Path, out: Path) -> None:
    """Write the report of a results folder to `out`, an HTML file that loads nothing from anywhere.

    What the config asks for and the folder lacks is listed in it. Raises DfdmError for a damaged file.
    """
    found = read_results(cfg, results)
    missing = list(found.missing)
    evaluations = read_evaluations(cfg, results, missing)
    attribution = read_attribution(cfg, results, evaluations, missing)
    clips = list(clip_views(cfg, found))
    text = _template().render(
        cfg=cfg,
        palette=palette,
        settings={model: cfg.settings(model) for model in cfg.models},
        now=datetime.datetime.now().astimezone(),
        clips=clips,
        clip_count=len(cfg.clips),
        chosen_count=len(chosen_clips(cfg)),
        holdings=holdings(cfg, found),
        models=[REAL, *cfg.models],
        attribution=attribution,
        named=NAMED,
        control_figures=CONTROL_FIGURES,
        quality=table(evaluations),
        quality_warnings=warnings(evaluations),
        figures=FIGURES,
        trainings=[_training(cfg, found, pair) for pair in _shown_pairs(cfg)],
        pair_count=len(cfg.pairs),
        tracks=found.tracks,
        parts=_parts(found),
        times=found.times,
        versions=versions(cfg),
        missing=missing,
        people={clip.video_id for clip in cfg.clips} | {clip.face_id for clip in cfg.clips},
    )
    with atomic(out) as temporary:
        temporary.write_text(text, encoding="utf-8")


def holdings(cfg: Config, found: Results) -> dict[tuple[str, int], Holding]:
    """Counts by (model, crf), `real` among the models."""
    there: dict[tuple[str, int], list[EncodedVideo]] = defaultdict(list)
    for video in found.videos.values():
        there[video.name.model, video.crf].append(video)
    return {
        where: Holding(len(held), count, sum(video.bytes for video in held), sum(video.frames or 0 for video in held))
        for where, count in Counter((video.name.model, video.crf) for video in videos_of(cfg, "dataset")).items()
        for held in [there[where]]
    }


def _shown_pairs(cfg: Config) -> list[str]:
    step = max(1, -(-len(cfg.pairs) // MOST_PAIRS))
    return cfg.pairs[::step]


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
        raise DfdmError(f"{path} is no readable picture; delete it and train again")
    sheet = pictures.fit_width(image[..., ::-1], 960)
    return pictures.embedded(pictures.jpeg(pictures.stamp(sheet, "preview", share=0.045)))


def _parts(found: Results) -> dict[str, dict[str, int]]:
    """For each split that was made: swapped videos by part; those in no part are counted as dropped."""
    if found.manifest is None:
        return {}
    swapped = found.manifest[found.manifest["model"] != REAL]
    parts = {}
    for split in ("scene", "identity"):
        column = swapped[f"split_{split}"]
        if column.notna().any():
            counts = {part: int((column == part).sum()) for part in PARTS}
            dropped = int(column.isna().sum())
            parts[split] = counts | ({"dropped": dropped} if dropped else {})
    return parts


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("dfdm.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        size=size_text, percent=percent, decimal=decimal, duration=duration, multiples=multiples, listed=listed
    )
    environment.filters["bounds"] = bounds_text
    return environment.get_template("report.html")
