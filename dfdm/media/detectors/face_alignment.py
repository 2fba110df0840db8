"""face-alignment: the S3FD detector and the 2DFAN-4 landmarks, from weight files that are on this machine."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dfdm.base.errors import DfdmError, reason
from dfdm.media.detectors import Face

DETECTOR_FILE = "s3fd-619a316812.pth"
LANDMARKS_FILE = "2DFAN4-11f355bf06.pth.tar"
_CONFIDENCE = 0.7  # the original's least confidence of S3FD


class FaceAlignmentDetector:
    """S3FD faces with FAN landmarks; confidence is S3FD's probability."""

    def __init__(self, weights: Path, upsample: int, confidence: float, device: str) -> None:
        try:
            import face_alignment
        except ImportError as error:
            raise DfdmError(
                f"the detector face_alignment cannot start ({error}); "
                "install it with pip install --no-deps face-alignment==1.5.0, and scikit-image and numba"
            ) from None
        import torch
        from face_alignment.models import FAN

        from dfdm.base.compute import resolve_device

        device = str(resolve_device(device))

        class LocalFaceAlignment(face_alignment.FaceAlignment):
            """The library's class, which would download the landmark network, reading our file instead."""

            def _load_native(self, network_name: str, network_size: int, device: str, dtype: Any) -> Any:
                network = FAN(network_size)
                state = torch.load(weights / LANDMARKS_FILE, map_location="cpu", weights_only=True)
                network.load_state_dict(state)
                return network.to(device, dtype=dtype).eval()

        try:
            self._finder = LocalFaceAlignment(
                face_alignment.LandmarksType.TWO_D,
                device=device,
                face_detector="sfd",
                face_detector_kwargs={"path_to_detector": str(weights / DETECTOR_FILE), "filter_threshold": confidence},
                compile=False,
            )
        except Exception as error:  # torch.load raises many kinds
            raise DfdmError(f"the weights in {weights} cannot be loaded ({reason(error)}); fetch them again") from None
        self._scale = 2**upsample

    def detect(self, rgb: np.ndarray) -> list[Face]:
        """Every face of an RGB uint8 [H, W, 3] frame, the surest first."""
        large = rgb if self._scale == 1 else cv2.resize(rgb, None, fx=self._scale, fy=self._scale)
        # float64 because the library puts single coordinates into tensors, which torch refuses of a float32
        found = np.array(self._finder.face_detector.detect_from_image(large), np.float64).reshape(-1, 5)
        if len(found) == 0:
            return []
        found = found[np.argsort(-found[:, 4], kind="stable")]
        found[:, :4] /= self._scale
        points = self._finder.get_landmarks_from_image(rgb, detected_faces=list(found))
        return [
            Face(box[:4].astype(np.float32), np.asarray(landmarks, np.float32), float(box[4]))
            for box, landmarks in zip(found, points)
        ]

    def landmarks(self, rgb: np.ndarray, box: np.ndarray) -> np.ndarray:
        """68 landmarks float32 [68, 2] of the face in a box (x0, y0, x1, y1)."""
        points = self._finder.get_landmarks_from_image(rgb, detected_faces=[np.append(box, 1).astype(np.float64)])
        return np.asarray(points[0], np.float32)


def build(
    predictor: Path | None, weights: Path | None, upsample: int, confidence: float | None, device: str
) -> FaceAlignmentDetector:
    """Make the detector; `weights` is the folder with its two files, `predictor` is not used."""
    if weights is None:
        raise DfdmError(f"set faces.weights to the folder with {DETECTOR_FILE} and {LANDMARKS_FILE}")
    missing = [name for name in (DETECTOR_FILE, LANDMARKS_FILE) if not (weights / name).is_file()]
    if missing:
        raise DfdmError(f"{weights} has no {' and '.join(missing)}; put face-alignment's weights there")
    return FaceAlignmentDetector(weights, upsample, _CONFIDENCE if confidence is None else confidence, device)
