"""Classifiers on people that nobody saw: the scores of every fold together (docs/attribution.md, Unseen people).

Every pair of people is the test of one fold. Pairs share people, so the interval deletes one person at a time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pandas as pd
from scipy.stats import t as student

from attribution.comparison import ScoredRun, predictions_of
from attribution.results import Among, Gap, Interval, Scores, Unseen, UnseenLine
from dfdm.base.errors import DfdmError
from dfdm.base.names import REAL, parse_name
from dfdm.base.text import percent, table

Groups = Mapping[str, Sequence[str]]  # classes that one figure tells apart among themselves, such as those of 64 px


def jackknife(right: pd.DataFrame, lowest: float = 0) -> Interval:
    """The mean over folds of a figure, and its 95 % interval by deleting each person's videos in turn.

    `right` has a line a video: fold, value (`lowest` to 1, averaged over seeds) and people, a tuple. The interval is
    Student's with one degree of freedom fewer than people, cut at `lowest` and 1; none with fewer than three people.
    """
    if right.empty:
        return Interval(value=None, low=None, high=None)
    value = _mean(right)
    people = sorted({person for found in right["people"] for person in found})
    left = [right[[person not in found for found in right["people"]]] for person in people]
    if len(people) < 3 or any(rest.empty for rest in left):
        return Interval(value=value, low=None, high=None)
    values, count = np.array([_mean(rest) for rest in left]), len(people)
    error = np.sqrt((count - 1) / count * ((values - values.mean()) ** 2).sum())
    half = float(student.ppf(0.975, count - 1) * error)
    return Interval(value=value, low=max(lowest, value - half), high=min(1.0, value + half))


def _mean(right: pd.DataFrame) -> float:
    return float(right.groupby("fold")["value"].mean().mean())


@dataclass(frozen=True)
class Column:
    """A classifier trained on one quality (or all) and tested on another: its videos' predictions over all folds.

    `table` has a line a video and seed: fold, seed, name, truth, people and a probability `p_<class>` a class.
    """

    classifier: str
    train: str
    test: str
    table: pd.DataFrame
    classes: list[str]

    def right(self, truths: Sequence[str], among: Sequence[str] | None = None) -> pd.DataFrame:
        """What `jackknife` takes, of the videos of the classes `truths`: the share of the seeds that name each rightly.

        The answer is the likeliest of all classes, or of those in `among`.
        """
        rows, names = self.table[self.table["truth"].isin(truths)], np.array(among or self.classes)
        chosen = names[rows[[f"p_{name}" for name in names]].to_numpy().argmax(1)]
        found = rows[["fold", "name", "people", "direction"]].assign(value=(chosen == rows["truth"]).astype(float))
        return found.groupby(["fold", "name", "people", "direction"])["value"].mean().reset_index()


def gather(runs: Sequence[ScoredRun]) -> list[Column]:
    """The columns of all scored runs, whose split is a fold; a missing or damaged file is an error."""
    grouped: dict[tuple[str, str, str], list[ScoredRun]] = {}
    for run in runs:
        test = f"{run.crf} {run.treatment or ''}".strip()
        grouped.setdefault((run.run.classifier, run.run.crf, test), []).append(run)
    columns = []
    for (classifier, train, test), found in grouped.items():
        classes, tables = Scores.read(found[0].scores).classes, []
        for one in found:
            own = predictions_of(one.scores.with_name("predictions.parquet"), classes).reset_index()
            tables.append(own.assign(fold=one.run.split, seed=one.run.seed))
        held = pd.concat(tables, ignore_index=True)
        names = [parse_name(name) for name in held["name"]]
        held["people"] = pd.Series([name.pair or (name.video_id,) for name in names], dtype=object)
        held["direction"] = [f"{name.video_id}_{name.face_id or REAL}" for name in names]
        columns.append(Column(classifier, train, test, held, classes))
    return columns


def predictions(columns: Sequence[Column]) -> pd.DataFrame:
    """Every column's predictions in one table, a line a video, fold, seed and column."""
    tables = [
        column.table.drop(columns="people").assign(classifier=column.classifier, train=column.train, test=column.test)
        for column in columns
    ]
    table = pd.concat(tables, ignore_index=True)
    first = ["classifier", "train", "test", "fold", "seed", "name", "direction", "truth"]
    return table[[*first, *(name for name in table if name not in first)]]


def summarise(columns: Sequence[Column], swaps: Sequence[str], groups: Groups) -> Unseen:
    """All figures over the swaps of the classes `swaps`; those of each of `groups` also among themselves.

    DfdmError where classifiers to be compared were scored on different videos.
    """
    lines, gaps = [], []
    for column in columns:
        right = column.right(swaps)
        among = {name: jackknife(column.right(group, group)) for name, group in groups.items()}
        lines.append(
            UnseenLine(
                classifier=column.classifier,
                train=column.train,
                test=column.test,
                seeds=sorted(set(column.table["seed"].tolist())),
                chance=1 / len(column.classes),
                accuracy=jackknife(right),
                among=[Among(group=name, chance=1 / len(groups[name]), accuracy=among[name]) for name in groups],
                folds=_means(right, "fold"),
                directions=_means(right, "direction"),
                classes=column.classes,
                confusion=_confusion(column),
            )
        )
    for a, b in permutations(columns, 2):
        if (a.train, a.test) == (b.train, b.test):
            keys = ["fold", "name", "people", "direction"]
            both = a.right(swaps).merge(b.right(swaps), on=keys, how="outer", validate="1:1")
            both["value"] = both["value_x"] - both["value_y"]
            if both["value"].isna().any():
                raise DfdmError(f"{a.classifier} and {b.classifier} were scored on other videos; score them again")
            gaps.append(Gap(a=a.classifier, b=b.classifier, train=a.train, test=a.test, difference=jackknife(both, -1)))
    return Unseen(lines=lines, gaps=gaps)


def _means(right: pd.DataFrame, by: str) -> dict[str, float]:
    return {str(key): float(value) for key, value in right.groupby(by)["value"].mean().items()}


def _confusion(column: Column) -> list[list[int]]:
    """Videos by truth (rows) and answer, over all folds and seeds."""
    chosen = np.array(column.classes)[column.table[[f"p_{name}" for name in column.classes]].to_numpy().argmax(1)]
    counts = pd.crosstab(column.table["truth"], chosen)
    return counts.reindex(index=column.classes, columns=column.classes, fill_value=0).to_numpy().tolist()


def format_unseen(found: Unseen) -> str:
    """The figures for the terminal: a line a classifier, training and test quality, then the paired differences."""
    groups = [one.group for one in found.lines[0].among]
    head = [
        "classifier",
        "train crf",
        "test crf",
        "seeds",
        "accuracy",
        "95 % interval",
        "chance",
        *groups,
        "lowest",
        "real accused",
    ]
    rows = []
    for line in found.lines:
        worst = min(line.folds, key=lambda fold: line.folds[fold])
        row = [line.classifier, line.train, line.test, len(line.seeds), percent(line.accuracy.value, 1)]
        row += [ends(line.accuracy), percent(line.chance, 1)]
        row += [f"{percent(one.accuracy.value, 1)} ({ends(one.accuracy)})" for one in line.among]
        accused = "{} of {}".format(*line.accused) if line.accused else "-"
        rows.append([*map(str, row), f"{worst} {percent(line.folds[worst], 1)}", accused])
    lines = [table(head, rows)]
    for gap in found.gaps:
        if (value := gap.difference.value) is not None and value >= 0:
            where = f"trained on crf {gap.train}, tested on {gap.test}"
            lines.append(f"{gap.a} - {gap.b}, {where}: {percent(value, 1)} ({ends(gap.difference)})")
    return "\n".join(lines)


def ends(interval: Interval) -> str:
    """An interval of shares in words."""
    if interval.low is None or interval.high is None:
        return "no interval"
    return f"{percent(interval.low, 1)} to {percent(interval.high, 1)}"
