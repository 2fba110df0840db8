"""Whole-frame treatments of training clips, so that a classifier does not take a camera, a size or a codec for a model.

Each is applied to all frames of a clip alike, swapped and real ones: a real face becomes as soft as a swap's and stays
real, since what surrounds it does too. Everything is drawn from the generator that is given.
"""

from collections.abc import Callable

import cv2
import numpy as np

from dfdm.media.recode import recode

UNTREATED = 0.375  # share of the clips that stay as they are: evidence that treatments hide is learned from these
LARGEST = 256  # px; larger crops are shrunk first: a treatment of more pixels says no more and takes longer


def augment(frames: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A clip treated, or as it is: uint8 RGB `[T, h, w, 3]`, of the same height and width but for LARGEST."""
    if random.random() < UNTREATED:
        return frames
    side = max(frames.shape[1:3])
    if side > LARGEST:
        frames = _each(frames, lambda frame: cv2.resize(frame, None, fx=LARGEST / side, fy=LARGEST / side,
                                                        interpolation=cv2.INTER_AREA))  # fmt: skip
    for chance, treatment in ((0.7, moved), (0.6, recoloured), (0.55, softened), (0.2, noised), (0.65, compressed)):
        if random.random() < chance:
            frames = treatment(frames, random)
    return np.ascontiguousarray(frames)


def moved(frames: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Turned by up to 4 degrees, scaled by 0.9 to 1.08, shifted by up to 5 %: as a detector's boxes differ."""
    height, width = frames.shape[1:3]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-4, 4), random.uniform(0.9, 1.08))
    matrix[:, 2] += random.uniform(-0.05, 0.05, 2) * (width, height)
    warp = {"flags": cv2.INTER_CUBIC, "borderMode": cv2.BORDER_REFLECT}
    return _each(frames, lambda frame: cv2.warpAffine(frame, matrix, (width, height), **warp))


def recoloured(frames: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Another gamma (0.75 to 1.3), contrast by colour (0.7 to 1.4) and brightness (up to 12 of 255)."""
    gain = random.uniform(0.8, 1.2, 3) * random.uniform(0.87, 1.15)  # [3]
    curve = (np.arange(256) / 255) ** random.uniform(0.75, 1.3) * 255  # [256]
    values = curve[:, None] * gain + random.uniform(-12, 12)  # [256, 3]
    lookup = np.clip(values, 0, 255).astype(np.uint8)[None]  # [1, 256, 3]
    return _each(frames, lambda frame: cv2.LUT(frame, lookup))


def softened(frames: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Shrunk to 0.35 to 0.9 of the size and enlarged again, or blurred by 0.4 to 1.8 px."""
    height, width = frames.shape[1:3]
    if random.random() < 0.36:
        sigma = random.uniform(0.4, 1.8)
        return _each(frames, lambda frame: cv2.GaussianBlur(frame, (0, 0), sigma))
    scale, method = random.uniform(0.35, 0.9), (cv2.INTER_LINEAR, cv2.INTER_CUBIC)[int(random.integers(2))]

    def small(frame: np.ndarray) -> np.ndarray:
        shrunk = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        return cv2.resize(shrunk, (width, height), interpolation=method)

    return _each(frames, small)


def noised(frames: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Gaussian noise of 1 to 6 levels."""
    noise = random.normal(0, random.uniform(1, 6), frames.shape)
    return np.clip(np.rint(frames + noise), 0, 255).astype(np.uint8)


def compressed(frames: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Coded again: H.264 at crf 16 to 33, three times of four, else JPEG at quality 40 to 94."""
    if random.random() < 0.75:
        return recode(frames, "libx264", crf=int(random.integers(16, 34)), preset="veryfast")
    quality = int(random.integers(40, 95))
    return _each(frames, lambda frame: _jpeg(frame, quality))


def _jpeg(frame: np.ndarray, quality: int) -> np.ndarray:
    _, data = cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def _each(frames: np.ndarray, of_one: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    return np.stack([of_one(frame) for frame in frames])
