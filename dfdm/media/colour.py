"""I420 planes to RGB and back: BT.601, BT.709 and BT.2020, limited and full range.

Matrices are H.273 numbers; None (not said) is BT.601, and None for the range is limited. Chroma is in the
middle of its 2 x 2 block of pixels: linear on the way up, the block's mean on the way down.
"""

import cv2
import numpy as np

from dfdm.base.errors import DfdmError
from dfdm.media.alignment import invert
from dfdm.media.planes import split_planes

Region = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels, all even, x1 and y1 outside

_WEIGHTS = {  # H.273 number: the shares of red and blue in luma
    1: (0.2126, 0.0722),  # BT.709
    4: (0.30, 0.11),  # FCC
    5: (0.299, 0.114),  # BT.601 (PAL)
    6: (0.299, 0.114),  # BT.601 (NTSC)
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020
}


def _to_yuv(matrix: int | None, full_range: bool | None) -> np.ndarray:
    """The affine map [3, 4] from RGB 0..255 to YUV 0..255."""
    try:
        red, blue = _WEIGHTS[6 if matrix is None else matrix]
    except KeyError:
        raise DfdmError(f"colour matrix {matrix} (H.273) is not supported; convert the video to BT.709 first") from None
    luma = np.array([red, 1 - red - blue, blue])
    linear = np.stack([luma, ([0, 0, 1] - luma) / (2 - 2 * blue), ([1, 0, 0] - luma) / (2 - 2 * red)])
    if full_range:
        return np.column_stack([linear, [0, 128, 128]])
    return np.column_stack([linear * np.array([[219], [224], [224]]) / 255, [16, 128, 128]])


def crop_i420(planes: np.ndarray, region: Region) -> np.ndarray:
    """Cut a region out of I420 planes [H * 3 / 2, W]: an I420 array of the region's size."""
    x0, y0, x1, y1 = region
    cut = np.empty(((y1 - y0) * 3 // 2, x1 - x0), planes.dtype)
    sources = split_planes(planes)
    for index, (target, source) in enumerate(zip(split_planes(cut), sources)):
        half = 1 if index == 0 else 2
        target[:] = source[y0 // half : y1 // half, x0 // half : x1 // half]
    return cut


def yuv_to_rgb(
    planes: np.ndarray, matrix: int | None, full_range: bool | None, region: Region | None = None
) -> np.ndarray:
    """Convert I420 uint8 [H * 3 / 2, W], or one region of it, to RGB uint8 [h, w, 3].

    Raises DfdmError for a matrix that is none of the three (or their predecessors).
    """
    if region is not None:
        planes = crop_i420(planes, region)
    luma, *chroma = split_planes(planes)
    size = (luma.shape[1], luma.shape[0])
    yuv = cv2.merge([luma, *(cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in chroma)])
    return cv2.transform(yuv, invert(_to_yuv(matrix, full_range)))


def rgb_to_yuv(rgb: np.ndarray, matrix: int | None, full_range: bool | None) -> np.ndarray:
    """Convert RGB [h, w, 3] (0..255, uint8 or float32) to YUV float32 [h, w, 3] of full chroma size."""
    return cv2.transform(np.asarray(rgb, np.float32), _to_yuv(matrix, full_range))


def halve(plane: np.ndarray) -> np.ndarray:
    """The mean of each 2 x 2 block, [h / 2, w / 2]."""
    return cv2.resize(plane, (plane.shape[1] // 2, plane.shape[0] // 2), interpolation=cv2.INTER_AREA)
