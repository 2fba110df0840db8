"""Face detectors with 68 landmarks, each one file, found by its name.

They are this package's modules, and those that installed packages name as entry points `dfdm.detectors`. A detector's
module has `build(predictor, weights, upsample, confidence, device) -> Detector`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from dfdm.base.registry import Registry


@dataclass(frozen=True)
class Face:
    """A face in a frame: box float32 [4] (x0, y0, x1, y1), 68 iBUG landmarks float32 [68, 2], in pixels.

    `confidence` is on the detector's own scale: higher is surer. `spread`: how far a landmark moves, in distances of
    the eyes, where the box is shifted a little; 0 where the detector does not try.
    """

    box: np.ndarray
    landmarks: np.ndarray
    confidence: float
    spread: float = 0.0


class Detector(Protocol):
    """Finds the faces of a frame."""

    def detect(self, rgb: np.ndarray) -> list[Face]:
        """Every face of an RGB uint8 [H, W, 3] frame, the surest first; an empty list where there is none."""
        ...


@runtime_checkable
class Following(Protocol):
    """A detector that also places landmarks where a face is known to be."""

    def landmarks(self, rgb: np.ndarray, box: np.ndarray) -> np.ndarray:
        """68 landmarks float32 [68, 2] of the face in a box (x0, y0, x1, y1) of an RGB uint8 [H, W, 3] frame."""
        ...


_REGISTRY = Registry("detector", "build", "dfdm.detectors", __name__, __path__)
names, package = _REGISTRY.names, _REGISTRY.package


class Turning:
    """A detector that looks at a frame turned by each of `angles` (degrees, anticlockwise)."""

    def __init__(self, detector: Detector, angles: Sequence[int]) -> None:
        self._detector, self._angles = detector, angles

    def detect(self, rgb: np.ndarray) -> list[Face]:
        """Every face of an RGB uint8 [H, W, 3] frame at the angle that shows the surest one, the surest first."""
        found: list[list[Face]] = [[]]
        for angle in self._angles:
            turned = np.ascontiguousarray(np.rot90(rgb, angle // 90))
            faces = self._detector.detect(turned)
            found.append([_turned_back(face, angle // 90, turned.shape) for face in faces])
        return max(found, key=lambda faces: faces[0].confidence if faces else -np.inf)


def _turned_back(face: Face, quarters: int, shape: tuple[int, ...]) -> Face:
    """A face of a turned frame of a shape [H, W, 3], in the pixels of the frame itself."""
    points = np.concatenate([face.landmarks, face.box.reshape(2, 2)])
    height, width = shape[:2]
    for _ in range(quarters):
        points = np.stack([height - 1 - points[:, 1], points[:, 0]], axis=1)
        height, width = width, height
    corners = points[-2:]
    box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    return replace(face, box=box.astype(np.float32), landmarks=points[:-2].astype(np.float32))


def build(
    name: str,
    predictor: Path | None = None,
    weights: Path | None = None,
    upsample: int = 0,
    confidence: float | None = None,
    device: str = "cpu",
    rotate: Sequence[int] = (0,),
) -> Detector:
    """Make a detector by its name.

    `predictor`: dlib's 68-point file. `weights`: the folder with face_alignment's two files. `upsample`: how
    often the frame is doubled before the search, for small faces. `confidence`: the least a face needs, None
    for the detector's own value. `device`: where networks run (auto, cpu, cuda). `rotate`: see Turning.
    Raises DfdmError for an unknown name or a missing file.
    """
    detector = _REGISTRY.load(name)(
        predictor=predictor, weights=weights, upsample=upsample, confidence=confidence, device=device
    )
    return detector if tuple(rotate) == (0,) else Turning(detector, rotate)
