"""Alignment and regional masks against the page's formulas (tests/formulas.py)."""

import cv2
import formulas
import numpy as np
import pytest

from dfdm.media import alignment, detectors, masks
from generators.faces import square_size


@pytest.fixture(scope="module")
def people(clips, predictor):
    """Landmarks of the woman and the man, straight and as if they had turned and nodded."""
    detector = detectors.build("dlib", predictor=predictor)
    found = []
    for name in ("WolfgangLanger_Pexels.mp4", "single_face.mp4"):
        _, frame = cv2.VideoCapture(str(clips / name)).read()
        landmarks = detector.detect(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))[0].landmarks.astype(np.float64)
        depth = np.zeros(68)
        depth[27:36], depth[:17] = 14, -20
        middle = landmarks.mean(0)
        for angle in (0.0, 0.35):
            turned = landmarks + np.stack([depth, 0.4 * depth], 1) * angle
            roll = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            found.append((turned - middle) @ roll.T + middle)
    return found


def test_the_codes_constants_are_the_pages():
    np.testing.assert_array_equal(alignment.MEAN_FACE, formulas.mean_face())
    assert sorted(formulas.head()) == alignment._POSE_POINTS
    np.testing.assert_array_equal(alignment._HEAD, [formulas.head()[number] for number in alignment._POSE_POINTS])


@pytest.mark.long
def test_the_pose_is_the_one_of_least_reprojection_error(people):
    for landmarks in people:
        found, expected = alignment.pose(landmarks), formulas.pose(landmarks)
        for centering, point in formulas.CENTRES.items():
            offset = formulas.project(np.array([point]), expected)[0] - 0.5
            np.testing.assert_allclose(found.offsets[centering], offset, atol=1e-4)  # of the crop: 0.02 px of 384
        turn = formulas.Rotation.from_rotvec(expected[:3]).as_matrix()
        pitch = np.degrees(np.arctan2(turn[2, 1], turn[2, 2]))
        yaw = np.degrees(np.arctan2(-turn[2, 0], np.hypot(turn[2, 1], turn[2, 2])))
        np.testing.assert_allclose([found.pitch, found.yaw], [pitch, yaw], atol=0.05)


@pytest.mark.long
@pytest.mark.parametrize("crop", ["exact", "2021"])
@pytest.mark.parametrize("coverage", [1.0, 0.875, 0.7])
@pytest.mark.parametrize("centering", ["legacy", "face", "head"])
def test_every_crop_is_the_formulas(people, centering, coverage, crop):
    worst = 0.0
    for landmarks in people:
        for size in (64, 128, 384):
            found = alignment.aligned_matrix(landmarks, size, centering, coverage, crop)
            expected = formulas.aligned(landmarks, size, centering, coverage, crop)
            apart = formulas.apply(found, landmarks) - formulas.apply(expected, landmarks)
            worst = max(worst, np.abs(apart).max() / size)
    print(f"{centering} {coverage} {crop}: {384 * worst:.1e} px of 384 apart")
    assert worst * 384 < 0.05


def test_the_training_square_is_even_and_336_of_384_by_default():
    assert [square_size(coverage) for coverage in (0.875, 1.0, 0.7, 0.8)] == [336, 384, 268, 306]


@pytest.mark.parametrize("kind", ["components", "extended"])
def test_a_stored_mask_is_the_hulls_of_the_formula_but_for_their_edge(people, kind):
    for landmarks in people:
        points = formulas.apply(formulas.aligned(landmarks, 256, "face"), landmarks)
        points = formulas.brows_raised(points) if kind == "extended" else points
        depth = formulas.outside([points[part] for part in formulas.COMPONENTS], 256).reshape(128, 2, 128, 2)
        found = masks.draw_mask(landmarks, kind, (640, 360))
        assert (found[depth.max((1, 3)) < -1.5] == 255).all()
        assert (found[depth.min((1, 3)) > 1.5] == 0).all()


@pytest.mark.long
@pytest.mark.parametrize(("size", "widen", "blur"), [(384, 12, 25), (128, 3, 9), (64, 2, 5)])
def test_regional_masks_are_hulls_dilated_by_an_ellipse_and_blurred(people, size, widen, blur):
    for landmarks in people:
        points = formulas.apply(formulas.aligned(landmarks, size, "face", 0.875), landmarks)
        for regions in ([points[36:42], points[42:48]], [points[48:60]]):
            found = masks.region_mask(regions, size, widen, size // 16)
            low, high = formulas.region_bounds(regions, size, widen, blur)
            assert (found >= low - 1e-4).all()
            assert (found <= high + 1e-4).all()
            assert (high - low).mean() < 0.01
