"""Figures of a classifier on the test part, each with a 95 per cent interval, over all classes always.

The figures are scikit-learn's. How the intervals are made, and which figure has none: docs/attribution.md, Scores.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import confusion_matrix, f1_score, recall_score

from attribution.intervals import (
    BOOTSTRAP,
    Predictions,
    accuracy_and_f1,
    calibration_error,
    class_aucs,
    draws,
    estimate,
    mean_of_defined,
    ratio,
    reliability,
    resampled_auc,
    resampled_confusion,
    resampled_error,
    share,
)
from attribution.results import Figure, Figures, OneTest, Scores
from dfdm.base.names import cluster_of
from dfdm.base.text import percent, table


def score(
    names: Sequence[str],
    truth: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    seed: int,
    clusters: Sequence[str] | None = None,
) -> OneTest:
    """All figures of one test: class indices `truth` `[n]`, `probabilities` `[n, C]`, n at least 1.

    `clusters`: the group of every video; None for `cluster_of` its name. Classes without a test video stay out of the
    means; macro F1 is over all classes that occur in truth or prediction.
    """
    groups = [cluster_of(name) for name in names] if clusters is None else list(clusters)
    kinds, index = np.unique(np.asarray(groups), return_inverse=True)
    truth, probabilities = np.asarray(truth), np.asarray(probabilities, np.float64)
    test = Predictions(truth, probabilities.argmax(1), probabilities, index)
    confusion = confusion_matrix(truth, test.predicted, labels=list(range(len(classes))))
    counts, bins, times = confusion.sum(1).tolist(), reliability(test), draws(len(kinds), seed)
    matrices = resampled_confusion(test, times)  # [R, C, C]
    accuracies, f1s = accuracy_and_f1(matrices)  # [R] each
    recalls = ratio(np.diagonal(matrices, axis1=1, axis2=2), matrices.sum(2))  # [R, C]
    aucs, all_aucs = class_aucs(test), resampled_auc(test, times)  # [C], [R, C]
    defined = [value for value in aucs if value is not None]
    macro = {"average": "macro", "zero_division": 0}
    balanced = float(recall_score(truth, test.predicted, labels=np.unique(truth), **macro))
    f1 = float(f1_score(truth, test.predicted, labels=np.union1d(truth, test.predicted), **macro))
    error, errors = calibration_error(bins), resampled_error(test, times)
    moved = np.clip(errors - errors.mean() + error, 0, 1)  # an error rises when videos are drawn twice
    undefined = Figure(value=None, low=None, high=None, method="undefined: the test videos are all of one class")
    return OneTest(
        classes=list(classes),
        videos=len(truth),
        videos_per_class=dict(zip(classes, counts)),
        clusters=len(kinds),
        chance=1 / len(classes),
        figures=Figures(
            accuracy=share(int(confusion.trace()), len(truth), accuracies, len(kinds)),
            balanced_accuracy=estimate(balanced, mean_of_defined(recalls), len(kinds)),
            macro_f1=estimate(f1, f1s, len(kinds)),
            auc=estimate(float(np.mean(defined)), mean_of_defined(all_aucs), len(kinds)) if defined else undefined,
            ece=estimate(error, moved, len(kinds), f"{BOOTSTRAP}, moved so that their mean is the figure"),
        ),
        recall={
            name: share(int(confusion[i, i]), counts[i], recalls[:, i], test.present(i)) if counts[i] else None
            for i, name in enumerate(classes)
        },
        auc={
            name: None if value is None else estimate(value, all_aucs[:, i], test.present(i))
            for i, (name, value) in enumerate(zip(classes, aucs))
        },
        confusion=confusion.tolist(),
        reliability=bins,
    )


def format_table(scores: Sequence[Scores]) -> str:
    """Scores as a table for the terminal, a line each, and the videos that were left out."""
    classes = list(dict.fromkeys(name for entry in scores for name in entry.classes))
    head = ["classifier", "split", "train crf", "seed", "test crf", "videos", "accuracy", "95 % interval", "chance"]
    head += ["balanced", "macro F1", "AUC", "ECE", *(f"recall {name}" for name in classes)]
    rows = []
    for entry in scores:
        run, figures = entry.run, entry.figures
        accuracy, others = figures.accuracy, (figures.macro_f1.value, figures.auc.value, figures.ece.value)
        recalls = [entry.recall.get(name) for name in classes]
        rows.append(
            [
                *(run.classifier, run.split, run.crf, str(run.seed), str(entry.crf), str(entry.videos)),
                *(percent(accuracy.value, 1), f"{percent(accuracy.low, 1)} to {percent(accuracy.high, 1)}"),
                *(percent(entry.chance, 1), percent(figures.balanced_accuracy.value, 1)),
                *("–" if value is None else f"{value:.3f}" for value in others),
                *(percent(recall.value if recall else None, 1) for recall in recalls),
            ]
        )
    lines = [table(head, rows, left=2)]
    for part in ("train", "validation", "test"):
        short = sorted({name for entry in scores for name in getattr(entry.left_out, part)})
        if short:
            lines.append(f"left out of {part}, fewer face frames than a clip: {len(short)} videos ({', '.join(short)})")
    return "\n".join(lines)
