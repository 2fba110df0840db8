"""dlib's CNN face detector (mmod), which finds small and turned faces too, with the 68-point shape predictor."""

from pathlib import Path

import dlib
import numpy as np

from dfdm.base.errors import DfdmError
from dfdm.media.detectors import Face
from dfdm.media.detectors.dlib import DlibDetector, predictor_of


class CnnDetector(DlibDetector):
    """CNN faces with 68 landmarks; confidence is the network's score, about 1 for a clear face."""

    def __init__(self, predictor: Path, weights: Path, upsample: int, threshold: float) -> None:
        super().__init__(predictor, upsample, threshold)
        try:
            self._network = dlib.cnn_face_detection_model_v1(str(weights))
        except RuntimeError as error:
            raise DfdmError(f"{weights} is not dlib's CNN face detector ({error}); fetch the file again") from None

    def detect(self, rgb: np.ndarray) -> list[Face]:
        """Every face of an RGB uint8 [H, W, 3] frame, the surest first."""
        rgb = np.ascontiguousarray(rgb)
        found = sorted(self._network(rgb, self._upsample), key=lambda one: -one.confidence)
        return [self._face(rgb, one.rect, one.confidence) for one in found if one.confidence >= self._threshold]


def build(
    predictor: Path | None, weights: Path | None, upsample: int, confidence: float | None, device: str
) -> CnnDetector:
    """Make the detector; `predictor` and `weights`, mmod_human_face_detector.dat, are needed, `device` is not used."""
    if weights is None or not weights.is_file():
        where = f"{weights} is not a file" if weights else "no network is given"
        raise DfdmError(f"{where}; set faces.weights to mmod_human_face_detector.dat")
    return CnnDetector(predictor_of(predictor), weights, upsample, 0.0 if confidence is None else confidence)
