"""How good a swap is: plain functions on arrays. What each figure means: docs/architectures.md, Evaluation."""

import cv2
import numpy as np

from dfdm.media import alignment

INNER = slice(17, 68)  # landmarks without the jaw, which a swap only partly covers
_CAP = 1e-10  # least squared error that PSNR distinguishes: 100 dB


def ssim(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> float:
    """Structural similarity of two pictures [H, W, 3] uint8, averaged by `weight` [H, W]; NaN where that is empty.

    Gaussian window of sigma 1.5, a channel at a time, as Wang et al. 2004; 1 is equal.
    """
    from skimage.metrics import structural_similarity

    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    _, each = structural_similarity(first, second, channel_axis=-1, data_range=255, full=True, **window)
    return _average(each.mean(-1), weight)


def psnr(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two pictures [H, W, 3] uint8 in dB, averaged by `weight` [H, W]; at most 100."""
    error = (first.astype(np.float64) - second) ** 2 / 255**2
    return -10 * float(np.log10(max(_average(error.mean(-1), weight), _CAP)))


def _average(values: np.ndarray, weight: np.ndarray) -> float:
    total = float(weight.sum(dtype=np.float64))
    return float((values * weight).sum(dtype=np.float64)) / total if total else float("nan")


def detail(luma: np.ndarray, inside: np.ndarray) -> float:
    """Variance of the Laplacian of a luma plane [H, W] over the pixels `inside` (bool [H, W])."""
    return float(cv2.Laplacian(luma.astype(np.float64), cv2.CV_64F)[inside].var())


def change(luma: np.ndarray, before: np.ndarray, inside: np.ndarray) -> float:
    """Mean absolute difference of two luma planes [H, W] over the pixels `inside` (bool [H, W])."""
    return float(np.abs(luma[inside].astype(np.float64) - before[inside]).mean())


def rim(inside: np.ndarray, width: int) -> np.ndarray:
    """The outermost `width` px of a region, bool [H, W]: what a square of that radius around it would leave."""
    padded = np.pad(inside.astype(np.uint8), width)  # the picture's edge is an edge of the region too
    kernel = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    return inside & ~cv2.erode(padded, kernel)[width:-width, width:-width].astype(bool)


def colour_difference(first: np.ndarray, second: np.ndarray, where: np.ndarray) -> float:
    """Mean CIEDE2000 difference of two pictures [H, W, 3] RGB uint8 over the pixels `where` (bool [H, W])."""
    from skimage.color import deltaE_ciede2000, rgb2lab

    return float(deltaE_ciede2000(rgb2lab(first[where]), rgb2lab(second[where])).mean())


def uneven_colour(first: np.ndarray, second: np.ndarray, where: np.ndarray) -> float:
    """How blotchy the first of two pictures [H, W, 3] RGB uint8 is over the pixels `where` (bool [H, W]).

    The 95th percentile of the distance in CIE a*b*, after the mean difference is taken off.
    """
    from skimage.color import rgb2lab

    difference = (rgb2lab(first[where]) - rgb2lab(second[where]))[:, 1:]  # [n, 2]
    return float(np.percentile(np.linalg.norm(difference - difference.mean(0), axis=1), 95))


def eye_opening(landmarks: np.ndarray) -> float:
    """How open the eyes of a face [68, 2] are: the lids' distance as a share of the eye's width, mean of both."""
    eyes = landmarks[36:48].reshape(2, 6, 2).astype(np.float64)
    lids = np.linalg.norm(eyes[:, [1, 2]] - eyes[:, [5, 4]], axis=2).mean(1)  # [2]
    return float((lids / np.linalg.norm(eyes[:, 0] - eyes[:, 3], axis=1)).mean())


def landmark_error(found: np.ndarray, original: np.ndarray) -> float:
    """Mean distance of the 51 inner landmarks of two faces [68, 2], as a share of the original's eye distance."""
    distances = np.linalg.norm(found[INNER].astype(np.float64) - original[INNER], axis=1)
    return float(distances.mean() / alignment.eye_distance(original))
