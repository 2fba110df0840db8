"""Pictures for the report: one frame of a video, the SYNTHETIC stamp, close-ups, and how they are embedded."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dfdm.media.colour import yuv_to_rgb
from dfdm.media.comments import commented
from dfdm.media.video import VideoRecord, read_one

STAMP_RGB = (155, 28, 28)
STAMP_TEXT = "SYNTHETIC"
BAR_RGB = (17, 17, 17)


def read_frame(path: Path, record: VideoRecord, index: int) -> np.ndarray:
    """One frame of an encoded scene, counted from its first: uint8 RGB [height, width, 3]."""
    return yuv_to_rgb(read_one(path, record, index), record.matrix, record.full_range)


def stamp(rgb: np.ndarray, detail: str = "", share: float = 0.11) -> np.ndarray:
    """A picture with a strip below it that says SYNTHETIC; `share` is the strip's part of the picture's height."""
    strip = max(14, round(len(rgb) * share))
    stamped = cv2.copyMakeBorder(rgb, 0, strip, 0, 0, cv2.BORDER_CONSTANT, value=STAMP_RGB)
    height, width = stamped.shape[:2]
    text = f"{STAMP_TEXT} {detail}".strip()
    scale, thickness = 1.0, 1
    for _ in range(2):  # a thicker font is wider
        (across, tall), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, scale, thickness)
        scale *= min(0.5 * strip / tall, 0.92 * width / across)
        thickness = max(1, round(scale * 1.4))
    (across, tall), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, scale, thickness)
    place = round((width - across) / 2), round(height - (strip - tall) / 2)
    cv2.putText(stamped, text, place, cv2.FONT_HERSHEY_DUPLEX, scale, (255, 255, 255), thickness, cv2.LINE_AA)
    return stamped


def close_up(rgb: np.ndarray, landmarks: np.ndarray, size: int, margin: float = 0.35) -> np.ndarray:
    """The square around a face, [size, size, 3], `margin` of the face's extent free on each side, edges repeated."""
    frame = (rgb.shape[1], rgb.shape[0])  # the square is within it
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    side = min(float((high - low).max()) * (1 + 2 * margin), *frame)
    left, top = (low + high) / 2 - side / 2
    top -= 0.1 * side  # landmarks end at the brows; the forehead belongs to the picture
    left, top = (min(max(start, 0), length - side) for start, length in zip((left, top), frame))
    scale = size / side
    window = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]], np.float64)  # frame to close-up pixels
    flags = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.warpAffine(rgb, window, (size, size), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def cover_eyes(rgb: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """A copy with a solid bar over brows and eyes, along the line of the eyes and out past both temples.

    `landmarks` is [68, 2] in the picture's own pixels.
    """
    covered = rgb.copy()
    cv2.fillConvexPoly(covered, np.rint(eye_bar(landmarks)).astype(np.int32), BAR_RGB)
    return covered


def eye_bar(landmarks: np.ndarray) -> np.ndarray:
    """The corners [4, 2] of the bar that `cover_eyes` fills."""
    left, right = landmarks[36:42].mean(axis=0), landmarks[42:48].mean(axis=0)
    distance = float(np.hypot(*(right - left)))
    along = (right - left) / distance
    across = np.array([-along[1], along[0]])
    centre = (left + right) / 2
    points = np.concatenate([landmarks[17:27], landmarks[36:48], landmarks[[0, 16]]]) - centre
    reach_left = (points @ along).min() - 0.25 * distance
    reach_right = (points @ along).max() + 0.25 * distance
    eyes_and_brows = points[:22] @ across
    top, bottom = eyes_and_brows.min() - 0.15 * distance, eyes_and_brows.max() + 0.3 * distance
    corners = [(reach_left, top), (reach_right, top), (reach_right, bottom), (reach_left, bottom)]
    return np.array([centre + x * along + y * across for x, y in corners])


def fit_width(rgb: np.ndarray, width: int) -> np.ndarray:
    """A picture no wider than `width`."""
    if rgb.shape[1] <= width:
        return rgb
    return cv2.resize(rgb, (width, round(rgb.shape[0] * width / rgb.shape[1])), interpolation=cv2.INTER_AREA)


def jpeg(rgb: np.ndarray, mark: Mapping[str, Any], quality: int = 85) -> bytes:
    """A picture as JPEG, with a mark in its comment."""
    _, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return commented(data.tobytes(), mark)


def png(rgba: np.ndarray) -> str:
    """A picture with transparency, uint8 RGBA, as a data address."""
    _, data = cv2.imencode(".png", rgba[..., [2, 1, 0, 3]])
    return embedded(data.tobytes(), "image/png")


def embedded(data: bytes, kind: str = "image/jpeg") -> str:
    """Bytes as a data address that an HTML file can hold."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
