"""Is a video a swap at all, and by one of the known models? Two figures of its logits, and bounds from validation.

- Swap evidence: the log-odds of any model against `real`, where that is a class. At or below the highest of
  validation's real videos nothing is accused: the answer is "real or unknown".
- Energy of the models' logits (Liu et al., NeurIPS 2020, arXiv 2010.03759, at temperature 1): -log(sum(exp(logits))).
  It falls with the evidence for any of them, so a stranger should have a high one: "a swap, by none of these".

What they are worth: docs/attribution.md, Predict.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import logsumexp

from attribution.results import OpenSet, RealBound
from dfdm.base.names import REAL

ACCEPT = 0.95  # share of the validation swaps that the threshold takes for known
FEW = 60  # validation videos below which the threshold says little: 3 of them are the 5 % beyond it
NONE = "none_of_these"


def energy(logits: np.ndarray) -> np.ndarray:
    """Energy of logits `[..., classes]`: float64 `[...]`; higher is stranger."""
    return -logsumexp(np.asarray(logits, np.float64), axis=-1)


def of_models(logits: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """The logits of the models alone, `[..., models]`."""
    return np.asarray(logits, np.float64)[..., [index for index, name in enumerate(classes) if name != REAL]]


def swap_evidence(logits: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """The log-odds of a swap by any model against `real`, one of the classes: float64 `[...]`."""
    return -energy(of_models(logits, classes)) - np.asarray(logits, np.float64)[..., list(classes).index(REAL)]


def verdict(logits: np.ndarray, classes: Sequence[str], bounds: OpenSet | None) -> str:
    """The answer to one video's mean logits `[classes]`: REAL (real or unknown), NONE (a swap by none of these where
    `real` is a class, else none of these), or a model. Without bounds the likeliest class.
    """
    models = [name for name in classes if name != REAL]
    likeliest = models[int(of_models(logits, classes).argmax())]
    if REAL in classes:
        accused_above = bounds.real.threshold if bounds and bounds.real else 0.0
        if swap_evidence(logits, classes) <= accused_above:
            return REAL
    return NONE if bounds and energy(of_models(logits, classes)) > bounds.threshold else likeliest


def threshold(validation_logits: np.ndarray, accept: float = ACCEPT) -> float:
    """The smallest energy at or below which at least the share `accept` of the videos `[videos, classes]` lies.

    It is the energy of one of the videos; with fewer than 1 / (1 - accept) of them it is the highest.
    """
    return float(np.quantile(energy(validation_logits), accept, method="inverted_cdf"))


def describe(logits: np.ndarray, truths: Sequence[str], people: Sequence[str], classes: Sequence[str]) -> OpenSet:
    """What a classifier's file says of its open set, by the validation videos.

    logits `[videos, classes]`, each video's class, and the person in its frames; at least one is a swap.
    """
    real = np.array([truth == REAL for truth in truths])
    swaps = of_models(logits[~real], classes)
    bound = None
    if REAL in classes:
        evidence = swap_evidence(logits[real], classes)
        shown = {person for person, own in zip(people, real) if own}
        # Never below even odds: a bound of few, easy videos would call everything a swap.
        bound = RealBound(threshold=max([0.0, *evidence.tolist()]), videos=int(real.sum()), people=len(shown))
    return OpenSet(score="energy", threshold=threshold(swaps), accepted=ACCEPT, videos=len(swaps), real=bound)
