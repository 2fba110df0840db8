"""The similarity to the mean face, the head's pose, and the crops that follow (docs/architectures.md, Faces)."""

import cv2
import numpy as np
import pytest

from dfdm.base.errors import DfdmError
from dfdm.media import alignment, detectors

CENTERINGS = ["legacy", "face", "head"]


def similarity(rng: np.random.Generator) -> np.ndarray:
    angle, scale = rng.uniform(-np.pi, np.pi), rng.uniform(0.2, 400)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([turn, rng.uniform(-500, 500, 2)])


def landmarks_of(rng: np.random.Generator, noise: float = 0.01) -> np.ndarray:
    """68 points: a jaw on a half circle and the mean face, a little disturbed, 120 px wide in a 400 px frame."""
    angles = np.linspace(0, np.pi, 17)
    jaw = np.stack([0.5 - 0.6 * np.cos(angles), 0.25 + 0.95 * np.sin(angles)], axis=1)
    points = np.concatenate([jaw, alignment.MEAN_FACE])
    return (points + rng.normal(0, noise, points.shape)) * 120 + 140


def test_the_similarity_is_the_least_squares_one():
    rng = np.random.default_rng(0)
    for _ in range(20):
        source, target = rng.normal(size=(51, 2)) * 90, alignment.MEAN_FACE
        target = alignment.transform(source, similarity(rng)) + rng.normal(0, 5, source.shape)
        # x' = a x - b y + c, y' = b x + a y + d, solved as plain linear equations
        x, y, one, zero = *source.T, np.ones(51), np.zeros(51)
        rows = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
        a, b, c, d = np.linalg.lstsq(rows, target.T.ravel(), rcond=None)[0]
        found = alignment.umeyama(source, target)
        np.testing.assert_allclose(found, [[a, -b, c], [b, a, d]], rtol=1e-6, atol=1e-6)


def test_the_similarity_never_mirrors_a_face():
    source = alignment.MEAN_FACE * [-1, 1]
    matrix = alignment.umeyama(source, alignment.MEAN_FACE)
    assert np.linalg.det(matrix[:, :2]) > 0


def test_a_moved_mean_face_comes_back_onto_the_mean_face():
    rng = np.random.default_rng(1)
    for _ in range(20):
        placed = alignment.transform(alignment.MEAN_FACE, similarity(rng))
        landmarks = np.concatenate([np.zeros((17, 2)), placed])
        back = alignment.transform(placed, alignment.legacy_matrix(landmarks))
        np.testing.assert_allclose(back, alignment.MEAN_FACE, atol=1e-9)


@pytest.mark.parametrize("centering", CENTERINGS)
def test_points_go_into_the_crop_and_back_within_half_a_pixel(centering):
    rng = np.random.default_rng(2)
    for _ in range(20):
        landmarks = landmarks_of(rng)
        matrix = alignment.aligned_matrix(landmarks, 256, centering, 0.875)
        back = alignment.transform(alignment.transform(landmarks, matrix), alignment.invert(matrix))
        assert np.abs(back - landmarks).max() < 1e-6


@pytest.mark.parametrize("centering", CENTERINGS)
@pytest.mark.parametrize("size", [64, 512])
def test_what_is_drawn_at_a_landmark_is_seen_where_the_matrix_says(centering, size):
    landmarks = landmarks_of(np.random.default_rng(3)).round()
    matrix = alignment.aligned_matrix(landmarks, size, centering)
    for point in landmarks[[36, 45, 30, 48, 54]]:
        frame = np.zeros((400, 400, 1), np.float32)
        frame[int(point[1]), int(point[0])] = 1
        frame = cv2.GaussianBlur(frame, (0, 0), 6)[..., None]
        seen = alignment.align(frame, landmarks, size, centering).reshape(size, size)
        rows, columns = np.mgrid[:size, :size]
        centre = np.array([(seen * columns).sum(), (seen * rows).sum()]) / seen.sum()
        error = alignment.transform(centre[None], alignment.invert(matrix)) - point
        assert np.linalg.norm(error) < 0.5


def test_the_crop_is_centred_on_a_point_of_the_head():
    landmarks = landmarks_of(np.random.default_rng(4))
    pose = alignment.pose(landmarks)
    angle = np.linalg.norm(pose.rotation)
    x, y, z = pose.rotation.ravel() / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    for centering, point in {"face": (0, -1.5, 4.2), "head": (0, 0, -2.3)}.items():
        across, down, depth = turn @ point + pose.translation.ravel()
        unit = np.array([[4 * across / depth + 0.5, 4 * down / depth + 0.5]])
        in_frame = alignment.transform(unit, alignment.invert(alignment.legacy_matrix(landmarks)))
        middle = alignment.transform(in_frame, alignment.aligned_matrix(landmarks, 300, centering))
        np.testing.assert_allclose(middle, [[150, 150]], atol=1e-6)


def test_a_mirrored_face_looks_the_other_way():
    landmarks = landmarks_of(np.random.default_rng(5))
    turned = landmarks.copy()
    turned[27:36, 0] += 12  # the nose points to one side
    # fmt: off
    swap = [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31, 45, 44, 43, 42, 47, 46, 39,
            38, 37, 36, 41, 40, 54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65]
    # fmt: on
    mirrored = (turned * [-1, 1] + [400, 0])[swap]
    pose, other = alignment.pose(turned), alignment.pose(mirrored)
    assert abs(pose.yaw) > 5
    assert pose.yaw == pytest.approx(-other.yaw, abs=0.3)
    assert pose.pitch == pytest.approx(other.pitch, abs=0.3)


@pytest.mark.parametrize(("centering", "padding"), [("legacy", 0.375), ("face", 0.5), ("head", 0.625)])
def test_the_mean_face_fills_what_the_padding_leaves(centering, padding):
    landmarks = landmarks_of(np.random.default_rng(6))
    matrix = alignment.aligned_matrix(landmarks, 512, centering)
    legacy = alignment.legacy_matrix(landmarks)
    assert alignment.scale_of(matrix) / alignment.scale_of(legacy) == pytest.approx(512 * (1 - padding))


@pytest.mark.parametrize("centering", CENTERINGS)
def test_an_exact_crop_of_a_coverage_is_the_middle_of_the_full_crop(centering):
    landmarks = landmarks_of(np.random.default_rng(7))
    full = alignment.transform(landmarks, alignment.aligned_matrix(landmarks, 384, centering))
    cut = alignment.transform(landmarks, alignment.aligned_matrix(landmarks, 64, centering, 0.875))
    np.testing.assert_allclose(cut, (full - 192) * 64 / (384 * 0.875) + 32, atol=1e-6)


def test_the_crop_of_2021_shows_a_larger_face_except_at_full_coverage():
    landmarks = landmarks_of(np.random.default_rng(8))
    old = alignment.aligned_matrix(landmarks, 64, "face", 0.875, "2021")
    exact = alignment.aligned_matrix(landmarks, 64, "face", 0.875)
    assert alignment.scale_of(old) / alignment.scale_of(exact) == pytest.approx(1.094, abs=5e-4)
    full = alignment.aligned_matrix(landmarks, 64, "face", 1.0, "2021")
    np.testing.assert_allclose(full, alignment.aligned_matrix(landmarks, 64, "face", 1.0))


def sample(image: np.ndarray, points: np.ndarray, cubic: bool) -> np.ndarray:
    """Resample at points [n, 2] by the textbook kernels (cubic with a = -3/4)."""
    first = np.floor(points).astype(int)
    total = np.zeros(len(points))
    for down in range(-1, 3):
        for right in range(-1, 3):
            place = first + np.array([right, down])
            t = np.abs(points - place)
            if cubic:
                near = 1.25 * t**3 - 2.25 * t**2 + 1
                far = -0.75 * (t**3 - 5 * t**2 + 8 * t - 4)
                weight = np.where(t <= 1, near, np.where(t < 2, far, 0)).prod(axis=1)
            else:
                weight = np.maximum(1 - t, 0).prod(axis=1)
            total += weight * image[place[:, 1], place[:, 0]]
    return total


@pytest.mark.parametrize(("size", "cubic"), [(1024, True), (64, False)])
def test_enlarging_is_cubic_and_shrinking_linear(size, cubic):
    rng = np.random.default_rng(9)
    landmarks = landmarks_of(rng)
    frame = cv2.GaussianBlur(rng.uniform(0, 255, (400, 400)).astype(np.float32), (0, 0), 0.7)[..., None]
    seen = alignment.align(frame, landmarks, size, "legacy")
    back = alignment.invert(alignment.aligned_matrix(landmarks, size, "legacy"))
    where = np.stack(np.meshgrid(np.arange(0, size, 7), np.arange(0, size, 7)), -1).reshape(-1, 2)
    points = alignment.transform(where, back)
    seen = seen.reshape(size, size)[where[:, 1], where[:, 0]]
    errors = [np.abs(seen - sample(frame[..., 0], points, kind)).mean() for kind in (cubic, not cubic)]
    assert errors[0] < 0.6 < errors[1]


def test_outside_the_frame_a_crop_is_black():
    landmarks = landmarks_of(np.random.default_rng(10)) - [190, 0]
    crop = alignment.align(np.full((400, 400, 3), 200, np.uint8), landmarks, 128, "head")
    assert crop.shape == (128, 128, 3)
    assert crop.dtype == np.uint8
    assert not crop[:, 0].any()
    assert (crop[:, -1] == 200).any()


def test_landmarks_on_one_point_are_an_error():
    with pytest.raises(DfdmError, match="one point"):
        alignment.legacy_matrix(np.full((68, 2), 7.0))


def test_the_eye_distance_is_in_pixels():
    landmarks = np.zeros((68, 2))
    landmarks[36:42], landmarks[42:48] = [10, 20], [40, 60]
    assert alignment.eye_distance(landmarks) == pytest.approx(50)


@pytest.mark.long
@pytest.mark.parametrize("centering", CENTERINGS)
def test_a_real_face_stands_upright_in_the_middle_of_its_crop(clips, predictor, centering):
    image = cv2.cvtColor(cv2.imread(str(clips / "single_face.jpg")), cv2.COLOR_BGR2RGB)
    (face,) = detectors.build("dlib", predictor=predictor).detect(image)
    points = alignment.transform(face.landmarks, alignment.aligned_matrix(face.landmarks, 256, centering))
    left, right, nose, mouth = points[36:42].mean(0), points[42:48].mean(0), points[30], points[48:60].mean(0)
    assert abs(left[1] - right[1]) < 6
    assert left[0] < nose[0] < right[0]
    assert max(left[1], right[1]) < nose[1] < mouth[1]
    assert points[17:].min() > 0
    assert points[17:].max() < 256
