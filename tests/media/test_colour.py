"""I420 to RGB and back by the standards' formulas (ITU-R BT.601, BT.709, BT.2020)."""

import numpy as np
import pytest

from dfdm.base.errors import DfdmError
from dfdm.media import colour
from dfdm.media.planes import split_planes
from dfdm.media.video import probe, read_planes

KR_KB = {None: (0.299, 0.114), 1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}


def flat(y: int, u: int, v: int, width: int = 16, height: int = 8) -> np.ndarray:
    planes = np.empty((height * 3 // 2, width), np.uint8)
    for plane, value in zip(split_planes(planes), (y, u, v)):
        plane[:] = value
    return planes


@pytest.mark.parametrize("full", [True, False, None])
@pytest.mark.parametrize("matrix", list(KR_KB))
def test_a_flat_colour_is_converted_by_the_standards_formula(matrix, full):
    red, blue = KR_KB[matrix]
    rng = np.random.default_rng(0)
    for r, g, b in rng.uniform(0, 1, (20, 3)):
        luma = red * r + (1 - red - blue) * g + blue * b
        u, v = (b - luma) / (2 * (1 - blue)), (r - luma) / (2 * (1 - red))
        scaled = (255 * luma, 255 * u + 128, 255 * v + 128) if full else (219 * luma + 16, 224 * u + 128, 224 * v + 128)
        rgb = np.full((8, 16, 3), [255 * r, 255 * g, 255 * b], np.float32)
        yuv = colour.rgb_to_yuv(rgb, matrix, full)
        assert (yuv.shape, yuv.dtype) == ((8, 16, 3), np.float32)
        np.testing.assert_allclose(yuv, np.broadcast_to(scaled, yuv.shape), atol=0.01)
        back = colour.yuv_to_rgb(flat(*(round(value) for value in scaled)), matrix, full)
        assert back.dtype == np.uint8
        assert np.abs(back - rgb).max() < 3  # planes are rounded to 8 bits


def test_chroma_is_the_mean_of_its_block_on_the_way_down():
    plane = np.random.default_rng(1).uniform(0, 255, (8, 12)).astype(np.float32)
    np.testing.assert_allclose(colour.halve(plane), plane.reshape(4, 2, 6, 2).mean((1, 3)), rtol=1e-5)


def test_on_a_real_frame_colours_match_plain_arithmetic(clips):
    path = clips / "WolfgangLanger_Pexels.mp4"
    record = probe(path, "id0_0001", {"path": path.name}, (0, 1))
    assert record.matrix == 6
    planes = next(iter(read_planes(path, record)))
    y, u, v = (plane.astype(float) for plane in split_planes(planes))
    ups = []
    for plane in (u, v):  # linear, chroma in the middle of its block: 3/4 near, 1/4 far
        padded = np.pad(plane, 1, mode="edge")
        for axis in (0, 1):
            near = padded.take(range(1, padded.shape[axis] - 1), axis)
            before, after = (padded.take(range(s, padded.shape[axis] - 2 + s), axis) for s in (0, 2))
            pair = np.stack([0.75 * near + 0.25 * before, 0.75 * near + 0.25 * after], axis + 1)
            shape = list(near.shape)
            shape[axis] *= 2
            padded = pair.reshape(shape)
        ups.append((padded - 128) * 255 / 224)
    luma = (y - 16) * 255 / 219
    red = luma + 1.402 * ups[1]
    green = luma - 0.344136 * ups[0] - 0.714136 * ups[1]
    expected = np.stack([red, green, luma + 1.772 * ups[0]], -1).clip(0, 255)
    found = colour.yuv_to_rgb(planes, record.matrix, record.full_range)
    assert np.abs(found - expected).max() <= 2
    assert np.abs(found - expected).mean() < 0.4


def test_a_region_is_the_same_part_of_the_picture(clips):
    path = clips / "single_face.mp4"
    record = probe(path, "id1_0001", {"path": path.name}, (0, 1))
    planes = next(iter(read_planes(path, record)))
    whole = colour.yuv_to_rgb(planes, None, None)
    part = colour.yuv_to_rgb(planes, None, None, region=(100, 60, 220, 200))
    assert part.shape == (140, 120, 3)
    np.testing.assert_array_equal(part[2:-2, 2:-2], whole[62:198, 102:218])
    cut = colour.crop_i420(planes, (100, 60, 220, 200))
    for mine, theirs, half in zip(split_planes(cut), split_planes(planes), (1, 2, 2)):
        np.testing.assert_array_equal(mine, theirs[60 // half : 200 // half, 100 // half : 220 // half])


def test_an_unknown_matrix_is_an_error_that_names_it():
    with pytest.raises(DfdmError, match="colour matrix 8"):
        colour.yuv_to_rgb(flat(100, 128, 128), 8, False)
