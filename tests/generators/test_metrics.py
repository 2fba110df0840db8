"""Each figure of the evaluation against an independent formulation or a known answer, on a real frame."""

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, laplace
from skimage.color import rgb2lab
from skimage.metrics import peak_signal_noise_ratio

from dfdm.media import colour, metrics


@pytest.fixture(scope="module")
def picture(short) -> np.ndarray:
    _, record, planes = short
    return colour.yuv_to_rgb(planes[0], record.matrix, record.full_range)[60:220, 220:400]  # [160, 180, 3]


@pytest.fixture(scope="module")
def soft(picture) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), 2)


def test_ssim_is_the_textbook_formula_weighed_by_the_mask(picture, soft) -> None:
    weight = np.zeros(picture.shape[:2])
    weight[30:90, 40:120] = np.linspace(0.1, 1, 80)
    maps = []
    for channel in range(3):
        x, y = (image[..., channel].astype(float) for image in (picture, soft))

        def blur(values: np.ndarray) -> np.ndarray:
            return gaussian_filter(values, 1.5, truncate=3.5)

        mx, my = blur(x), blur(y)
        vx, vy, vxy = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        maps.append((2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    wanted = np.average(np.mean(maps, 0), weights=weight)
    assert metrics.ssim(picture, soft, weight) == pytest.approx(wanted, abs=1e-6)
    assert metrics.ssim(picture, picture, weight) == pytest.approx(1)


def test_psnr_counts_only_what_the_mask_weighs(picture, soft) -> None:
    whole = np.ones(picture.shape[:2])
    assert metrics.psnr(picture, soft, whole) == pytest.approx(peak_signal_noise_ratio(picture, soft, data_range=255))
    darker, half = picture.copy(), whole.copy()
    darker[:, :90] //= 2
    half[:, :90] = 0
    assert metrics.psnr(picture, darker, half) == 100  # equal there
    assert metrics.psnr(picture, darker, whole) < 25


def test_detail_is_the_variance_of_the_laplacian_and_blur_lowers_it(picture, soft) -> None:
    sharp, blurred = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (picture, soft))
    inside = np.zeros(sharp.shape, bool)
    inside[20:100, 30:150] = True
    assert metrics.detail(sharp, inside) == pytest.approx(laplace(sharp.astype(float))[inside].var())
    assert metrics.detail(blurred, inside) < 0.3 * metrics.detail(sharp, inside)


def test_change_is_the_mean_difference_of_the_pixels_inside(picture) -> None:
    luma = picture[..., 0]
    later, inside = luma.copy(), np.zeros(luma.shape, bool)
    later[:80] = np.where(luma[:80] > 100, luma[:80] - 6, luma[:80] + 6)
    inside[40:120] = True  # half of it changed by 6
    assert metrics.change(later, luma, inside) == 3


def test_the_rim_is_what_lies_near_the_outside(picture) -> None:
    inside = cv2.circle(np.zeros(picture.shape[:2], np.uint8), (90, 10), 60, 1, -1).astype(bool)  # cut by the edge
    outside = np.pad(~inside, 1, constant_values=True)
    rim = metrics.rim(inside, 4)
    for y, x in np.argwhere(inside)[::37]:
        near = outside[max(0, y + 1 - 4) : y + 6, max(0, x + 1 - 4) : x + 6].any()
        assert rim[y, x] == near
    assert not rim[~inside].any()


def test_the_colour_difference_of_greys_is_their_lightness_weighed_as_ciede2000_says() -> None:
    dark, light = np.full((4, 4, 3), 100, np.uint8), np.full((4, 4, 3), 110, np.uint8)

    def lightness(value: int) -> float:
        linear = ((value / 255 + 0.055) / 1.055) ** 2.4
        return 116 * linear ** (1 / 3) - 16

    low, high = lightness(100), lightness(110)
    square = ((low + high) / 2 - 50) ** 2
    wanted = (high - low) / (1 + 0.015 * square / np.sqrt(20 + square))
    everywhere = np.ones((4, 4), bool)
    assert metrics.colour_difference(dark, light, everywhere) == pytest.approx(wanted, abs=0.01)
    assert metrics.colour_difference(dark, dark, everywhere) == 0


def test_the_landmark_error_is_a_share_of_the_eye_distance_and_leaves_the_jaw_out() -> None:
    points = np.random.default_rng(0).uniform(0, 100, (68, 2))
    points[36:42], points[42:48] = (20, 30), (80, 30)  # 60 px apart
    moved = points.copy()
    moved[:17] += 50
    moved[48:] += (3, 4)  # 20 of 51 points by 5 px
    assert metrics.landmark_error(moved, points) == pytest.approx(20 / 51 * 5 / 60)


def test_an_even_shift_of_colour_is_no_blotch_and_a_patch_of_another_colour_is(picture) -> None:
    everywhere = np.ones(picture.shape[:2], bool)
    grey = np.full_like(picture, 128)
    assert metrics.uneven_colour(np.full_like(grey, (140, 128, 120)), grey, everywhere) == pytest.approx(0, abs=1e-6)
    patched = grey.copy()
    patched[: len(grey) // 4] = (140, 128, 120)
    apart = rgb2lab(patched[:1, :1])[0, 0, 1:] - rgb2lab(grey[:1, :1])[0, 0, 1:]
    assert metrics.uneven_colour(patched, grey, everywhere) == pytest.approx(np.linalg.norm(apart) * 3 / 4, rel=0.01)


def test_an_eyes_opening_is_the_lids_distance_over_the_eyes_width() -> None:
    points = np.zeros((68, 2))
    for first, lids in ((36, 6), (42, 3)):  # both 20 px wide
        points[first : first + 6] = [(0, 0), (7, -lids / 2), (14, -lids / 2), (20, 0), (14, lids / 2), (7, lids / 2)]
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    assert metrics.eye_opening(3 * points @ turn) == pytest.approx((6 + 3) / 2 / 20)
