"""dlib: the HOG face detector and the 68-point shape predictor, on the CPU."""

from pathlib import Path

import dlib
import numpy as np

from dfdm.base.errors import DfdmError
from dfdm.media.alignment import eye_distance
from dfdm.media.detectors import Face

# The score of 99 of 100 upright faces of 25 people is above it, that of half of the upside-down ones below 0.05.
_CONFIDENCE = 0.2
_SURE = 0.7  # from this score on a face is upright; below it the other ways up are tried
_SHIFTS = ((0.06, 0), (-0.06, 0), (0, 0.06), (0, -0.06))  # of the box, in its widths


class DlibDetector:
    """HOG faces with 68 landmarks; confidence is the detector's score, above 0 at its own threshold."""

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
        return [
            self._face(rgb, box, score)
            for box, score in zip(boxes, scores)
            if score >= _SURE or self._upright(rgb, box, score)
        ]

    def _upright(self, rgb: np.ndarray, box: dlib.rectangle, score: float) -> bool:
        """Whether no turn of its surroundings shows a surer face: one that stands on its head looks like a poor one."""
        middle, reach = box.center(), box.width()
        rows = slice(max(0, middle.y - reach), middle.y + reach)
        around = rgb[rows, max(0, middle.x - reach) : middle.x + reach]
        for quarters in (1, 2, 3):
            _, scores, _ = self._search.run(np.ascontiguousarray(np.rot90(around, quarters)), self._upsample, score)
            if len(scores):
                return False
        return True

    def _face(self, rgb: np.ndarray, box: dlib.rectangle, score: float) -> Face:
        landmarks = self._landmarks(rgb, box)
        if len(landmarks) != 68:
            raise DfdmError(f"faces.predictor finds {len(landmarks)} points; give dlib's 68-point file")
        corners = np.array([box.left(), box.top(), box.right(), box.bottom()], np.float32)
        return Face(corners, landmarks, float(score), self._spread(rgb, box, landmarks))

    def landmarks(self, rgb: np.ndarray, box: np.ndarray) -> np.ndarray:
        """68 landmarks float32 [68, 2] of the face in a box (x0, y0, x1, y1)."""
        return self._landmarks(np.ascontiguousarray(rgb), dlib.rectangle(*(round(float(side)) for side in box)))

    def _landmarks(self, rgb: np.ndarray, box: dlib.rectangle) -> np.ndarray:
        points = self._predict(rgb, box)
        return np.array([(point.x, point.y) for point in points.parts()], np.float32)

    def _spread(self, rgb: np.ndarray, box: dlib.rectangle, landmarks: np.ndarray) -> float:
        """The landmark that moves most with the box: the median of its ways, in distances of the eyes."""
        moved = []
        for across, down in _SHIFTS:
            shift = dlib.point(round(across * box.width()), round(down * box.width()))
            moved.append(np.linalg.norm(self._landmarks(rgb, dlib.translate_rect(box, shift)) - landmarks, axis=1))
        return float(np.median(moved, axis=0).max() / max(eye_distance(landmarks), 1e-6))


def build(
    predictor: Path | None, weights: Path | None, upsample: int, confidence: float | None, device: str
) -> DlibDetector:
    """Make the detector; `predictor` is needed, `weights` and `device` are not used."""
    return DlibDetector(predictor_of(predictor), upsample, _CONFIDENCE if confidence is None else confidence)


def predictor_of(path: Path | None) -> Path:
    """The landmark predictor's file, which must be there."""
    if path is None or not path.is_file():
        where = f"{path} does not exist" if path else "no landmark predictor is given"
        raise DfdmError(f"{where}; set faces.predictor to shape_predictor_68_face_landmarks.dat")
    return path
