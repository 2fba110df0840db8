"""dlib: the HOG face detector and the 68-point shape predictor, on the CPU."""

from pathlib import Path

import dlib
import numpy as np

from dfdm.base.errors import DfdmError
from dfdm.media.detectors import Face


class DlibDetector:
    """HOG faces with 68 landmarks; confidence is the detector's score, 0 its own threshold."""

    def __init__(self, predictor: Path, upsample: int, threshold: float) -> None:
        try:
            self._predict = dlib.shape_predictor(str(predictor))
        except RuntimeError as error:
            raise DfdmError(f"{predictor} is not a dlib shape predictor ({error}); fetch the file again") from None
        self._search = dlib.get_frontal_face_detector()
        self._upsample = upsample
        self._threshold = threshold

    def detect(self, rgb: np.ndarray) -> list[Face]:
        """Every face of an RGB uint8 [H, W, 3] frame, the surest first."""
        rgb = np.ascontiguousarray(rgb)
        boxes, scores, _ = self._search.run(rgb, self._upsample, self._threshold)
        return [self._face(rgb, box, score) for box, score in zip(boxes, scores)]

    def _face(self, rgb: np.ndarray, box: dlib.rectangle, score: float) -> Face:
        points = self._predict(rgb, box)
        landmarks = np.array([(point.x, point.y) for point in points.parts()], np.float32)
        if len(landmarks) != 68:
            raise DfdmError(f"faces.predictor finds {len(landmarks)} points; give dlib's 68-point file")
        return Face(np.array([box.left(), box.top(), box.right(), box.bottom()], np.float32), landmarks, float(score))


def build(
    predictor: Path | None, weights: Path | None, upsample: int, confidence: float | None, device: str
) -> DlibDetector:
    """Make the detector; `predictor` is needed, `weights` and `device` are not used."""
    if predictor is None or not predictor.is_file():
        where = f"{predictor} does not exist" if predictor else "no landmark predictor is given"
        raise DfdmError(f"{where}; set faces.predictor to shape_predictor_68_face_landmarks.dat")
    return DlibDetector(predictor, upsample, confidence or 0.0)
