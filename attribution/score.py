"""Figures of a classifier on the test part, each with a 95 % interval, over all classes always.

How the intervals are made, and which figure has none: docs/attribution.md, Scores.
"""

from collections.abc import Sequence

import numpy as np

from attribution import intervals
from attribution.results import Figures, OneTest, Scores
from dfdm.base.names import cluster_of
from dfdm.base.text import decimal, percent, table

MOVED = f"{intervals.BOOTSTRAP}, moved so that their mean is the figure"


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
    kinds, index = np.unique(np.asarray(clusters or [cluster_of(name) for name in names]), return_inverse=True)
    count, probabilities = len(kinds), np.asarray(probabilities, np.float64)
    test = intervals.Predictions(np.asarray(truth), probabilities.argmax(1), probabilities, index)
    times = intervals.whole_and_draws(count, seed)  # [1 + R, K]: the first row of everything below is the test
    matrices = intervals.resampled_confusion(test, times)  # [1 + R, C, C]
    (accuracy, f1), videos = intervals.accuracy_and_f1(matrices), matrices[0].sum(1).astype(int).tolist()
    recalls = intervals.ratio(np.diagonal(matrices, axis1=1, axis2=2), matrices.sum(2))  # [1 + R, C]
    aucs, error = intervals.resampled_auc(test, times), intervals.resampled_error(test, times)  # [1 + R, C], [1 + R]
    bins = intervals.reliability(test)
    error[0] = sum(one.videos * abs((one.confidence or 0) - (one.accuracy or 0)) for one in bins) / len(index)
    error[1:] = np.clip(error[1:] - error[1:].mean() + error[0], 0, 1)  # it rises when videos are drawn twice
    recall, auc = {}, {}
    for label, name in enumerate(classes):
        shown, defined = test.present(label), not np.isnan(aucs[0, label])
        recall[name] = intervals.share(recalls[:, label], videos[label], shown) if shown else None
        auc[name] = intervals.estimate(aucs[:, label], shown) if defined else None
    return OneTest(
        classes=list(classes),
        videos=len(index),
        videos_per_class=dict(zip(classes, videos)),
        clusters=count,
        chance=1 / len(classes),
        figures=Figures(
            accuracy=intervals.share(accuracy, len(index), count),
            balanced_accuracy=intervals.estimate(intervals.mean_of_defined(recalls), count),
            macro_f1=intervals.estimate(f1, count),
            auc=intervals.estimate(intervals.mean_of_defined(aucs), count),
            ece=intervals.estimate(error, count, MOVED),
        ),
        recall=recall,
        auc=auc,
        confusion=matrices[0].astype(int).tolist(),
        reliability=bins,
    )


def format_table(scores: Sequence[Scores]) -> str:
    """Scores as a table for the terminal, a line each, and the videos that were left out."""
    classes = list(dict.fromkeys(name for entry in scores for name in entry.classes))
    head = ["classifier", "split", "train crf", "seed", "test crf", "videos", "accuracy", "95 % interval", "chance"]
    head += ["balanced", "macro F1", "AUC", "ECE", *(f"recall {name}" for name in classes)]
    rows = []
    for entry in scores:
        run, figures, recalls = entry.run, entry.figures, [entry.recall.get(name) for name in classes]
        row = [run.classifier, run.split, run.crf, run.seed, entry.crf, entry.videos]
        row += [percent(figures.accuracy.value, 1), figures.accuracy.ends, percent(entry.chance, 1)]
        row += [percent(figures.balanced_accuracy.value, 1)]
        row += [decimal(figure.value, 3) for figure in (figures.macro_f1, figures.auc, figures.ece)]
        rows.append([*map(str, row), *(percent(recall.value if recall else None, 1) for recall in recalls)])
    lines = [table(head, rows, left=2)]
    for part in ("train", "validation", "test"):
        if short := sorted({name for entry in scores for name in getattr(entry.left_out, part)}):
            lines.append(f"left out of {part}, fewer face frames than a clip: {len(short)} videos ({', '.join(short)})")
    return "\n".join(lines)
