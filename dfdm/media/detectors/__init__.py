"""Face detectors with 68 landmarks, each one file, found by its name.

They are this package's modules, and those that installed packages name as entry points `dfdm.detectors`. A detector's
module has `build(predictor, weights, upsample, confidence, device) -> Detector`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from dfdm.base.registry import Registry


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


_REGISTRY = Registry("detector", "build", "dfdm.detectors", __name__, __path__)
names, package = _REGISTRY.names, _REGISTRY.package


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
    return _REGISTRY.load(name)(
        predictor=predictor, weights=weights, upsample=upsample, confidence=confidence, device=device
    )
