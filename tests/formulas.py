"""The facts of docs/architectures.md as formulas in numpy and scipy: the references that tests compare with.

Written from the page, tables included; nothing here uses the code under test or OpenCV.
"""

import re
from functools import cache
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation

PAGE = Path(__file__).parent.parent / "docs/architectures.md"
PADDING = {"legacy": 0.375, "face": 0.5, "head": 0.625}
CENTRES = {"face": (0, -1.5, 4.2), "head": (0, 0, -2.3)}
SMALL_GAUSSIANS = {3: [1, 2, 1], 5: [1, 4, 6, 4, 1], 7: [2, 7, 14, 18, 14, 7, 2], 9: [4, 13, 30, 51, 60, 51, 30, 13, 4]}
# fmt: off
COMPONENTS = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 17], [8, 9, 10, 11, 12, 13, 14, 15, 16, 26], [17, 18, 19, 8], [24, 25, 26, 8],
    [19, 20, 21, 22, 23, 24, 8], [17, 18, 19, 20, 21, 27, 31, 32, 33, 34, 35, 8],
    [22, 23, 24, 25, 26, 27, 31, 32, 33, 34, 35, 8], [27, 28, 29, 30, 31, 32, 33, 34, 35],
]
# fmt: on


@cache
def mean_face() -> np.ndarray:
    """The page's mean points of landmarks 17..67, [51, 2]."""
    rows = re.findall(r"^\| \d\d-\d\d \| ([-.\d ]+) \| ([-.\d ]+) \|$", PAGE.read_text(), re.M)
    return np.array([[float(v) for row in rows for v in row[axis].split()] for axis in (0, 1)]).T


@cache
def head() -> dict[int, tuple[float, ...]]:
    """The page's head points by landmark."""
    found = re.findall(r"\| (\d+) \| (-?[.\d]+), (-?[.\d]+), (-?[.\d]+) (?=\|)", PAGE.read_text())
    return {int(number): tuple(map(float, point)) for number, *point in found}


def similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The least-squares similarity [2, 3], as plain linear equations: x' = a x - b y + c, y' = b x + a y + d."""
    x, y = source.T
    one, zero = np.ones(len(x)), np.zeros(len(x))
    rows = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    a, b, c, d = np.linalg.lstsq(rows, target.T.ravel(), rcond=None)[0]
    return np.array([[a, -b, c], [b, a, d]])


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:, :2].T + matrix[:, 2]


def project(points: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Points in space [n, 3] through a camera of focal length 4 and centre (0.5, 0.5); pose: rotation vector, shift."""
    x, y, z = (Rotation.from_rotvec(pose[:3]).apply(points) + pose[3:]).T
    return np.stack([4 * x / z + 0.5, 4 * y / z + 0.5], 1)


def pose(landmarks: np.ndarray) -> np.ndarray:
    """Rotation vector and shift [6] with the least squared reprojection error in the unit square."""
    unit = apply(similarity(landmarks[17:], mean_face()), landmarks)[sorted(head())]
    points = np.array([head()[number] for number in sorted(head())])

    def error(values: np.ndarray) -> np.ndarray:
        return (project(points, values) - unit).ravel()

    starts = [np.array([np.pi, 0, 0, 0, 0, 60.0]), np.array([0.1, 0.1, 0, 0, 0, -60.0])]
    found = [least_squares(error, start, method="lm", xtol=1e-14, ftol=1e-14) for start in starts]
    return min(found, key=lambda result: result.cost).x


def aligned(landmarks: np.ndarray, size: int, centering: str, coverage: float = 1.0, crop: str = "exact") -> np.ndarray:
    """The matrix [2, 3] from frame to crop."""
    matrix = similarity(landmarks[17:], mean_face())
    if centering != "legacy":
        offset = project(np.array([CENTRES[centering]]), pose(landmarks))[0] - 0.5
        matrix[:, 2] -= offset
    if crop == "2021":
        padding = round(size * (coverage - (1 - PADDING[centering])) / 2)
        matrix = matrix * (size - 2 * padding)
        matrix[:, 2] += padding
        return matrix
    full = matrix * (size * (1 - PADDING[centering]))
    full[:, 2] += size * PADDING[centering] / 2
    full = full / coverage  # the middle of the crop, enlarged to its whole size
    full[:, 2] += size / 2 - size / 2 / coverage
    return full


def brows_raised(points: np.ndarray) -> np.ndarray:
    """The landmarks of the extended mask."""
    moved = points.copy()
    left = (points[36] + (points[36] + points[0]) // 2) // 2
    right = (points[45] + (points[16] + points[45]) // 2) // 2
    below = [left, *points[36:40], *points[42:46], right]
    for brow, bottom in zip(range(17, 27), below, strict=True):
        moved[brow] = points[brow] + (points[brow] - bottom) // 2
    return moved


def outside(parts: list[np.ndarray], size: int) -> np.ndarray:
    """How far each pixel is outside the nearest of some convex hulls, [size, size]; negative inside."""
    y, x = np.mgrid[:size, :size]
    depth = np.full((size, size), np.inf)
    for points in parts:
        sides = ConvexHull(np.rint(points)).equations
        depth = np.minimum(depth, np.max([a * x + b * y + c for a, b, c in sides], axis=0))
    return depth


def gaussian(image: np.ndarray, kernel: int) -> np.ndarray:
    """OpenCV's Gaussian over `kernel` px where no spread is given, the border mirrored without its edge.

    Small kernels are a table, larger ones have the spread 0.3 ((kernel - 1) / 2 - 1) + 0.8.
    """
    reach = kernel // 2
    line = (
        np.array(SMALL_GAUSSIANS[kernel])
        if kernel in SMALL_GAUSSIANS
        else np.exp(-(np.arange(-reach, reach + 1.0) ** 2) / (2 * (0.3 * (reach - 1) + 0.8) ** 2))
    )
    line = line / line.sum()
    for axis in (0, 1):
        padded = np.pad(image, [(reach, reach) if a == axis else (0, 0) for a in (0, 1)], mode="reflect")
        image = sum(w * padded.take(range(i, i + image.shape[axis]), axis) for i, w in enumerate(line))
    return image


def ellipse(width: int) -> np.ndarray:
    """The offsets (dy, dx) [n, 2] of a filled ellipse in a square of `width` px around its middle pixel."""
    middle = width // 2
    y = np.arange(width) - middle
    reach = np.rint(middle * np.sqrt(np.maximum(0, middle**2 - y**2)) / max(middle, 1))
    return np.array([(dy, dx) for dy, r in zip(y, reach) for dx in range(-int(r), int(r) + 1) if dx + middle < width])


def dilate(image: np.ndarray, width: int) -> np.ndarray:
    """The largest value under an ellipse of `width` px around each pixel."""
    padded = np.pad(image, width)
    size = len(image)
    return np.max([padded[width + y : width + y + size, width + x : width + x + size] for y, x in ellipse(width)], 0)


def region_bounds(regions: list[np.ndarray], size: int, widen: int, blur: int) -> tuple[np.ndarray, np.ndarray]:
    """The least and the most that a regional mask may be: of the pixels surely inside the hulls, and of those near."""
    depth = outside(regions, size)
    low, high = (gaussian(dilate((depth <= edge).astype(float), widen), blur) for edge in (0, 0.6))
    return low, high
