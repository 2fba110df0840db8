"""What intervals are made of: resamples of whole clusters, and Wilson's interval of a share.

docs/attribution.md, Scores, says which of them a figure gets, and why.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from attribution.results import Bin, Bounded, Figure

RESAMPLES = 2000
FEWEST_CLUSTERS = 10  # below, a bootstrap over clusters says little
BINS = 10  # of the reliability diagram, equally wide
NORMAL = 1.959963984540054  # two-sided 95 %
ENDS = (0.025, 0.975)
BOOTSTRAP = f"bootstrap over clusters of pair and scene, {RESAMPLES} resamples, percentiles"


def wilson(right: float, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share, the videos taken as independent; `count` at least 1."""
    share, square = right / count, NORMAL**2
    centre = (share + square / (2 * count)) / (1 + square / count)
    half = NORMAL / (1 + square / count) * np.sqrt(share * (1 - share) / count + square / (4 * count**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def learned(right: int, count: int, chance: float) -> bool:
    """Whether `right` of `count` predictions are above chance: Wilson's lower end is above it. False for none."""
    return count > 0 and wilson(right, count)[0] > chance


def draws(clusters: int, seed: int) -> np.ndarray:
    """How often each cluster is drawn in each resample, float64 `[RESAMPLES, clusters]`, rows summing to `clusters`."""
    random = np.random.default_rng(seed)
    return random.multinomial(clusters, np.full(clusters, 1 / clusters), size=RESAMPLES).astype(float)


def whole_and_draws(clusters: int, seed: int) -> np.ndarray:
    """Every cluster once, which is the test itself, and then the draws: float64 `[1 + RESAMPLES, clusters]`."""
    return np.concatenate([np.ones((1, clusters)), draws(clusters, seed)])


@dataclass(frozen=True)
class Predictions:
    """Of one test: truth and predicted class indices `[n]`, probabilities `[n, C]`, cluster index `[n]`."""

    truth: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray
    cluster: np.ndarray

    def present(self, label: int) -> int:
        """In how many clusters a class occurs."""
        return len(set(self.cluster[self.truth == label].tolist()))


def bins(test: Predictions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Top probability, whether it was right (float64), and its bin's index, each `[n]`; bins are open below."""
    top = test.probabilities.max(1)
    right = (test.truth == test.predicted).astype(float)
    return top, right, np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], top)


def reliability(test: Predictions) -> list[Bin]:
    """The bins of the top probability."""
    top, right, index = bins(test)
    found = []
    for number, (low, high) in enumerate(pairwise(np.linspace(0, 1, BINS + 1).round(10).tolist())):
        inside = index == number
        confidence, accuracy = (float(v[inside].mean()) if inside.any() else None for v in (top, right))
        found.append(Bin(low=low, high=high, videos=int(inside.sum()), confidence=confidence, accuracy=accuracy))
    return found


def resampled_confusion(test: Predictions, times: np.ndarray) -> np.ndarray:
    """The confusion matrix of every resample, float64 `[R, C, C]`, rows truth; `times` as from `draws`."""
    size, count = test.probabilities.shape[1], times.shape[1]
    cell = (test.cluster * size + test.truth) * size + test.predicted
    sums = np.bincount(cell, minlength=count * size * size).reshape(count, size * size)
    return (times @ sums).reshape(len(times), size, size)


def accuracy_and_f1(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy and macro F1 (over the classes that occur) of confusion matrices `[R, C, C]`, each `[R]`."""
    hits = np.diagonal(matrices, axis1=1, axis2=2)
    f1 = ratio(2 * hits, matrices.sum(1) + matrices.sum(2))
    return hits.sum(1) / matrices.sum((1, 2)), mean_of_defined(f1)


def resampled_auc(test: Predictions, times: np.ndarray) -> np.ndarray:
    """The one-vs-rest area under the ROC curve of every class in every resample, `[R, C]`; NaN where it is undefined.

    A resample draws whole clusters, so its sum of won comparisons is a bilinear form in `times` of the wins
    between the positives of one cluster and the negatives of another.
    """
    membership = (np.arange(times.shape[1])[:, None] == test.cluster).astype(float)  # [K, n]
    found = []
    for label, shares in enumerate(test.probabilities.T):
        mine = test.truth == label
        own, other = shares[mine], shares[~mine]
        wins = (own[:, None] > other).astype(float) + 0.5 * (own[:, None] == other)  # [positives, negatives]
        between = membership[:, mine] @ wins @ membership[:, ~mine].T  # [K, K]
        pairs = (times @ membership[:, mine].sum(1)) * (times @ membership[:, ~mine].sum(1))
        found.append(ratio(((times @ between) * times).sum(1), pairs))
    return np.stack(found, 1)


def resampled_error(test: Predictions, times: np.ndarray) -> np.ndarray:
    """The expected calibration error of every resample, `[R]`: mean distance of confidence and accuracy, by bins."""
    top, right, index = bins(test)
    cell, count = test.cluster * BINS + index, times.shape[1]
    gaps = np.bincount(cell, weights=top - right, minlength=count * BINS).reshape(count, BINS)
    return np.abs(times @ gaps).sum(1) / (times @ np.bincount(test.cluster, minlength=count))


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """`part / whole`, NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)


def mean_of_defined(values: np.ndarray) -> np.ndarray:
    """The mean over the last axis of what is not NaN, NaN where nothing is."""
    return ratio(np.nansum(values, -1), (~np.isnan(values)).sum(-1))


def percentiles(values: np.ndarray) -> tuple[float, float]:
    """The 95 % percentile interval of resamples, those where the figure is undefined left out."""
    low, high = np.nanquantile(values, ENDS)
    return float(low), float(high)


def share(values: np.ndarray, count: int, clusters: int, how: str = BOOTSTRAP) -> Bounded:
    """A share of `count` videos, the first of `values`; the others are its resamples.

    Its interval is theirs, or Wilson's where they say too little.
    """
    value = float(values[0])
    if why := reason(value, clusters):
        how, (low, high) = f"Wilson, videos taken as independent ({why})", wilson(value * count, count)
    else:
        low, high = percentiles(values[1:])
    return Bounded(value=value, low=low, high=high, method=how)


def estimate(values: np.ndarray, clusters: int, how: str = BOOTSTRAP) -> Figure:
    """Any other figure, the first of `values`: its interval is that of its resamples, or none."""
    value = float(values[0])
    if np.isnan(value):
        return Figure(value=None, low=None, high=None, method="undefined: the test videos are all of one class")
    if why := reason(value, clusters):
        return Figure(value=value, low=None, high=None, method=f"none: {why}")
    low, high = percentiles(values[1:])
    return Figure(value=value, low=low, high=high, method=how)


def reason(value: float, clusters: int) -> str | None:
    """Why a figure's interval is not a bootstrap over that many clusters; None where it is one."""
    if clusters < FEWEST_CLUSTERS:
        return f"fewer than {FEWEST_CLUSTERS} clusters"
    return "the figure is 0 or 1" if value in (0.0, 1.0) else None
