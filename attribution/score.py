"""Figures of a classifier on the test part, with their uncertainty, over all classes always."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score

from dfdm.names import parse_name

RESAMPLES = 2000
FEWEST_CLUSTERS = 10  # below, a bootstrap over clusters says little
NORMAL = 1.959963984540054  # two-sided 95 per cent


def cluster(name: str) -> str:
    """The group whose videos rise and fall together: the pair, in either order, and the scene shown."""
    video = parse_name(name)
    return "_".join((*(video.pair or (video.video_id,)), video.scene_key))


def wilson(right: int, count: int) -> tuple[float, float]:
    """Wilson's 95 per cent interval of a share, the videos taken as independent."""
    share, square = right / count, NORMAL**2
    centre = (share + square / (2 * count)) / (1 + square / count)
    half = NORMAL / (1 + square / count) * np.sqrt(share * (1 - share) / count + square / (4 * count**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def bootstrap(right: np.ndarray, clusters: Sequence[str], seed: int) -> tuple[float, float]:
    """The accuracy's 95 per cent interval, whole clusters drawn with replacement; `right` bool `[n]`."""
    _, index = np.unique(np.asarray(clusters), return_inverse=True)
    sizes, hits = np.bincount(index), np.bincount(index, weights=right)
    count = len(sizes)
    times = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)  # [R, clusters]
    low, high = np.quantile((times @ hits) / (times @ sizes), (0.025, 0.975))
    return float(low), float(high)


def interval(right: np.ndarray, clusters: Sequence[str], seed: int) -> dict[str, Any]:
    """The accuracy's 95 per cent interval and how it was made.

    Bootstrap over clusters; Wilson's where there are fewer than 10 clusters or the accuracy is 0 or 1.
    """
    number = len(set(clusters))
    few = number < FEWEST_CLUSTERS
    if few or right.all() or not right.any():
        low, high = wilson(int(right.sum()), len(right))
        why = f"fewer than {FEWEST_CLUSTERS} clusters" if few else "the accuracy is 0 or 1"
        method = f"Wilson, videos taken as independent ({why})"
    else:
        low, high = bootstrap(right, clusters, seed)
        method = f"bootstrap over clusters of pair and scene, {RESAMPLES} resamples, percentiles"
    return {"low": low, "high": high, "level": 0.95, "method": method, "clusters": number}


def score(
    names: Sequence[str], truth: np.ndarray, predicted: np.ndarray, classes: Sequence[str], seed: int
) -> dict[str, Any]:
    """Figures of one test; `truth` and `predicted` are class indices `[n]`.

    The confusion matrix (rows: truth) holds every class in the given order, absent ones too. Recall is null
    for a class without a test video; balanced accuracy is the mean of the other recalls. Macro F1 is over all
    classes that occur in truth or prediction.
    """
    indices = list(range(len(classes)))
    counts = np.bincount(truth, minlength=len(classes))
    recall = recall_score(truth, predicted, labels=indices, average=None, zero_division=0)
    occurring = sorted(set(truth.tolist()) | set(predicted.tolist()))
    return {
        "classes": list(classes),
        "videos": len(truth),
        "videos_per_class": dict(zip(classes, counts.tolist())),
        "accuracy": float(accuracy_score(truth, predicted)),
        "accuracy_interval": interval(truth == predicted, [cluster(name) for name in names], seed),
        "balanced_accuracy": float(recall[counts > 0].mean()),
        "macro_f1": float(f1_score(truth, predicted, labels=occurring, average="macro", zero_division=0)),
        "recall": {name: float(value) if n else None for name, value, n in zip(classes, recall, counts)},
        "confusion": confusion_matrix(truth, predicted, labels=indices).tolist(),
        "chance": 1 / len(classes),
    }


def format_table(scores: Sequence[dict[str, Any]]) -> str:
    """The scores of several qualities as a table for the terminal, one line each."""
    classes = list(dict.fromkeys(name for entry in scores for name in entry["classes"]))
    head = ["crf", "videos", "accuracy", "95 % interval", "chance", "balanced", "macro F1"]
    rows = [[*head, *(f"recall {name}" for name in classes)]]
    for entry in scores:
        bounds = entry["accuracy_interval"]
        recalls = [entry["recall"].get(name) for name in classes]
        rows.append(
            [
                str(entry["crf"]),
                str(entry["videos"]),
                f"{entry['accuracy']:.1%}",
                f"{bounds['low']:.1%} to {bounds['high']:.1%}",
                f"{entry['chance']:.1%}",
                f"{entry['balanced_accuracy']:.1%}",
                f"{entry['macro_f1']:.3f}",
                *("-" if value is None else f"{value:.1%}" for value in recalls),
            ]
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(text.rjust(width) for text, width in zip(row, widths)) for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    left_out = sum(entry.get("left_out_videos", 0) for entry in scores)
    if left_out:
        lines.append(f"left out, fewer face frames than a clip: {left_out} videos (named in scores.json)")
    return "\n".join(lines)
