"""Is a video by one of the known models at all? The energy of its logits, and the threshold that validation sets.

Source: Liu et al., NeurIPS 2020 (arXiv 2010.03759), at temperature 1: energy = -log(sum(exp(logits))). It falls with
the evidence for any of the classes, so a stranger should have a high one. What that is worth: docs/attribution.md,
Predict.
"""

import numpy as np
from scipy.special import logsumexp

from attribution.results import OpenSet

ACCEPT = 0.95  # share of the validation videos that the threshold takes for known
FEW = 60  # validation videos below which the threshold says little: 3 of them are the 5 % beyond it


def energy(logits: np.ndarray) -> np.ndarray:
    """Energy of logits `[..., classes]`: float64 `[...]`; higher is stranger."""
    return -logsumexp(np.asarray(logits, np.float64), axis=-1)


def threshold(validation_logits: np.ndarray, accept: float = ACCEPT) -> float:
    """The smallest energy at or below which at least the share `accept` of the videos `[videos, classes]` lies.

    It is the energy of one of the videos; with fewer than 1 / (1 - accept) of them it is the highest.
    """
    return float(np.quantile(energy(validation_logits), accept, method="inverted_cdf"))


def describe(validation_logits: np.ndarray) -> OpenSet:
    """What a classifier's file says of its open set: score, threshold, the share accepted, validation videos."""
    bound = threshold(validation_logits)
    return OpenSet(score="energy", threshold=bound, accepted=ACCEPT, videos=len(validation_logits))
