"""What happens to videos on their way, done to test crops: other codecs, another size, noise, fewer frames.

Each takes all face frames of a video as they are cut out of it, uint8 RGB `[n, h, w, 3]`, and gives them as they would
look after it, in the same order. None is random. VP9, noise and half are never trained on (attribution/augment.py).
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from dfdm.media.recode import recode


def h265(frames: np.ndarray) -> np.ndarray:
    """H.265 at crf 28, its default."""
    return recode(frames, "libx265", crf=28, preset="fast", **{"x265-params": "log-level=none:pools=none"})


def vp9(frames: np.ndarray) -> np.ndarray:
    """VP9 at crf 33 and no bound on the rate."""
    return recode(frames, "libvpx-vp9", crf=33, b=0, deadline="realtime", **{"cpu-used": 8})


def again(frames: np.ndarray) -> np.ndarray:
    """H.264 once more, at crf 28."""
    return recode(frames, "libx264", crf=28)


def scaled(frames: np.ndarray) -> np.ndarray:
    """Shrunk to three quarters by area, and enlarged again."""
    height, width = frames.shape[1:3]
    small = (cv2.resize(frame, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA) for frame in frames)
    return np.stack([cv2.resize(frame, (width, height), interpolation=cv2.INTER_CUBIC) for frame in small])


def cut(frames: np.ndarray) -> np.ndarray:
    """A tenth cut off, half of it at each side."""
    high, wide = (round(side * 0.05) for side in frames.shape[1:3])
    return np.ascontiguousarray(frames[:, high : -high or None, wide : -wide or None])


def noise(frames: np.ndarray) -> np.ndarray:
    """Gaussian noise of 4 levels, the same in every video of this size and length."""
    values = frames + np.random.default_rng(0).normal(0, 4, frames.shape)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Treatment:
    """What is done to all face frames of a video, and of how many frames one is left."""

    apply: Callable[[np.ndarray], np.ndarray]
    every: int = 1

    def left(self, frames: int) -> int:
        """How many frames are left of so many."""
        return -(-frames // self.every)


def half(frames: np.ndarray) -> np.ndarray:
    """One frame in two."""
    return frames[::2]


TREATMENTS = {function.__name__: Treatment(function) for function in (h265, vp9, again, scaled, cut, noise)}
TREATMENTS["half"] = Treatment(half, every=2)
