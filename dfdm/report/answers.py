"""What the classifier says of each test video, and how often it is right in each direction of a swap."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from attribution.comparison import predictions_of
from attribution.openset import NONE
from attribution.results import Bounded, Scores
from attribution.score import score
from dfdm.base.names import REAL, known_name
from dfdm.base.text import listed
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout
from dfdm.report import figures
from dfdm.report.results import read_or_note


@dataclass(frozen=True)
class Direction:
    """The test videos that show the face of `face_id` on `video_id`, and the share whose generator is named."""

    video_id: str
    face_id: str
    videos: int
    accuracy: Bounded

    @property
    def right(self) -> int:
        """Of how many the generator is named."""
        return round(self.accuracy.value * self.videos)


@dataclass(frozen=True)
class Said:
    """The answers that `predict` gives (attribution.openset.verdict): a row a class, a column a class and NONE."""

    classes: list[str]
    counts: np.ndarray  # int [C, C + 1]
    risk: str  # chart, as SVG; empty without a swap

    @property
    def swaps(self) -> dict[str, int]:
        """Of the swaps: named rightly, named wrongly, called real or unknown, called none of these."""
        models = [place for place, name in enumerate(self.classes) if name != REAL]
        of = self.counts[models]
        right = int(of[range(len(models)), models].sum())
        real = int(of[:, self.classes.index(REAL)].sum()) if REAL in self.classes else 0
        none = int(of[:, -1].sum())
        return {"right": right, "wrong": int(of.sum()) - right - real - none, "real": real, "none": none}

    @property
    def none(self) -> str:
        """What `predict` says of a swap by none of the models."""
        return "a swap, by none of these" if REAL in self.classes else "none of these"

    @property
    def sentence(self) -> str:
        """The answers in words."""
        of = self.swaps
        told = [f"{of['right']} are named rightly", f"{of['wrong']} wrongly"]
        told += [f"{of['real']} called “real or unknown”"] if REAL in self.classes else []
        told += [f"{of['none']} “{self.none}”"]
        words = f"With its thresholds, of {sum(of.values())} swaps {listed(told)}."
        if REAL not in self.classes:
            return words
        row = self.counts[self.classes.index(REAL)]
        return f"{words} Of {row.sum()} real videos {row.sum() - row[self.classes.index(REAL)]} are accused."


@dataclass(frozen=True)
class Answers:
    """One quality's score; the probabilities of its classes by the video's name; the score by direction.

    `said`: None where there is no table of the answers.
    """

    score: Scores
    shares: dict[str, list[float]]
    directions: list[Direction]
    said: Said | None = None

    @property
    def right(self) -> int:
        """Of how many test videos the generator is named."""
        return sum(row[place] for place, row in enumerate(self.score.confusion))

    @property
    def guessed(self) -> float:
        """How many guessing would name."""
        return self.score.chance * self.score.videos


def read_answers(cfg: Config, results: Path, scores: Sequence[Scores], missing: list[str]) -> list[Answers]:
    """The answers behind each score; where there is no table of them, that is added to `missing`.

    Raises DfdmError for a damaged table.
    """
    layout, found = Layout(str(results)), list[Answers]()
    for one in scores:
        file = layout.scores(str(one.run.as_run()), one.crf, "predictions.parquet")
        what = f"predictions of {one.run.classifier} at crf {one.crf} (stage {Scores.stage})"
        table = read_or_note(partial(predictions_of, classes=one.classes, answers=True), file, what, missing)
        if table is None:
            found.append(Answers(one, {}, []))
            continue
        shares = table[[f"p_{name}" for name in one.classes]].to_numpy(np.float64)
        rows = {str(name): row.tolist() for name, row in zip(table.index, shares)}
        found.append(Answers(one, rows, _directions(table, shares, one, cfg.seed), _said(table, shares, one)))
    return found


def _said(table: pd.DataFrame, shares: np.ndarray, one: Scores) -> Said:
    """The answers, and how many of them are wrong where fewer swaps are answered."""
    counts = pd.crosstab(table["truth"], table["verdict"]).reindex(
        index=one.classes, columns=[*one.classes, NONE], fill_value=0
    )
    said = Said(one.classes, counts.to_numpy(int), "")
    models = [place for place, name in enumerate(one.classes) if name != REAL]
    swaps = (table["truth"] != REAL).to_numpy()
    if not swaps.any():
        return said
    of = shares[swaps][:, models]
    sure = of.max(1) / np.maximum(of.sum(1), 1e-12)  # of the likeliest model among the models
    wrong = np.array([one.classes[place] for place in models])[of.argmax(1)] != table["truth"][swaps].to_numpy()
    place = None
    if named := said.swaps["right"] + said.swaps["wrong"]:
        place = named / int(swaps.sum()), said.swaps["wrong"] / named
    return replace(said, risk=figures.risk_chart(f"crf {one.crf}", *risk_coverage(sure, wrong), place))


def risk_coverage(sure: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share answered and share of these that is wrong, the surest first: `sure` and `wrong` `[n]`, n at least 1.

    Videos that are equally sure are answered together: a point for each level.
    """
    order = np.argsort(-sure, kind="stable")
    last = np.flatnonzero(np.diff(sure[order], append=-np.inf))
    return (last + 1) / len(sure), np.cumsum(wrong[order])[last] / (last + 1)


def _directions(table: pd.DataFrame, shares: np.ndarray, one: Scores, seed: int) -> list[Direction]:
    """The score of each direction's videos alone; originals and videos without ids have no direction."""
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, name in enumerate(table.index):
        video = known_name(name)
        if video and video.face_id:
            groups[video.video_id, video.face_id].append(place)
    truth = table["truth"].map(one.classes.index).to_numpy()
    return [
        Direction(
            *people, len(of), score(list(table.index[of]), truth[of], shares[of], one.classes, seed).figures.accuracy
        )
        for people, of in sorted(groups.items())
    ]
