"""Where a face is: the similarity transform from landmarks to a square crop, and the head's pose.

Source: docs/architectures.md, Faces. Pixel coordinates are OpenCV's: (0, 0) is the centre of the first pixel.
Landmarks are the 68 iBUG points, [68, 2], x then y.
"""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from dfdm.base.errors import DfdmError

Centering = Literal["legacy", "face", "head"]
Crop = Literal["exact", "2021"]

PADDING: dict[str, float] = {"legacy": 0.375, "face": 0.5, "head": 0.625}  # share of the crop that is padding

# fmt: off
_MEAN_X = [
    0.010086, 0.085135, 0.191003, 0.300643, 0.403270, 0.596729, 0.699356, 0.808997, 0.914864, 0.989913,
    0.5, 0.5, 0.5, 0.5, 0.376753, 0.435909, 0.5, 0.564090, 0.623246, 0.131610, 0.196995, 0.275698,
    0.344479, 0.270791, 0.192616, 0.655520, 0.724301, 0.803005, 0.868389, 0.807383, 0.729208, 0.264022,
    0.350858, 0.438731, 0.5, 0.561268, 0.649141, 0.735977, 0.652032, 0.566594, 0.5, 0.433405, 0.347967,
    0.300252, 0.437969, 0.5, 0.562030, 0.699747, 0.563237, 0.5, 0.436763,
]
_MEAN_Y = [
    0.106454, 0.038915, 0.018748, 0.034489, 0.077391, 0.077391, 0.034489, 0.018748, 0.038915, 0.106454,
    0.203352, 0.307009, 0.409805, 0.515625, 0.587326, 0.609345, 0.628106, 0.609345, 0.587326, 0.216423,
    0.178758, 0.179852, 0.231733, 0.245099, 0.244077, 0.231733, 0.179852, 0.178758, 0.216423, 0.244077,
    0.245099, 0.780233, 0.745405, 0.727388, 0.742578, 0.727388, 0.745405, 0.780233, 0.864805, 0.902192,
    0.909281, 0.902192, 0.864805, 0.784792, 0.778746, 0.785343, 0.778746, 0.784792, 0.824182, 0.831803,
    0.824182,
]
_POSE_POINTS = [
    6, 7, 8, 9, 10, 17, 21, 22, 26, 31, 32, 33, 34, 35, 36, 39, 42, 45, 48, 50, 51, 52, 54, 56, 57, 58,
]
_HEAD = np.array([  # those landmarks in space; x grows towards the image's left
    (4.056931, -11.432347, 1.636229), (1.833492, -12.542305, 4.061275), (0, -12.901019, 4.070434),
    (-1.833492, -12.542305, 4.061275), (-4.056931, -11.432347, 1.636229), (6.825897, 1.275284, 4.402142),
    (1.330353, 1.636816, 6.903745), (-1.330353, 1.636816, 6.903745), (-6.825897, 1.275284, 4.402142),
    (1.930245, -5.060977, 5.914376), (0.746313, -5.136947, 6.263227), (0, -5.485328, 6.76343),
    (-0.746313, -5.136947, 6.263227), (-1.930245, -5.060977, 5.914376), (5.311432, 0, 3.987654),
    (1.78993, -0.091703, 4.413414), (-1.78993, -0.091703, 4.413414), (-5.311432, 0, 3.987654),
    (2.774015, -7.566103, 5.048531), (0.509714, -7.056507, 6.566167), (0, -7.131772, 6.704956),
    (-0.509714, -7.056507, 6.566167), (-2.774015, -7.566103, 5.048531), (-0.589441, -8.443925, 6.109526),
    (0, -8.601736, 6.097667), (0.589441, -8.443925, 6.109526),
])
# fmt: on
MEAN_FACE = np.stack([_MEAN_X, _MEAN_Y], axis=1)  # [51, 2], landmarks 17..67 of the mean face in the unit square
_CAMERA = np.array([[4, 0, 0.5], [0, 4, 0.5], [0, 0, 1.0]])
_CENTRES = {"face": (0, -1.5, 4.2), "head": (0, 0, -2.3)}  # what the crop is centred on, in the head's space


@dataclass(frozen=True)
class Pose:
    """The head's pose: rotation and translation vectors [3, 1], pitch and yaw in degrees.

    `offsets`: for each centering, its crop's centre [2] from the middle of the unit square.
    """

    rotation: np.ndarray
    translation: np.ndarray
    pitch: float
    yaw: float
    offsets: dict[str, np.ndarray]


def umeyama(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The similarity (rotation, scale, shift; no mirroring) that brings `source` closest to `target`.

    Both [n, 2]; returns [2, 3] float64. Least squares, after Umeyama (1991). Raises DfdmError when all the
    source points are one.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    from_mean = source - source_mean
    variance = from_mean.var(axis=0).sum()
    if not variance > 0:  # also false for NaN
        raise DfdmError("these landmarks are all one point, so no face can be aligned; drop the frame")
    u, values, vt = np.linalg.svd((target - target_mean).T @ from_mean / len(source))
    signs = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt)) or 1.0])
    linear = (u * signs) @ vt * (values @ signs / variance)  # [2, 2]
    return np.column_stack([linear, target_mean - linear @ source_mean])


def transform(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Map points [n, 2] through an affine matrix [2, 3]; returns [n, 2] float64."""
    return np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]


def invert(matrix: np.ndarray) -> np.ndarray:
    """The affine matrix [n, n + 1] that takes back what `matrix` did."""
    linear = np.linalg.inv(matrix[:, :-1])
    return np.column_stack([linear, -linear @ matrix[:, -1]])


def legacy_matrix(landmarks: np.ndarray) -> np.ndarray:
    """The similarity from frame pixels into the unit square of the mean face, [2, 3]."""
    return umeyama(landmarks[17:], MEAN_FACE)


def pose(landmarks: np.ndarray) -> Pose:
    """The head's pose by solvePnP on the landmarks in the unit square (docs/architectures.md, Faces)."""
    points = transform(landmarks, legacy_matrix(landmarks))[_POSE_POINTS]
    _, rotation, translation = cv2.solvePnP(_HEAD, points, _CAMERA, None, flags=cv2.SOLVEPNP_ITERATIVE)
    centres = np.array(list(_CENTRES.values()))
    projected, _ = cv2.projectPoints(centres, rotation, translation, _CAMERA, None)
    offsets = dict(zip(_CENTRES, projected[:, 0] - 0.5))
    matrix = np.column_stack([cv2.Rodrigues(rotation)[0], np.zeros(3)])
    angles = cv2.decomposeProjectionMatrix(matrix)[-1].ravel()
    return Pose(rotation, translation, float(angles[0]), float(angles[1]), {"legacy": np.zeros(2), **offsets})


def misfit(landmarks: np.ndarray) -> tuple[float, float]:
    """How little landmarks [68, 2] look like a head's: RMS distances in widths of the mean face.

    First across the face from a head in the pose that they show (an open mouth moves nothing across): up to 0.052 for
    faces of six people, 0.07 and more where one side of the jaw lies a quarter of the face off. Then from the mean
    face: up to 0.087, 0.3 and more where they are mirrored or out of order.
    """
    points, found = transform(landmarks, legacy_matrix(landmarks)), pose(landmarks)
    projected, _ = cv2.projectPoints(_HEAD, found.rotation, found.translation, _CAMERA, None)
    across = projected[:, 0, 0] - points[_POSE_POINTS, 0]
    from_mean = ((points[17:] - MEAN_FACE) ** 2).sum(axis=1)
    return float(np.sqrt((across**2).mean())), float(np.sqrt(from_mean.mean()))


def aligned_matrix(
    landmarks: np.ndarray, size: int, centering: Centering, coverage: float = 1.0, crop: Crop = "exact"
) -> np.ndarray:
    """The similarity from frame pixels to the pixels of a `size` x `size` crop, [2, 3] float64.

    `coverage` is the share of the full crop that is seen. `crop` "2021" pads as the original did then: right
    for coverage 1, a larger face below it.
    """
    matrix = legacy_matrix(landmarks)
    if centering != "legacy":
        matrix[:, 2] -= pose(landmarks).offsets[centering]
    share = 1 - PADDING[centering]
    scale = size * share / coverage if crop == "exact" else size - 2 * round(size * (coverage - share) / 2)
    matrix *= scale
    matrix[:, 2] += (size - scale) / 2
    return matrix


def scale_of(matrix: np.ndarray) -> float:
    """How much a similarity [2, 3] enlarges."""
    return float(np.hypot(matrix[0, 0], matrix[1, 0]))


def warp(image: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Cut a crop [size, size, C] out of an image [H, W, C]: cubic to enlarge, else linear; zeros outside."""
    flags = cv2.INTER_CUBIC if scale_of(matrix) >= 1 else cv2.INTER_LINEAR
    return cv2.warpAffine(image, matrix, (size, size), flags=flags)


def align(
    image: np.ndarray,
    landmarks: np.ndarray,
    size: int,
    centering: Centering,
    coverage: float = 1.0,
    crop: Crop = "exact",
) -> np.ndarray:
    """The aligned face of an image [H, W, C] uint8 or float32: [size, size, C] of the same type.

    Shrinking is linear, as the original's "area" is in an affine warp (docs/architectures.md, Faces).
    """
    return warp(image, aligned_matrix(landmarks, size, centering, coverage, crop), size)


def eye_distance(landmarks: np.ndarray) -> float:
    """The distance between the middles of the two eyes, in pixels."""
    return float(np.linalg.norm(landmarks[36:42].mean(axis=0) - landmarks[42:48].mean(axis=0)))
