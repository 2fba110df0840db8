"""Face detectors with 68 landmarks, each one file, found by its name.

A detector's module has `build(predictor, weights, upsample, confidence, device) -> Detector`.
"""

import importlib
import pkgutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from dfdm.base.errors import DfdmError


@dataclass(frozen=True)
class Face:
    """A face in a frame: box float32 [4] (x0, y0, x1, y1), 68 iBUG landmarks float32 [68, 2], in pixels.

    `confidence` is on the detector's own scale: higher is surer.
    """

    box: np.ndarray
    landmarks: np.ndarray
    confidence: float


class Detector(Protocol):
    """Finds the faces of a frame."""

    def detect(self, rgb: np.ndarray) -> list[Face]:
        """Every face of an RGB uint8 [H, W, 3] frame, the surest first; an empty list where there is none."""
        ...


def names() -> list[str]:
    """Every detector's name: the modules of this package."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def build(
    name: str,
    predictor: Path | None = None,
    weights: Path | None = None,
    upsample: int = 0,
    confidence: float | None = None,
    device: str = "cpu",
) -> Detector:
    """Make a detector by its name.

    `predictor`: dlib's 68-point file. `weights`: the folder with face_alignment's two files. `upsample`: how
    often the frame is doubled before the search, for small faces. `confidence`: the least a face needs, None
    for the detector's own value. `device`: where networks run (auto, cpu, cuda). Raises DfdmError for an
    unknown name or a missing file.
    """
    if name not in names():
        raise DfdmError(f"faces.detector: '{name}' is unknown; known are {', '.join(names())}")
    module = importlib.import_module(f"{__name__}.{name}")
    detector: Detector = module.build(
        predictor=predictor, weights=weights, upsample=upsample, confidence=confidence, device=device
    )
    return detector
