"""Masks from landmarks and their blur (docs/architectures.md, Faces: Masks; Conversion 2)."""

import cv2
import numpy as np
import pytest
from scipy.spatial import ConvexHull

from dfdm.media import alignment, detectors, masks

# fmt: off
PARTS = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 17], [8, 9, 10, 11, 12, 13, 14, 15, 16, 26], [17, 18, 19, 8], [24, 25, 26, 8],
    [19, 20, 21, 22, 23, 24, 8], [17, 18, 19, 20, 21, 27, 31, 32, 33, 34, 35, 8],
    [22, 23, 24, 25, 26, 27, 31, 32, 33, 34, 35, 8], [27, 28, 29, 30, 31, 32, 33, 34, 35],
]
# fmt: on


@pytest.fixture(scope="module")
def real(clips, predictor):
    """The woman's and the man's first frame: RGB and landmarks."""
    detector = detectors.build("dlib", predictor=predictor)
    found = []
    for name in ("WolfgangLanger_Pexels.mp4", "single_face.mp4"):
        _, frame = cv2.VideoCapture(str(clips / name)).read()
        rgb = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        found.append((rgb, detector.detect(rgb)[0].landmarks))
    return found


def size_of(rgb: np.ndarray) -> tuple[int, int]:
    return rgb.shape[1], rgb.shape[0]


def brows_moved(points: np.ndarray) -> np.ndarray:
    """The extended mask's brows, point by point as the page says it."""
    moved = points.copy()
    ql = (points[36] + (points[36] + points[0]) // 2) // 2
    qr = (points[45] + (points[16] + points[45]) // 2) // 2
    below = [ql, points[36], points[37], points[38], points[39], *points[42:46], qr]
    for brow, bottom in zip(range(17, 27), below):
        moved[brow] = points[brow] + (points[brow] - bottom) // 2
    return moved


@pytest.mark.long
@pytest.mark.parametrize("kind", ["components", "extended"])
def test_a_mask_is_the_union_of_the_eight_hulls(real, kind):
    rng = np.random.default_rng(0)
    shaken = [(rgb, landmarks + rng.normal(0, 12, (68, 2))) for rgb, landmarks in real]  # so that each hull shows
    for rgb, landmarks in real + shaken:
        mask = masks.draw_mask(landmarks, kind, (4 * rgb.shape[1], 4 * rgb.shape[0]))
        assert mask.shape == (128, 128)
        assert set(np.unique(mask)) <= {0, 63, 127, 191, 255}  # quarters, truncated
        points = alignment.transform(landmarks, alignment.aligned_matrix(landmarks, 256, "face"))
        if kind == "extended":
            points = brows_moved(points)
        y, x = np.mgrid[:256, :256]
        depth = np.full((256, 256), np.inf)  # how far outside the nearest hull, negative inside
        for part in PARTS:
            faces = ConvexHull(np.rint(points[part])).equations
            depth = np.minimum(depth, np.max([a * x + b * y + c for a, b, c in faces], axis=0))
        cells = depth.reshape(128, 2, 128, 2)
        assert (mask[cells.max((1, 3)) < -1] == 255).all()
        assert (mask[cells.min((1, 3)) > 1.5] == 0).all()
        assert abs(mask.mean() / 255 - (depth <= 0).mean()) < 0.01


def test_the_extended_mask_reaches_above_the_brows(real):
    for rgb, landmarks in real:
        small, large = (masks.draw_mask(landmarks, kind, size_of(rgb)) for kind in ("components", "extended"))
        assert (large >= small).mean() > 0.99
        assert np.flatnonzero(large.any(1))[0] <= np.flatnonzero(small.any(1))[0] - 4
        assert np.flatnonzero(large.any(1))[-1] == np.flatnonzero(small.any(1))[-1]


def test_the_extended_outline_has_the_jaw_and_the_moved_brows(real):
    for _, landmarks in real:
        outline = masks.extended_polygon(landmarks)
        assert outline.shape == (27, 2)
        np.testing.assert_allclose(outline[:17], landmarks[:17])
        np.testing.assert_allclose(outline[17:], brows_moved(landmarks.astype(float))[26:16:-1], atol=2)


def test_on_real_frames_the_mask_lies_over_the_face(real):
    for rgb, landmarks in real:
        mask = masks.draw_mask(landmarks, "extended", size_of(rgb))
        points = alignment.transform(landmarks, alignment.aligned_matrix(landmarks, 128, "face"))
        inside = np.rint(points[[19, 24, 27, 30, 33, 36, 45, 48, 54, 57]]).astype(int)
        assert (mask[inside[:, 1], inside[:, 0]] == 255).all()
        chin = points[8].astype(int) - [0, 2]
        assert mask[chin[1], chin[0]] == 255
        assert 0.25 < (mask > 0).mean() < 0.6
        assert not mask[:10].any()  # hair and background
        assert not mask[:, :5].any()
        assert not mask[:, -5:].any()


def test_a_mask_is_zero_where_the_crop_leaves_the_frame(real):
    rgb, landmarks = real[1]
    width, height = size_of(rgb)
    half = landmarks[27:31, 0].mean()  # the frame ends at the nose
    whole = masks.draw_mask(landmarks, "extended", (width, height))
    cut = masks.draw_mask(landmarks, "extended", (int(half) + 1, height))
    back = alignment.invert(alignment.aligned_matrix(landmarks, 256, "face"))
    grid = np.stack(np.meshgrid(np.arange(128) * 2 + 0.5, np.arange(128) * 2 + 0.5), -1).reshape(-1, 2)
    across = alignment.transform(grid, back)[:, 0].reshape(128, 128)
    assert not cut[across > half + 4].any()
    np.testing.assert_array_equal(cut[across < half - 4], whole[across < half - 4])


def test_values_under_the_threshold_become_0_and_those_near_full_255():
    mask = np.array([[0, 10, 11, 128, 244, 245, 255]], np.uint8)  # 4 % of 255 is 10.2
    assert masks.threshold(mask, 4).tolist() == [[0, 0, 11, 128, 244, 255, 255]]
    assert masks.threshold(mask, 0).tolist() == mask.tolist()


def filtered(mask: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """One 8-bit filter pass by plain sums, the border mirrored without its edge."""
    reach = len(kernel) // 2
    padded = np.pad(mask.astype(float), reach, mode="reflect")
    total = np.zeros(mask.shape)
    for down in range(len(kernel)):
        for right in range(len(kernel)):
            total += kernel[down, right] * padded[down:, right:][: mask.shape[0], : mask.shape[1]]
    return np.rint(total)


def test_rendering_blurs_by_four_passes_of_a_3x3_box(real):
    rgb, landmarks = real[0]
    stored = masks.draw_mask(landmarks, "extended", size_of(rgb))
    expected = masks.threshold(stored, 4)
    for _ in range(4):
        expected = filtered(expected, np.full((3, 3), 1 / 9))
    found = masks.render_mask(stored)
    assert found.dtype == np.uint8
    assert np.abs(found - expected).max() <= 1


def test_training_blurs_once_by_a_gaussian_of_3_px(real):
    rgb, landmarks = real[0]
    stored = masks.draw_mask(landmarks, "extended", size_of(rgb))
    line = np.array([0.25, 0.5, 0.25])  # OpenCV's Gaussian of 3 where no sigma is given
    expected = filtered(masks.threshold(stored, 4), np.outer(line, line))
    assert np.abs(masks.training_mask(stored) - expected).max() <= 1


def test_a_wider_box_is_halved_each_pass_and_no_kernel_leaves_the_mask():
    mask = np.zeros((65, 65), np.uint8)
    mask[32, 32] = 255
    wide = masks.blur_mask(mask, 7, 2, "box")  # 7, then 5: reaches 3 + 2
    assert np.abs(np.argwhere(wide) - 32).max() == 5
    assert masks.blur_mask(mask, 0, 4, "box") is mask


def test_erosion_shrinks_by_a_share_of_the_mask_and_a_negative_one_grows():
    mask = np.zeros((128, 128), np.uint8)
    mask[40:90, 40:90] = 255
    for percent, edge in ((5, 46), (-5, 34)):  # 6 px
        changed = masks.erode(mask, percent)
        assert changed.shape == mask.shape
        assert np.flatnonzero(changed[64])[0] == edge
    assert masks.erode(mask, 0) is mask


def test_the_coverage_cuts_8_px_off_each_side():
    mask = np.random.default_rng(0).integers(0, 256, (128, 128)).astype(np.uint8)
    cut = masks.cut_mask(mask, 112, 0.875)
    np.testing.assert_array_equal(cut, mask[8:120, 8:120])
    halved = masks.cut_mask(mask, 56, 0.875)
    means = cut.reshape(56, 2, 56, 2).astype(float).mean((1, 3))
    assert np.abs(halved - means).max() <= 0.5
    assert masks.cut_mask(mask, 224, 0.875).shape == (224, 224)
    assert masks.cut_mask(mask, 128, 1.0) is not None


@pytest.mark.parametrize("centering", ["face", "head", "legacy"])
def test_for_every_centering_the_mask_lies_over_the_same_part_of_the_face(real, centering):
    for rgb, landmarks in real:
        stored = masks.draw_mask(landmarks, "extended", size_of(rgb))
        cut = masks.cut_mask(stored, 256, 0.875, centering, landmarks)
        matrix = alignment.aligned_matrix(landmarks, 256, centering, 0.875)
        outline = alignment.transform(masks.extended_polygon(landmarks), matrix)
        expected = np.zeros((256, 256), np.uint8)
        cv2.fillPoly(expected, [np.rint(outline).astype(np.int32)], 1)
        assert np.logical_xor(cut > 127, expected).sum() < 0.04 * expected.sum()


def test_eye_and_mouth_regions_are_soft_and_in_place(real):
    for _, landmarks in real:
        points = alignment.transform(landmarks, alignment.aligned_matrix(landmarks, 384, "face"))
        eyes = masks.region_mask(masks.eye_regions(points), 384, dilate=12, blur=24)
        mouth = masks.region_mask(masks.mouth_region(points), 384, dilate=12, blur=24)
        for mask in (eyes, mouth):
            assert mask.dtype == np.float32
            assert mask.min() == 0
            assert 0.9 < mask.max() <= 1
            assert np.abs(np.diff(mask, axis=1)).max() < 0.2  # no hard edge
        parts = (slice(36, 42), slice(42, 48), slice(48, 60))
        left, right, lips = (points[part].mean(0).astype(int) for part in parts)
        for x, y in (left, right):
            assert eyes[y, x] > 0.6
            assert mouth[y, x] == 0
        assert mouth[lips[1], lips[0]] > 0.8
        assert eyes[lips[1], lips[0]] == 0
