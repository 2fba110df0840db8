"""The report: a page of whatever a results folder contains, which plays its videos and loads nothing from anywhere."""

import datetime
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import cv2
import pandas as pd

from dfdm.base.errors import DfdmError
from dfdm.base.files import atomic
from dfdm.base.names import REAL, people_of
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import videos_of
from dfdm.dataset.provenance import mark_or_unknown
from dfdm.dataset.splits import PARTS
from dfdm.report import figures, pictures
from dfdm.report.answers import read_answers
from dfdm.report.attribution import read_attribution
from dfdm.report.clips import chosen_clips, stills, versions_of
from dfdm.report.evaluation import read_evaluations, table, warnings
from dfdm.report.player import player_data
from dfdm.report.results import Results, read_results, versions
from dfdm.report.template import template
from dfdm.report.tracks import track_rows
from dfdm.report.videos import WATCHED_CRF, carry, playable

MOST_PAIRS = 12  # trainings shown; an even choice beyond
MOST_DIRECTIONS = 4  # of a quality, shown at once


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
    charts: list[str]
    last: dict[str, pd.Series]
    previews: dict[str, str]


def build(cfg: Config, results: Path, out: Path, single: bool = False) -> list[Path]:
    """Write the report of a results folder to `out` (HTML), and give the files that were written.

    The videos are in the page; where that would grow too large (dfdm.report.videos) they are in a folder beside it,
    unless it is to be a `single` file. What the config asks for and the results do not have is listed in the page.
    Raises DfdmError for a damaged file.
    """
    found = read_results(cfg, results)
    evaluations = read_evaluations(cfg, results, found.missing)
    attribution = read_attribution(cfg, results, evaluations, found.missing)
    answers = read_answers(cfg, results, attribution.scores, found.missing)
    answered = {name.rpartition(f"_{model}")[0] for one in answers for name in one.shares for model in cfg.models}
    clips = chosen_clips(cfg, answered=answered)
    with tempfile.TemporaryDirectory(prefix="dfdm-report-") as scratch:
        names = {str(name): name for clip in clips for name in versions_of(cfg, clip)}
        videos = playable(cfg, found, names.values(), Path(scratch))
        carried = carry(out, videos, single)
    text = template("report.html").render(
        cfg=cfg,
        now=datetime.datetime.now().astimezone(),
        found=found,
        carried=carried,
        watched=WATCHED_CRF,
        data=player_data(cfg, found, clips, answers, videos) | {"folder": carried.folder},
        clips=clips,
        stills=list(stills(cfg, found, clips)),
        holdings=holdings(cfg, found),
        attribution=attribution,
        answers=answers,
        most_directions=MOST_DIRECTIONS,
        quality=table(evaluations),
        quality_warnings=warnings(evaluations),
        trainings=[_training(cfg, found, pair) for pair in cfg.pairs[:: -(-len(cfg.pairs) // MOST_PAIRS) or 1]],
        parts=_parts(found.manifest),
        tracks=track_rows(found),
        versions=versions(cfg),
        people={person for clip in cfg.clips for person in (clip.video_id, clip.face_id)},
    )
    with atomic(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return [out, *carried.files]


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
        [figures.loss_chart(model, log, people_of(pair)) for model, log in logs.items()],
        {model: log.iloc[-1] for model, log in logs.items()},
        {model: _sheet(path) for model, path in sheets.items() if path.exists()},
    )


def _sheet(path: Path) -> str:
    """A preview sheet, stamped."""
    image = cv2.imread(str(path))
    if image is None:
        raise DfdmError(f"{path} is not a readable picture; delete it and train again")
    sheet = pictures.fit_width(image[..., ::-1], 960)
    return pictures.embedded(pictures.jpeg(pictures.stamp(sheet, "preview", share=0.045), mark_or_unknown(path)))


def _parts(manifest: pd.DataFrame | None) -> dict[str, dict[str, int]]:
    """For each split that was made: swapped videos by part; those in no part are counted as dropped."""
    parts: dict[str, dict[str, int]] = {}
    if manifest is None:
        return parts
    swapped = manifest[manifest["model"] != REAL]
    for name, column in swapped.filter(regex="^split_").items():
        split = str(name).removeprefix("split_")
        if column.notna().any():
            dropped = {"dropped": int(column.isna().sum())} if column.hasnans else {}
            parts[split] = {part: int((column == part).sum()) for part in PARTS} | dropped
    return parts
