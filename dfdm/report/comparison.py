"""Classifiers side by side, read for the page: the table, who beats whom, and training against test quality."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attribution.run import ALL
from dfdm.base.files import read_json
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout
from dfdm.report.scores import Estimate, certain, chance, reading


@dataclass(frozen=True)
class Entry:
    """One classifier of the comparison; figures are pooled over its seeds, multiply-adds are a clip's."""

    classifier: str
    model: str
    learned: bool
    rate: float
    accuracies: Mapping[str, float]  # by seed
    accuracy: Estimate
    macro_f1: Estimate
    parameters: int
    multiply_adds: float
    clips_per_second: float | None  # None: it was not measured


@dataclass(frozen=True)
class Beats:
    """Whether `a` beats `b`, by the paired difference of their accuracies, and why (not)."""

    a: str
    b: str
    low: float | None  # None: too few clusters for an interval
    value: float
    high: float | None
    beats: bool
    why: str


@dataclass(frozen=True)
class Cell:
    """One score of a matrix; `above` is 0 at chance and 1 where all is right."""

    accuracy: Estimate
    chance: float

    @property
    def above(self) -> float:
        """How far above chance, for the cell's colour."""
        return max(0.0, (self.accuracy.value - self.chance) / (1 - self.chance))

    @property
    def holds_chance(self) -> bool:
        """Whether the interval includes chance."""
        return self.accuracy.low <= self.chance


@dataclass(frozen=True)
class Matrix:
    """A classifier trained on each quality (and on all) against the qualities that it was scored on."""

    classifier: str
    split: str
    rows: dict[str, list[Cell | None]]  # by the training quality; a cell a test quality, None: not there


@dataclass(frozen=True)
class Comparison:
    """All of it; `ranked` are those that learned, the best first."""

    crf: int
    split: str
    budget: dict[str, Any]
    ranked: list[Entry]
    not_learned: list[Entry]
    beats: list[Beats]
    matrices: list[list[Matrix]]  # a list a classifier, a matrix a split


def read_comparison(cfg: Config, results: Path, missing: list[str]) -> Comparison | None:
    """The comparison, None where it was not made or not asked for; what it lacks is added to `missing`.

    Raises DfdmError for a file that lacks a figure.
    """
    path = Path(Layout(str(results)).comparison)
    if not path.exists():
        if cfg.comparison:
            missing.append("the comparison of the classifiers (stage comparison)")
        return None
    values = read_json(path)
    with reading(path, "comparison"):
        table = [_entry(line) for line in values["table"]]
        learned = {line.classifier for line in table if line.learned}  # the others are not ranked against any
        missing += [f"comparison: {line}" for line in values["missing"]]
        return Comparison(
            crf=int(values["crf"]),
            split=values["split"],
            budget=dict(values["budget"]),
            ranked=sorted((line for line in table if line.learned), key=lambda line: -line.accuracy.value),
            not_learned=[line for line in table if not line.learned],
            beats=[_beats(line) for line in values["beats"] if {line["a"], line["b"]} <= learned],
            matrices=_matrices(cfg, values["matrix"]),
        )


def _entry(line: Mapping[str, Any]) -> Entry:
    return Entry(
        classifier=line["classifier"],
        model=line["model"],
        learned=line["learned"],
        rate=line["rate"],
        accuracies=dict(zip(map(str, line["seeds"]), line["accuracies"], strict=True)),
        accuracy=certain(line["accuracy"]),
        macro_f1=certain(line["macro_f1"]),
        parameters=line["parameters"],
        multiply_adds=line["multiply_adds"],
        clips_per_second=line["clips_per_second"],
    )


def _beats(line: Mapping[str, Any]) -> Beats:
    difference = line["difference"]
    low, value, high = (difference[key] for key in ("low", "value", "high"))
    return Beats(line["a"], line["b"], low, value, high, line["beats"], line["why"])


def _matrices(cfg: Config, lines: list[Mapping[str, Any]]) -> list[list[Matrix]]:
    """The matrices by classifier and split, in the order of the file; rows and columns in the config's."""
    cells = {
        (line["classifier"], line["split"], str(line["train"]), int(line["test"])): Cell(
            certain(line["accuracy"]), chance(cfg, line["classifier"])
        )
        for line in lines
    }
    splits = dict.fromkeys((classifier, split) for classifier, split, _, _ in cells)
    found: dict[str, list[Matrix]] = {}
    for classifier, split in splits:
        rows = {
            train: [cells.get((classifier, split, train, test)) for test in cfg.qualities]
            for train in [*map(str, cfg.qualities), ALL]
        }
        found.setdefault(classifier, []).append(Matrix(classifier, split, rows))
    return list(found.values())
