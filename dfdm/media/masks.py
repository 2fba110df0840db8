"""Where on a face the swap happens: masks drawn from landmarks, and their blur for training and rendering.

Source: docs/architectures.md, Faces (Masks) and Conversion 2. A stored mask is [128, 128] uint8 on the
face-centred crop with coverage 1; masks stay in 8 bits until they weigh pixels.
"""

from typing import Literal

import cv2
import numpy as np

from dfdm.media import alignment

Kind = Literal["components", "extended"]

SIZE = 128  # of a stored mask
_CANVAS = 256  # masks are drawn on this size, then reduced
_COMPONENTS = [
    [*range(9), 17],
    [*range(8, 17), 26],
    [17, 18, 19, 8],
    [24, 25, 26, 8],
    [19, 20, 21, 22, 23, 24, 8],
    [17, 18, 19, 20, 21, 27, 31, 32, 33, 34, 35, 8],
    [22, 23, 24, 25, 26, 27, 31, 32, 33, 34, 35, 8],
    [27, 28, 29, 30, 31, 32, 33, 34, 35],
]


def _raise_brows(landmarks: np.ndarray, floor: bool) -> np.ndarray:
    """Move each brow point off the eye below it by half their distance; `floor`: halves are whole pixels."""

    def half(values: np.ndarray) -> np.ndarray:
        return values // 2 if floor else values / 2

    left = half(landmarks[36] + half(landmarks[36] + landmarks[0]))
    right = half(landmarks[45] + half(landmarks[16] + landmarks[45]))
    below = np.stack([left, *landmarks[36:40], *landmarks[42:46], right])  # [10, 2]
    moved = landmarks.copy()
    moved[17:27] += half(landmarks[17:27] - below)
    return moved


def extended_polygon(landmarks: np.ndarray) -> np.ndarray:
    """The outline of the extended mask, [27, 2] float32 in the landmarks' pixels: jaw 0..16, brows 26..17."""
    moved = _raise_brows(np.asarray(landmarks, np.float64), floor=False)
    return np.concatenate([moved[:17], moved[26:16:-1]]).astype(np.float32)


def _fill_hull(canvas: np.ndarray, points: np.ndarray, value: float) -> None:
    cv2.fillConvexPoly(canvas, cv2.convexHull(np.rint(points).astype(np.int32)), value)


def draw_mask(landmarks: np.ndarray, kind: Kind, frame_size: tuple[int, int]) -> np.ndarray:
    """Draw a face's stored mask, [128, 128] uint8, from landmarks in frame pixels.

    Convex hulls with hard edges on 256 px, reduced by area; zero where the crop leaves the frame of
    `frame_size` (width, height).
    """
    matrix = alignment.aligned_matrix(landmarks, _CANVAS, "face")
    points = alignment.transform(landmarks, matrix)
    if kind == "extended":
        points = _raise_brows(points, floor=True)
    mask = np.zeros((_CANVAS, _CANVAS), np.float32)
    for part in _COMPONENTS:
        _fill_hull(mask, points[part], 1.0)
    width, height = frame_size
    corners = np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]])
    inside = np.zeros_like(mask)
    _fill_hull(inside, alignment.transform(corners, matrix), 1.0)
    return (cv2.resize(mask * inside, (SIZE, SIZE), interpolation=cv2.INTER_AREA) * 255).astype(np.uint8)


def threshold(mask: np.ndarray, percent: float) -> np.ndarray:
    """Set what is under `percent` % of 255 to 0 and what is over (100 - percent) % to 255, uint8."""
    low = 255 * percent / 100
    return np.where(mask < low, 0, np.where(mask > 255 - low, 255, mask)).astype(np.uint8)


def blur_mask(mask: np.ndarray, kernel: float, passes: int, kind: Literal["gaussian", "box"]) -> np.ndarray:
    """Blur a mask; `kernel` px is made odd, and halved after each pass of "box"; 0 px leaves the mask."""
    width = round(kernel)
    for _ in range(passes if width else 0):
        width |= 1
        if kind == "gaussian":
            mask = cv2.GaussianBlur(mask, (width, width), 0)
        else:
            mask = cv2.blur(mask, (width, width))
            width = round(width / 2)
    return mask


def erode(mask: np.ndarray, percent: float) -> np.ndarray:
    """Shrink a mask by `percent` % of its size on every side; a negative value grows it."""
    radius = round(abs(percent) / 100 * len(mask))
    if radius == 0:
        return mask
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    padded = cv2.copyMakeBorder(mask, radius, radius, radius, radius, cv2.BORDER_REPLICATE)
    changed = cv2.erode(padded, kernel) if percent > 0 else cv2.dilate(padded, kernel)
    return changed[radius:-radius, radius:-radius]


def training_mask(stored: np.ndarray, kernel: float = 3, dilation: float = 0) -> np.ndarray:
    """The mask that weighs training's loss, still [128, 128] uint8: threshold 4 %, dilation, Gaussian blur."""
    return blur_mask(erode(threshold(stored, 4), -dilation), kernel, passes=1, kind="gaussian")


def render_mask(stored: np.ndarray, percent: float = 4, kernel: float = 3, erosion: float = 0) -> np.ndarray:
    """The face mask rendering blends with, still [128, 128] uint8: threshold, erosion, four box blurs."""
    return blur_mask(erode(threshold(stored, percent), erosion), kernel, passes=4, kind="box")


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """Bring a square image or mask to `size`: cubic up, area down."""
    if len(image) == size:
        return image
    method = cv2.INTER_CUBIC if size > len(image) else cv2.INTER_AREA
    return cv2.resize(image, (size, size), interpolation=method)


def cut_mask(
    mask: np.ndarray,
    size: int,
    coverage: float,
    centering: alignment.Centering = "face",
    landmarks: np.ndarray | None = None,
) -> np.ndarray:
    """Cut a 128 px mask to the crop a model sees, [size, size] uint8: cubic up, area down.

    For centering "face" this is the middle of the mask. Any other centering needs the `landmarks` that the
    mask was drawn from.
    """
    if centering == "face":
        edge = (SIZE - int(SIZE * coverage // 2) * 2) // 2
        return resize(mask[edge : SIZE - edge, edge : SIZE - edge], size)
    if landmarks is None:
        raise ValueError("centerings other than face need the landmarks")
    stored = alignment.aligned_matrix(landmarks, SIZE, "face")
    wanted = alignment.aligned_matrix(landmarks, size, centering, coverage)
    between = np.vstack([wanted, [0, 0, 1]]) @ np.vstack([alignment.invert(stored), [0, 0, 1]])
    return alignment.warp(mask, between[:2], size)


def region_mask(regions: list[np.ndarray], size: int, dilate: int, blur: int) -> np.ndarray:
    """A soft mask of small regions, [size, size] float32 0..1: filled hulls, dilated, blurred.

    `regions`: the points [n, 2] of each hull in crop pixels. `dilate`: width in px of the ellipse; `blur`:
    kernel in px, made odd. Source: docs/architectures.md, Training.
    """
    mask = np.zeros((size, size), np.float32)
    for points in regions:
        _fill_hull(mask, points, 1.0)
    if dilate > 1:
        mask = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (dilate, dilate)))
    return blur_mask(mask, blur, passes=1, kind="gaussian")


def eye_regions(points: np.ndarray) -> list[np.ndarray]:
    """The two eyes' outlines out of 68 points: 36..41 and 42..47."""
    return [points[36:42], points[42:48]]


def mouth_region(points: np.ndarray) -> list[np.ndarray]:
    """The mouth's outer outline out of 68 points: 48..59."""
    return [points[48:60]]
