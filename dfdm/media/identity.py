"""Whose face it is: dlib's face recognition network, 128 numbers a face."""

from pathlib import Path

import dlib
import numpy as np

from dfdm.base.errors import DfdmError

SAME_PERSON = 0.6  # distance below which dlib's authors call two faces one person's


class Embedder:
    """Describes faces by unit-free vectors whose Euclidean distance is small for one person, large for two."""

    def __init__(self, network: Path) -> None:
        try:
            self._network = dlib.face_recognition_model_v1(str(network))
        except RuntimeError as error:
            raise DfdmError(f"{network} is not a dlib face recognition network ({error}); fetch it again") from None

    def describe(self, rgb: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """The face [128] float64 that 68 landmarks [68, 2] mark in a picture [H, W, 3] RGB uint8."""
        low, high = landmarks.min(axis=0), landmarks.max(axis=0)
        box = dlib.rectangle(*np.rint([*low, *high]).astype(int).tolist())
        points = [dlib.point(int(x), int(y)) for x, y in np.rint(landmarks)]
        found = dlib.full_object_detection(box, points)
        return np.array(self._network.compute_face_descriptor(np.ascontiguousarray(rgb), found))
