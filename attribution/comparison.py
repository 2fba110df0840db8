"""Classifiers side by side: figures pooled over seeds, who beats whom, the matrix of qualities.

Definitions: docs/attribution.md, Comparison.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd

from attribution.intervals import (
    BOOTSTRAP,
    FEWEST_CLUSTERS,
    Predictions,
    accuracy_and_f1,
    draws,
    estimate,
    percentiles,
    resampled_confusion,
    share,
)
from attribution.results import Beats, Bounded, Budget, Cell, Comparison, Difference, Entry, Figure, Scores, Speed, Tune
from attribution.run import Run
from attribution.settings import AttributionConfig, ComparisonConfig
from dfdm.base.errors import DfdmError
from dfdm.base.names import cluster_of
from dfdm.base.text import multiples, percent, table

FEWEST_SEEDS = 3


@dataclass(frozen=True)
class ScoredRun:
    """A training on the test videos of one quality, where it was scored: `scores` (scores.json), `speed` (speed.json).

    predictions.parquet lies beside the scores.
    """

    run: Run
    crf: int
    scores: Path
    speed: Path


@dataclass(frozen=True)
class Entrant:
    """A classifier's seeds on the same test videos, as far as `beats` looks at them.

    right: bool `[seeds, n]`, the videos sorted by name; names: `[n]`; rates: the learning rates it was tuned over and
    the epochs of each (None: not tuned); low: lower end of its pooled accuracy.
    """

    name: str
    learned: bool
    seeds: Sequence[int]
    names: Sequence[str]
    clusters: Sequence[str]
    right: np.ndarray
    rates: tuple[int, Sequence[float]] | None
    low: float
    chance: float


def compare(
    chosen: ComparisonConfig,
    settings: Mapping[str, AttributionConfig],
    seeds: Sequence[ScoredRun],
    matrix: Sequence[ScoredRun],
    tunes: Mapping[str, Path],
    seed: int,
) -> Comparison:
    """Classifiers side by side; scores and rates that are not there yet are listed in `missing`.

    `settings` and `tunes` (tune.json) are those of every classifier by its name; `seeds`: the runs to compare, at one
    quality; `matrix`: those of the matrix. Raises DfdmError where no run of `seeds` has scores.
    """
    every = dict.fromkeys([*seeds, *matrix])
    missing = [f"scores of {one.run} on crf {one.crf}" for one in every if not one.scores.exists()]
    held = {one: Scores.read(one.scores) for one in every if one.scores.exists()}
    lines, entrants = [], []
    for name, path in tunes.items():
        tune = Tune.read(path) if path.exists() else None
        if chosen.rates and tune is None:
            missing.append(f"learning rate of {name}")
        if runs := {one: held[one] for one in seeds if one.run.classifier == name and one in held}:
            line, entrant = _entry(runs, tune, seed)
            lines.append(line)
            entrants.append(entrant)
    if not lines:
        raise DfdmError("there are no scores of the comparison yet; run its trainings first")
    return Comparison(
        crf=chosen.crf,
        split="scene",
        budget=_budget(chosen, settings, [held[one].training.steps for one in seeds if one in held]),
        table=lines,
        beats=[beats(a, b, seed) for a, b in permutations(entrants, 2)],
        matrix=[
            Cell(
                classifier=one.run.classifier,
                split=one.run.split,
                train=one.run.crf,
                test=one.crf,
                accuracy=scores.figures.accuracy,
            )
            for one, scores in held.items()
            if one in matrix
        ],
        missing=missing,
    )


def _entry(runs: Mapping[ScoredRun, Scores], tune: Tune | None, seed: int) -> tuple[Entry, Entrant]:
    """A classifier's line of the table, and what `beats` needs of it."""
    first, scores = next(iter(runs)), list(runs.values())
    classes, trainings = scores[0].classes, [entry.training for entry in scores]
    tables = [_predictions(one.scores.with_name("predictions.parquet"), classes) for one in runs]
    names = tables[0]["name"].tolist()
    for one, other in zip(runs, tables):
        if other["name"].tolist() != names:
            raise DfdmError(f"{one.run} was scored on other videos than {first.run}; score it again")
    clusters = [cluster_of(name) for name in names]
    _, index = np.unique(clusters, return_inverse=True)
    tests = [_test(table, classes, index) for table in tables]
    accuracy, macro_f1 = pooled(tests, seed)
    speeds = [Speed.read(one.speed).clips_per_second for one in runs if one.speed.exists()]
    known = [speed for speed in speeds if speed is not None]
    line = Entry(
        classifier=first.run.classifier,
        model=trainings[0].model,
        learned=all(training.learned for training in trainings),
        rate=trainings[0].lr,
        seeds=[one.run.seed for one in runs],
        accuracies=[entry.figures.accuracy.value for entry in scores],
        accuracy=accuracy,
        macro_f1=macro_f1,
        parameters=trainings[0].parameters,
        multiply_adds=trainings[0].multiply_adds,
        clips_per_second=float(np.mean(known)) if known else None,
    )
    tuned = (tune.epochs, sorted(tried.lr for tried in tune.tried)) if tune else None
    right = np.stack([test.truth == test.predicted for test in tests])
    at = (line.classifier, line.learned, line.seeds, names, clusters, right, tuned)
    return line, Entrant(*at, low=accuracy.low, chance=scores[0].chance)


def _predictions(path: Path, classes: Sequence[str]) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path, columns=["name", "truth", *(f"p_{name}" for name in classes)])
    except (OSError, ValueError) as error:
        raise DfdmError(f"{path} cannot be read ({' '.join(str(error).split())[:150]}); score again") from None
    return table.sort_values("name", ignore_index=True)


def _test(table: pd.DataFrame, classes: Sequence[str], index: np.ndarray) -> Predictions:
    probabilities = table[[f"p_{name}" for name in classes]].to_numpy(np.float64)
    truth = np.array([list(classes).index(name) for name in table["truth"]])
    return Predictions(truth, probabilities.argmax(1), probabilities, index)


def _budget(chosen: ComparisonConfig, settings: Mapping[str, AttributionConfig], steps: Sequence[int]) -> Budget:
    """What every classifier was given; a value that differs between them is listed with all that occur."""

    def each(values: Iterable[int]) -> int | list[int]:
        found = sorted(set(values))
        return found if len(found) > 1 else found[0]

    return Budget(
        batch=each(own.batch for own in settings.values()),
        clip=each(own.clip for own in settings.values()),
        epochs=each(own.epochs for own in settings.values()),
        rates=chosen.rates,
        size=each(own.size for own in settings.values()),
        steps=each(steps),
        tune_epochs=chosen.tune_epochs,
    )


def beats(a: Entrant, b: Entrant, seed: int) -> Beats:
    """Whether A beats B, and the difference of their accuracies (mean over the seeds).

    The interval is a bootstrap over clusters of what A had right and B had not, averaged over the seeds; below ten
    clusters there is none (None).
    """
    shared = [s for s in a.seeds if s in b.seeds]
    value, low, high = float(a.right.mean() - b.right.mean()), None, None
    count, same = len(set(a.clusters)), list(a.names) == list(b.names)
    if same and shared:
        mine, other = ([list(x.seeds).index(s) for s in shared] for x in (a, b))
        gap = a.right[mine].mean(0) - b.right[other].mean(0)  # [n]
        value = float(gap.mean())
        if count >= FEWEST_CLUSTERS:
            low, high = _mean_interval(gap, a.clusters, seed)
    obstacle = _obstacle(a, b, shared, same, count)
    won = obstacle is None and low is not None and low > 0
    where = "lies above 0" if won else "does not lie above 0"
    why = obstacle or f"The 95 % interval of the paired difference in accuracy {where} over {len(shared)} seeds."
    return Beats(a=a.name, b=b.name, difference=Difference(value=value, low=low, high=high), beats=won, why=why)


def _obstacle(a: Entrant, b: Entrant, shared: Sequence[int], same: bool, clusters: int) -> str | None:
    """The sentence why nothing can be said; None where the interval decides."""
    for one in (a, b):
        if not one.learned:
            return f"{one.name} has not learned: its training accuracy does not leave chance."
    if not same:
        return "They were not scored on the same test videos."
    if len(shared) < FEWEST_SEEDS:
        return f"They share {len(shared)} seeds, and fewer than {FEWEST_SEEDS} cannot show it."
    if a.rates is None or b.rates is None:
        return f"The learning rate of {(a if a.rates is None else b).name} was not tuned."
    if a.rates != b.rates:
        return "Their learning rates were not tuned over the same list."
    if clusters < FEWEST_CLUSTERS:
        return f"The test has {clusters} clusters of pair and scene; a bootstrap over fewer than 10 cannot show it."
    return None if b.low > b.chance else f"{b.name} itself is not above chance ({percent(b.chance, 1)})."


def _mean_interval(values: np.ndarray, clusters: Sequence[str], seed: int) -> tuple[float, float]:
    """The mean's 95 per cent interval, whole clusters drawn; `values` `[n]`."""
    _, index = np.unique(np.asarray(clusters), return_inverse=True)
    sums, sizes = np.bincount(index, weights=values), np.bincount(index)
    times = draws(len(sizes), seed)
    return percentiles((times @ sums) / (times @ sizes))


def pooled(tests: Sequence[Predictions], seed: int) -> tuple[Bounded, Figure]:
    """Accuracy and macro F1, each the mean over the seeds; the tests hold the same videos in the same order."""
    first = tests[0]
    clusters = int(first.cluster.max()) + 1
    times = draws(clusters, seed)
    resamples = np.mean([accuracy_and_f1(resampled_confusion(test, times)) for test in tests], 0)  # [2, R]
    matrices = np.concatenate([resampled_confusion(test, np.ones((1, clusters))) for test in tests])  # [seeds, C, C]
    accuracy, f1 = (float(values.mean()) for values in accuracy_and_f1(matrices))
    count, how = len(first.truth), f"mean over {len(tests)} seeds; {BOOTSTRAP}"
    return (
        share(accuracy * count, count, resamples[0], clusters, how),
        estimate(f1, resamples[1], clusters, how),
    )


def format_comparison(comparison: Comparison) -> str:
    """The comparison for the terminal: ranked classifiers, those not learned, who beats whom, what is missing."""
    head = ("classifier", "accuracy", "95 % interval", "macro F1", "seeds", "rate", "parameters", "multiply-adds")
    rows = [
        [
            *(line.classifier, percent(line.accuracy.value, 1)),
            f"{percent(line.accuracy.low, 1)} to {percent(line.accuracy.high, 1)}",
            *(f"{line.macro_f1.value:.3f}", str(len(line.seeds)), f"{line.rate:g}", f"{line.parameters:,}"),
            *(multiples(line.multiply_adds), f"{line.clips_per_second:.1f}" if line.clips_per_second else "–"),
        ]
        for line in comparison.ranked
    ]
    return "\n".join(
        [
            table([*head, "clips/s"], rows),
            *(f"not learned: {line.classifier}" for line in comparison.not_learned),
            *(f"{it.a} {'beats' if it.beats else 'does not beat'} {it.b}: {it.why}" for it in comparison.contests),
            *(f"missing: {what}" for what in comparison.missing),
        ]
    )
