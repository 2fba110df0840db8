"""How good the swaps are, read from `dfdm evaluate`'s files: a row a model, and rows for what it is the mean of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean

from dfdm.base import text
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout
from dfdm.report.results import read_or_note
from generators.results import Direction, Evaluation, Reconstruction

MOST_ROWS = 4  # directions of a model that have rows of their own; beyond that, the lowest and the highest value
LEAST_SSIM = 0.6  # of the reconstruction; our rule of thumb, below it a face is a blur
LEAST_NEARER = 0.5  # share of frames whose face is nearer to face_id's


@dataclass(frozen=True)
class Figure:
    """One column: its key, its name, what is good in words and as a sign, and its decimals."""

    key: str
    name: str
    good: str
    sign: str
    decimals: int
    meaning: str


FIGURES = (
    Figure("ssim", "SSIM", "higher is better", "↑", 3, "rebuilt faces of face_id against the real ones; 1 is equal"),
    Figure("psnr", "PSNR dB", "higher is better", "↑", 1, "the same as a signal-to-noise ratio"),
    Figure("to_face", "to face_id", "lower is better", "↓", 2, "identity distance from the face it should show"),
    Figure("to_video", "to video_id", "higher is better", "↑", 2, "identity distance from the person below it"),
    Figure("nearer_to_face", "nearer face_id", "higher is better", "↑", 0, "frames nearer to face_id than to video_id"),
    Figure("landmark_error", "landmarks", "lower is better", "↓", 1, "shift of inner landmarks, of the eye distance"),
    Figure("eyes", "eyes", "higher is better", "↑", 0, "frames whose eyes are as open as the original's, within 20 %"),
    Figure("flicker", "flicker", "1 is best", "→ 1", 2, "change between frames / the original's; above 1 it trembles"),
    Figure("sharpness", "sharpness", "1 is best", "→ 1", 2, "fine detail / the original's; below 1 it is soft"),
    Figure("of_perfect", "of perfect", "higher is better", "↑", 0, "sharpness / that of a perfect face of this size"),
    Figure("edge_colour", "edge ΔE", "lower is better", "↓", 1, "colour step (CIEDE2000) at the rim; 1 just shows"),
    Figure("colour_error", "blotches", "lower is better", "↓", 1, "95th percentile of the uneven error in a*b*"),
)  # fmt: skip
_PERCENT = {"nearer_to_face", "landmark_error", "eyes", "of_perfect"}


@dataclass(frozen=True)
class Row:
    """One line of the table: figures by key, None where one was not measured."""

    model: str
    label: str  # "mean", a direction, "lowest" or "highest"
    frames: int | None
    lost: int | None  # frames whose swap shows no face to the detector
    figures: Mapping[str, float | None]

    def text(self, figure: Figure) -> str:
        """A figure as the table shows it."""
        show = text.percent if figure.key in _PERCENT else text.decimal
        return show(self.figures[figure.key], figure.decimals)


def read_evaluations(cfg: Config, results: Path, missing: list[str]) -> dict[str, list[Row]]:
    """Every direction's row by model; what was not measured is added to `missing`.

    A direction has the reconstruction of its face_id: the decoder that made the swap. Raises DfdmError for a file
    without a figure.
    """
    found: dict[str, list[Row]] = {}
    for model, pair in product(cfg.models, cfg.pairs):
        what = f"evaluation of {model} for {pair} (stage {Evaluation.stage})"
        if measured := read_or_note(Evaluation.read, Layout(str(results)).evaluate(pair, model), what, missing):
            rows = [_row(model, swap, measured.reconstruction[swap.face_id]) for swap in measured.swaps]
            found.setdefault(model, []).extend(rows)
    return found


def _row(model: str, swap: Direction, rebuilt: Reconstruction) -> Row:
    values = {**dict(rebuilt), **dict(swap), **dict(swap.identity or {}), "of_perfect": swap.of_perfect}
    label = f"{swap.video_id}_{swap.face_id}"
    figures = {figure.key: values.get(figure.key) for figure in FIGURES}
    return Row(model, label, swap.frames, swap.frames_without_landmarks, figures)


def table(found: Mapping[str, list[Row]]) -> list[Row]:
    """The table's lines: for each model the mean of its directions, then each of them or their range."""
    lines = []
    for model, rows in found.items():
        frames, lost = (sum(getattr(row, count) or 0 for row in rows) for count in ("frames", "lost"))
        lines.append(Row(model, "mean", frames, lost, _over(rows, fmean)))
        ends = (("lowest", min), ("highest", max)) if len(rows) > MOST_ROWS else ()
        lines += [Row(model, label, None, None, _over(rows, end)) for label, end in ends] or rows
    return lines


def _over(rows: list[Row], what: Callable[[list[float]], float]) -> dict[str, float | None]:
    """A figure over the directions that have it."""
    gathered = {f.key: [v for row in rows if (v := row.figures[f.key]) is not None] for f in FIGURES}
    return {key: what(values) if values else None for key, values in gathered.items()}


def warnings(found: Mapping[str, list[Row]]) -> list[str]:
    """What a reader must know before using the swaps, in plain sentences; empty where nothing is wrong."""
    sentences = []
    for model, rows in found.items():
        if wrong := [row.label for row in rows if _is_other(row)]:
            sentences.append(
                f"{model} is undertrained: its swaps {_and(wrong)} are not nearer to face_id than to video_id. "
                "More iterations or a larger width help."
            )
        if soft := [row.label for row in rows if (row.figures["ssim"] or 1) < LEAST_SSIM and row.label not in wrong]:
            sentences.append(
                f"{model} looks undertrained: the faces it rebuilds for {_and(soft)} reach an SSIM below {LEAST_SSIM}."
            )
        if lost := [row.label for row in rows if (row.lost or 0) > (row.frames or 0) / 4]:
            sentences.append(
                f"{model}: the detector finds no face in more than a quarter of the frames of {_and(lost)}."
            )
    if found and not any(row.figures["to_face"] is not None for rows in found.values() for row in rows):
        sentences.append("Identity was not measured: the config's evaluate.identity is null.")
    return sentences


def _is_other(row: Row) -> bool:
    """Whether a swap shows the person it should hide."""
    to_face, to_video, share = (row.figures[key] for key in ("to_face", "to_video", "nearer_to_face"))
    if to_face is None or to_video is None or share is None:
        return False
    return to_face >= to_video or share < LEAST_NEARER


def _and(words: list[str]) -> str:
    return f"of {len(words)} directions" if len(words) > MOST_ROWS else text.listed(words)


def format_table(found: Mapping[str, list[Row]]) -> str:
    """The table and the warnings as plain text."""
    head = ["model", "of", "frames", "no face", *(f"{figure.name} {figure.sign}" for figure in FIGURES)]
    lines = []
    for row in table(found):
        counts = ("" if count is None else str(count) for count in (row.frames, row.lost))
        name = row.model if row.label == "mean" else ""
        lines.append([name, row.label, *counts, *map(row.text, FIGURES)])
    return "\n".join([text.table(head, lines, left=2), *warnings(found)])
