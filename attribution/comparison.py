"""Classifiers side by side: figures pooled over seeds, who beats whom, the matrix of qualities.

Read from what the results folder holds; definitions: docs/attribution.md, Comparison.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attribution.intervals import (
    BOOTSTRAP,
    FEWEST_CLUSTERS,
    Answers,
    Figure,
    accuracy_and_f1,
    draws,
    f1_ends,
    figure,
    mean_ends,
    percentiles,
    reason,
    resampled_confusion,
    wilson,
)
from dfdm.base.text import table

FEWEST_SEEDS = 3


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


def beats(a: Entrant, b: Entrant, seed: int) -> dict[str, Any]:
    """Whether A beats B: a, b, `difference` of the accuracies (mean over the seeds), `beats`, `why` (a sentence).

    The interval is a bootstrap over clusters of what A had right and B had not, averaged over the seeds; below ten
    clusters there is none (null).
    """
    shared = [s for s in a.seeds if s in b.seeds]
    found: dict[str, Any] = {"a": a.name, "b": b.name, "beats": False}
    difference: dict[str, float | None] = {"value": float(a.right.mean() - b.right.mean()), "low": None, "high": None}
    count = len(set(a.clusters))
    same = list(a.names) == list(b.names)
    if same and shared:
        mine, other = ([list(x.seeds).index(s) for s in shared] for x in (a, b))
        gap = a.right[mine].mean(0) - b.right[other].mean(0)  # [n]
        difference["value"] = float(gap.mean())
        if count >= FEWEST_CLUSTERS:
            difference["low"], difference["high"] = _mean_interval(gap, a.clusters, seed)
    why = _obstacle(a, b, shared, same, count)
    low = difference["low"]
    if why is None and low is not None:
        found["beats"] = low > 0
        where = "lies above 0" if low > 0 else "does not lie above 0"
        why = f"The 95 % interval of the paired difference in accuracy {where} over {len(shared)} seeds."
    return {**found, "difference": difference, "why": why}


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
    return None if b.low > b.chance else f"{b.name} itself is not above chance ({b.chance:.1%})."


def _mean_interval(values: np.ndarray, clusters: Sequence[str], seed: int) -> tuple[float, float]:
    """The mean's 95 per cent interval, whole clusters drawn; `values` `[n]`."""
    _, index = np.unique(np.asarray(clusters), return_inverse=True)
    sums, sizes = np.bincount(index, weights=values), np.bincount(index)
    times = draws(len(sizes), seed)
    return percentiles((times @ sums) / (times @ sizes))


def pooled(tests: Sequence[Answers], seed: int) -> tuple[Figure, Figure]:
    """Accuracy and macro F1, each the mean over the seeds; the tests hold the same videos in the same order."""
    first = tests[0]
    clusters = int(first.cluster.max()) + 1
    times = draws(clusters, seed)
    matrices = np.concatenate([resampled_confusion(test, np.ones((1, clusters))) for test in tests])  # [seeds, C, C]
    accuracy, f1 = (float(values.mean()) for values in accuracy_and_f1(matrices))
    over, n = f"mean over {len(tests)} seeds", len(first.truth)
    if why := reason(accuracy, clusters):
        method = f"{over}; Wilson for the videos of one seed, taken as independent ({why})"
        spread = f"{over}; Wilson of each class's F1, ends averaged, videos taken as independent ({why})"
        ends = [
            f1_ends(matrix, int(label))
            for matrix in matrices
            for label in np.flatnonzero(matrix.sum(0) + matrix.sum(1))
        ]
        return figure(accuracy, wilson(accuracy * n, n), method), figure(f1, mean_ends(ends), spread)
    resampled = np.array([accuracy_and_f1(resampled_confusion(test, times)) for test in tests]).mean(0)  # [2, R]
    found = f"{over}; {BOOTSTRAP}"
    return figure(accuracy, percentiles(resampled[0]), found), figure(f1, percentiles(resampled[1]), found)


def format_comparison(comparison: dict[str, Any]) -> str:
    """The comparison for the terminal: ranked classifiers, those not learned, who beats whom, what is missing."""
    head = [
        "classifier",
        "accuracy",
        "95 % interval",
        "macro F1",
        "seeds",
        "rate",
        "parameters",
        "multiply-adds",
        "clips/s",
    ]
    rows = []
    for line in sorted(comparison["table"], key=lambda line: -line["accuracy"]["value"]):
        accuracy, speed = line["accuracy"], line["clips_per_second"]
        if line["learned"]:
            rows.append(
                [
                    *(line["classifier"], f"{accuracy['value']:.1%}"),
                    *(f"{accuracy['low']:.1%} to {accuracy['high']:.1%}", f"{line['macro_f1']['value']:.3f}"),
                    *(str(len(line["seeds"])), f"{line['rate']:g}", f"{line['parameters']:,}"),
                    *(f"{line['multiply_adds'] / 1e9:.2f} G", "-" if speed is None else f"{speed:.1f}"),
                ]
            )
    lines = [table(head, rows)]
    lines += [f"not learned: {line['classifier']}" for line in comparison["table"] if not line["learned"]]
    learned = {line["classifier"] for line in comparison["table"] if line["learned"]}
    for pair in (pair for pair in comparison["beats"] if {pair["a"], pair["b"]} <= learned):
        lines.append(f"{pair['a']} {'beats' if pair['beats'] else 'does not beat'} {pair['b']}: {pair['why']}")
    lines += [f"missing: {what}" for what in comparison["missing"]]
    return "\n".join(lines)
