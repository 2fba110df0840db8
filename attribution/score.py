"""Figures of a classifier on the test part, each with a 95 per cent interval, over all classes always.

The figures are scikit-learn's. How the intervals are made, and what stands in where a bootstrap over clusters
cannot be had: docs/attribution.md, Scores.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score

from attribution.intervals import (
    BOOTSTRAP,
    Answers,
    Figure,
    accuracy_and_f1,
    calibration_error,
    class_aucs,
    combined,
    draws,
    f1_ends,
    figure,
    mean_ends,
    mean_of_defined,
    percentiles,
    ratio,
    reason,
    reliability,
    resampled_auc,
    resampled_confusion,
    resampled_error,
    wilson,
)
from dfdm.base.names import cluster_of
from dfdm.base.text import table


def score(
    names: Sequence[str],
    truth: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    seed: int,
    clusters: Sequence[str] | None = None,
) -> dict[str, Any]:
    """All figures of one test: class indices `truth` `[n]`, `probabilities` `[n, C]`, n at least 1.

    `clusters`: the group of every video; None for `cluster` of its name. Gives classes, videos,
    videos_per_class, clusters, chance, figures (accuracy, balanced_accuracy, macro_f1, auc, ece), recall and auc
    a class, confusion (rows: truth) and reliability; every figure as `value`, `low`, `high`, `method`. Recall
    and AUC of a class without a test video are None and stay out of the means; macro F1 is over all classes
    that occur in truth or prediction.
    """
    groups = [cluster_of(name) for name in names] if clusters is None else list(clusters)
    kinds, index = np.unique(np.asarray(groups), return_inverse=True)
    truth, probabilities = np.asarray(truth), np.asarray(probabilities, np.float64)
    test = Answers(truth, probabilities.argmax(1), probabilities, index)
    confusion = confusion_matrix(truth, test.predicted, labels=list(range(len(classes))))
    counts = np.bincount(truth, minlength=len(classes))
    rows, times = reliability(test), draws(len(kinds), seed)
    matrices = resampled_confusion(test, times)  # [R, C, C]
    recalls = _recalls(test, confusion, matrices)
    per_class, macro = _aucs(test, resampled_auc(test, times), len(kinds))
    figures = {
        "accuracy": _accuracy(test, matrices, len(kinds)),
        "balanced_accuracy": _balanced(test, recalls, matrices, len(kinds)),
        "macro_f1": _macro_f1(test, confusion, matrices, len(kinds)),
        "auc": macro,
        "ece": _ece(calibration_error(rows), resampled_error(test, times), len(kinds)),
    }
    return {
        "classes": list(classes),
        "videos": len(truth),
        "videos_per_class": dict(zip(classes, counts.tolist())),
        "clusters": len(kinds),
        "chance": 1 / len(classes),
        "figures": figures,
        "recall": dict(zip(classes, recalls)),
        "auc": dict(zip(classes, per_class)),
        "confusion": confusion.tolist(),
        "reliability": rows,
    }


def _accuracy(test: Answers, matrices: np.ndarray, clusters: int) -> Figure:
    value = float(accuracy_score(test.truth, test.predicted))
    if why := reason(value, clusters):
        right = int((test.truth == test.predicted).sum())
        return figure(value, wilson(right, len(test.truth)), f"Wilson, videos taken as independent ({why})")
    return figure(value, percentiles(accuracy_and_f1(matrices)[0]), BOOTSTRAP)


def _recalls(test: Answers, confusion: np.ndarray, matrices: np.ndarray) -> list[Figure | None]:
    found: list[Figure | None] = []
    for label, row in enumerate(confusion):
        if not row.sum():
            found.append(None)
            continue
        value = float(row[label] / row.sum())
        if why := reason(value, test.present(label)):
            ends, method = wilson(int(row[label]), int(row.sum())), f"Wilson, videos taken as independent ({why})"
        else:
            ends, method = percentiles(ratio(matrices[:, label, label], matrices[:, label].sum(-1))), BOOTSTRAP
        found.append(figure(value, ends, method))
    return found


def _balanced(test: Answers, recalls: Sequence[Figure | None], matrices: np.ndarray, clusters: int) -> Figure:
    present = np.unique(test.truth).tolist()
    value = float(recall_score(test.truth, test.predicted, labels=present, average="macro", zero_division=0))
    if why := reason(value, clusters):
        shown = [(label, each["value"]) for label, each in enumerate(recalls) if each]
        counts = np.bincount(test.truth)
        ends = combined([v for _, v in shown], [wilson(v * counts[label], int(counts[label])) for label, v in shown])
        return figure(value, ends, f"Wilson of each recall, combined (MOVER), videos taken as independent ({why})")
    recall = ratio(np.diagonal(matrices, axis1=1, axis2=2), matrices.sum(2))
    return figure(value, percentiles(mean_of_defined(recall)), BOOTSTRAP)


def _macro_f1(test: Answers, confusion: np.ndarray, matrices: np.ndarray, clusters: int) -> Figure:
    occurring = sorted(set(test.truth.tolist()) | set(test.predicted.tolist()))
    value = float(f1_score(test.truth, test.predicted, labels=occurring, average="macro", zero_division=0))
    if why := reason(value, clusters):
        ends = mean_ends([f1_ends(confusion, label) for label in occurring])
        return figure(value, ends, f"Wilson of each class's F1, ends averaged, videos taken as independent ({why})")
    return figure(value, percentiles(accuracy_and_f1(matrices)[1]), BOOTSTRAP)


def _aucs(test: Answers, resampled: np.ndarray, clusters: int) -> tuple[list[Figure | None], Figure]:
    values, found = class_aucs(test), list[Figure | None]()
    counts = np.bincount(test.truth, minlength=test.classes)
    fewer = np.minimum(counts, len(test.truth) - counts)  # of positives and negatives
    stated = "Wilson for as many videos as the class or the rest has, the fewer, taken as independent"
    for label, value in enumerate(values):
        if value is None:
            found.append(None)
        elif why := reason(value, test.present(label)):
            count = int(fewer[label])
            found.append(figure(value, wilson(value * count, count), f"{stated} ({why})"))
        else:
            found.append(figure(value, percentiles(resampled[:, label]), BOOTSTRAP))
    defined = [(value, int(count)) for value, count in zip(values, fewer) if value is not None]
    if not defined:
        return found, figure(None, None, "undefined: the test videos are all of one class")
    mean = float(np.mean([value for value, _ in defined]))
    if why := reason(mean, clusters):
        ends = mean_ends([wilson(value * count, count) for value, count in defined])
        return found, figure(mean, ends, f"{stated}; ends averaged over the classes ({why})")
    return found, figure(mean, percentiles(mean_of_defined(resampled)), BOOTSTRAP)


def _ece(value: float, resampled: np.ndarray, clusters: int) -> Figure:
    if why := reason(value, clusters):
        return figure(value, None, f"none: an error is no share, and {why}")
    low, high = percentiles(resampled - resampled.mean() + value)  # an ECE rises when videos are drawn twice
    method = f"{BOOTSTRAP}, moved so that their mean is the figure"
    return figure(value, (max(0.0, low), min(1.0, high)), method)


def format_table(scores: Sequence[dict[str, Any]]) -> str:
    """Contents of scores.json as a table for the terminal, a line each, and the videos that were left out."""
    classes = list(dict.fromkeys(name for entry in scores for name in entry["classes"]))
    head = ["classifier", "split", "train crf", "seed", "test crf", "videos", "accuracy", "95 % interval", "chance"]
    head += ["balanced", "macro F1", "AUC", "ECE", *(f"recall {name}" for name in classes)]
    rows = []
    for entry in scores:
        run, figures = entry["run"], entry["figures"]
        accuracy, others = figures["accuracy"], [figures[key]["value"] for key in ("macro_f1", "auc", "ece")]
        recalls = [(entry["recall"].get(name) or {}).get("value") for name in classes]
        rows.append(
            [
                *(str(run[key]) for key in ("classifier", "split", "crf", "seed")),
                *(str(entry["crf"]), str(entry["videos"])),
                *(f"{accuracy['value']:.1%}", f"{accuracy['low']:.1%} to {accuracy['high']:.1%}"),
                *(f"{entry['chance']:.1%}", f"{figures['balanced_accuracy']['value']:.1%}"),
                *("-" if value is None else f"{value:.3f}" for value in others),
                *("-" if value is None else f"{value:.1%}" for value in recalls),
            ]
        )
    lines = [table(head, rows, left=2)]
    for part in dict.fromkeys(part for entry in scores for part in entry["left_out"]):
        short = sorted({name for entry in scores for name in entry["left_out"].get(part, {})})
        if short:
            told = f"left out of {part}, fewer face frames than a clip: {len(short)} videos ({', '.join(short)})"
            lines.append(told)
    return "\n".join(lines)
