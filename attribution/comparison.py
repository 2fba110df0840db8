"""Classifiers side by side: figures pooled over seeds, who beats whom, the matrix of qualities.

Definitions: docs/attribution.md, Comparison.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd

from attribution import intervals
from attribution.openset import NONE
from attribution.results import Beats, Bounded, Budget, Cell, Comparison, Difference, Entry, Figure, Scores, Speed, Tune
from attribution.run import Run
from attribution.settings import AttributionConfig, ComparisonConfig
from dfdm.base.errors import DfdmError
from dfdm.base.names import cluster_of
from dfdm.base.records import checked
from dfdm.base.text import decimal, multiples, percent, table

FEWEST_SEEDS = 3


@dataclass(frozen=True)
class ScoredRun:
    """A training on the test videos of one quality: its scores.json, predictions.parquet beside it, its speed.json."""

    run: Run
    crf: int
    scores: Path
    speed: Path
    treatment: str | None = None


@dataclass(frozen=True)
class Entrant:
    """A classifier's seeds on the same test videos, with what `beats` needs of them.

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
    entries, entrants = [], []
    for name, path in tunes.items():
        tune = Tune.read(path) if path.exists() else None
        if chosen.rates and tune is None:
            missing.append(f"learning rate of {name}")
        if runs := {one: held[one] for one in seeds if one.run.classifier == name and one in held}:
            entry, entrant = _entry(runs, tune, seed)
            entries.append(entry)
            entrants.append(entrant)
    if not entries:
        raise DfdmError("there are no scores of the comparison yet; run its trainings first")
    cells = [
        Cell(**vars(one.run), train=one.run.crf, test=one.crf, accuracy=found.figures.accuracy)
        for one, found in held.items()
        if one in matrix
    ]
    each = {key: _each(getattr(own, key) for own in settings.values()) for key in ("batch", "clip", "epochs", "size")}
    steps = _each(held[one].training.steps for one in seeds if one in held)
    return Comparison(
        crf=chosen.crf,
        split="scene",
        budget=Budget(**each, rates=chosen.rates, steps=steps, tune_epochs=chosen.tune_epochs),
        table=entries,
        beats=[beats(a, b, seed) for a, b in permutations(entrants, 2)],
        matrix=cells,
        missing=missing,
    )


def _each(values: Iterable[int]) -> int | list[int]:
    """A value of the budget, or all that occur."""
    found = sorted(set(values))
    return found if len(found) > 1 else found[0]


def _entry(runs: Mapping[ScoredRun, Scores], tune: Tune | None, seed: int) -> tuple[Entry, Entrant]:
    """A classifier's line of the table, and what `beats` needs of it."""
    first, scores = next(iter(runs)), list(runs.values())
    classes, training = scores[0].classes, scores[0].training
    tables = [predictions_of(one.scores.with_name("predictions.parquet"), classes) for one in runs]
    names, seeds = tables[0].index.tolist(), [one.run.seed for one in runs]
    for one, other in zip(runs, tables):
        if other.index.tolist() != names:
            raise DfdmError(f"{one.run} was scored on other videos than {first.run}; score it again")
    clusters, truth = [cluster_of(name) for name in names], tables[0].pop("truth").map(classes.index).to_numpy()
    _, index = np.unique(clusters, return_inverse=True)
    shares = [table[[f"p_{name}" for name in classes]].to_numpy(np.float64) for table in tables]
    tests = [intervals.Predictions(truth, values.argmax(1), values, index) for values in shares]
    accuracy, macro_f1 = pooled(tests, seed)
    speeds = [Speed.read(one.speed).clips_per_second for one in runs if one.speed.exists()]
    known = [speed for speed in speeds if speed is not None]
    entry = Entry(
        classifier=first.run.classifier,
        **training.model_dump(include={"model", "parameters", "multiply_adds"}),
        learned=all(found.training.learned for found in scores),
        rate=training.lr,
        seeds=seeds,
        accuracies=[found.figures.accuracy.value for found in scores],
        accuracy=accuracy,
        macro_f1=macro_f1,
        clips_per_second=float(np.mean(known)) if known else None,
    )
    tuned = (tune.epochs, sorted(tried.lr for tried in tune.tried)) if tune else None
    right = np.stack([test.truth == test.predicted for test in tests])
    at = (entry.classifier, entry.learned, seeds, names, clusters, right, tuned)
    return entry, Entrant(*at, low=accuracy.low, chance=scores[0].chance)


def predictions_of(path: Path, classes: Sequence[str], answers: bool = False) -> pd.DataFrame:
    """Truth and probabilities by the video's name, sorted; with `answers` the verdict (attribution.openset) too."""
    words = ["name", "truth", *(["verdict"] if answers else [])]
    try:
        table = pd.read_parquet(path, columns=[*words, *(f"p_{name}" for name in classes)])
    except (OSError, ValueError) as error:
        raise DfdmError(f"{path} cannot be read ({' '.join(str(error).split())[:150]}); score again") from None
    checked(path)
    shares = table.drop(columns=words)
    numbers = all(kind.kind == "f" for kind in shares.dtypes) and bool(np.isfinite(shares.to_numpy()).all())
    named = table["name"].map(lambda name: isinstance(name, str)).all() and not table["name"].duplicated().any()
    known = table["truth"].isin(classes).all() and (not answers or table["verdict"].isin([*classes, NONE]).all())
    if not (len(table) and numbers and named and known):
        raise DfdmError(f"{path} has no line, a video twice, a class that is none or no probabilities; score again")
    return table.set_index("name").sort_index()


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
        if count >= intervals.FEWEST_CLUSTERS:
            _, index = np.unique(np.asarray(a.clusters), return_inverse=True)
            times = intervals.draws(count, seed)
            low, high = intervals.percentiles((times @ np.bincount(index, weights=gap)) / (times @ np.bincount(index)))
    obstacle = _obstacle(a, b, shared, same, count)
    won = obstacle is None and low is not None and low > 0
    where = "is above 0" if won else "is not above 0"
    why = obstacle or f"The 95 % interval of the paired difference in accuracy {where} over {len(shared)} seeds."
    return Beats(a=a.name, b=b.name, difference=Difference(value=value, low=low, high=high), beats=won, why=why)


def _obstacle(a: Entrant, b: Entrant, shared: Sequence[int], same: bool, clusters: int) -> str | None:
    """The sentence why nothing can be said; None where the interval decides."""
    for one in (a, b):
        if not one.learned:
            return f"{one.name} has not learned: its training accuracy is not above chance."
    if not same:
        return "They were not scored on the same test videos."
    if len(shared) < FEWEST_SEEDS:
        return f"They share {len(shared)} seeds, and fewer than {FEWEST_SEEDS} cannot show it."
    if a.rates is None or b.rates is None:
        return f"The learning rate of {(a if a.rates is None else b).name} was not tuned."
    if a.rates != b.rates:
        return "Their learning rates were not tuned over the same list."
    if clusters < intervals.FEWEST_CLUSTERS:
        return f"The test has {clusters} clusters of pair and scene; a bootstrap over fewer than 10 cannot show it."
    return None if b.low > b.chance else f"{b.name} itself is not above chance ({percent(b.chance, 1)})."


def pooled(tests: Sequence[intervals.Predictions], seed: int) -> tuple[Bounded, Figure]:
    """Accuracy and macro F1, each the mean over the seeds; the tests hold the same videos in the same order."""
    clusters, how = int(tests[0].cluster.max()) + 1, f"mean over {len(tests)} seeds; {intervals.BOOTSTRAP}"
    times = intervals.whole_and_draws(clusters, seed)
    matrices = [intervals.resampled_confusion(test, times) for test in tests]
    accuracy, f1 = np.mean([intervals.accuracy_and_f1(each) for each in matrices], 0)  # [1 + R] each
    return intervals.share(accuracy, len(tests[0].truth), clusters, how), intervals.estimate(f1, clusters, how)


def format_comparison(comparison: Comparison) -> str:
    """The comparison for the terminal: ranked classifiers, those not learned, who beats whom, what is missing."""
    head = ("classifier", "accuracy", "95 % interval", "macro F1", "seeds", "rate", "parameters", "multiply-adds")
    rows = []
    for line in comparison.ranked:
        row = [line.classifier, percent(line.accuracy.value, 1), line.accuracy.ends, decimal(line.macro_f1.value, 3)]
        row += [str(len(line.seeds)), f"{line.rate:g}", f"{line.parameters:,}", multiples(line.multiply_adds)]
        rows.append([*row, decimal(line.clips_per_second, 1)])
    return "\n".join(
        [
            table([*head, "clips/s"], rows),
            *(f"not learned: {line.classifier}" for line in comparison.not_learned),
            *(f"{it.a} {'beats' if it.beats else 'does not beat'} {it.b}: {it.why}" for it in comparison.contests),
            *(f"missing: {what}" for what in comparison.missing),
        ]
    )
