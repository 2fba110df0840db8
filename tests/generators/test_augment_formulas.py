"""Augmentation against the page (docs/architectures.md, Augmentation): colour, targets, and how far things move."""

import cv2
import numpy as np
import pytest
import torch

from generators.augment import Augmenter
from generators.settings import TrainConfig

CPU = torch.device("cpu")


class Scripted:
    """Hands out set numbers in place of random ones."""

    def __init__(self, shifts, equalised, steps):
        self.shifts, self.equalised, self.steps = map(np.array, (shifts, equalised, steps))

    def uniform(self, low, high, size):
        return self.shifts if (low, high) == (-1, 1) else self.steps + 0.3

    def random(self, size):
        return np.where(self.equalised, 0.2, 0.8)

    def integers(self, low, high, size):
        assert (low, high) == (0, 5)
        return self.steps


def moved(channel, share):
    """A LAB channel by a share of the way to 255, or to 0, truncated to 8 bits."""
    values = channel.astype(np.float64)
    return np.trunc(values + (255 - values) * share if share >= 0 else values * (1 + share)).astype(np.uint8)


@pytest.mark.parametrize(("mode", "size", "base"), [("model", 64, 2), ("model", 128, 2), ("384", 64, 3)])
def test_colour_is_a_lab_shift_then_clahe_or_in_2021_the_other_way_round(clips, mode, size, base):
    augmenter = Augmenter(TrainConfig(augment_size=mode), size, size, CPU)
    picture = cv2.cvtColor(cv2.imread(str(clips / "single_face.jpg")), cv2.COLOR_BGR2RGB)
    faces = np.repeat(cv2.resize(picture, (augmenter.size, augmenter.size))[None], 4, 0)
    shifts, equalised = [[1, -1, 0.5], [-1, 1, -0.25], [0.3, 0, 0], [0, 0.4, -0.7]], [True, True, True, False]
    steps = [0, 2, 4, 1]
    found = augmenter.colour(faces, Scripted(shifts, equalised, steps))
    for face, result, (light, *tint), equalise, step in zip(faces, found, shifts, equalised, steps):
        clahe = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(base + step * (base // 2),) * 2)
        lightness, *colours = cv2.split(cv2.cvtColor(face, cv2.COLOR_RGB2LAB))
        if mode == "384" and equalise:
            lightness = clahe.apply(lightness)
        lightness = moved(lightness, 0.30 * light)
        if mode == "model" and equalise:
            lightness = clahe.apply(lightness)
        lab = cv2.merge([lightness, *(moved(plane, 0.08 * share) for plane, share in zip(colours, tint))])
        np.testing.assert_array_equal(result, cv2.cvtColor(lab, cv2.COLOR_LAB2RGB))


@pytest.mark.parametrize("out", [64, 128])
def test_in_2021_the_target_is_the_middle_336_px_resized_bilinearly(out):
    augmenter = Augmenter(TrainConfig(augment_size="384"), 64, out, CPU)
    x = np.random.default_rng(0).random((1, 6, 384, 384)).astype(np.float32)
    for part, first in zip(augmenter.targets(torch.from_numpy(x)), (0, 3)):
        planes = x[0, first : first + 3, 24:360, 24:360].transpose(1, 2, 0)
        expected = cv2.resize(planes, (out, out), interpolation=cv2.INTER_LINEAR)
        assert np.abs(part[0].permute(1, 2, 0).numpy() - expected).max() < 1e-4


@pytest.mark.parametrize(("inside", "out"), [(64, 64), (64, 128), (128, 128), (128, 64)])
def test_at_the_models_size_the_target_is_the_whole_picture_by_area(inside, out):
    augmenter = Augmenter(TrainConfig(), inside, out, CPU)
    x = np.random.default_rng(0).random((1, 6, augmenter.size, augmenter.size)).astype(np.float32)
    times = augmenter.size // out
    expected = x.reshape(1, 6, out, times, out, times).mean((3, 5))
    found = np.concatenate(augmenter.targets(torch.from_numpy(x)), axis=1)
    assert np.abs(found - expected).max() < 1e-5


def where(pictures: torch.Tensor, size: int) -> np.ndarray:
    """What place (x, y) of the untouched face each pixel of a ramp picture shows, [N, S, S, 2]."""
    return pictures[:, :2].permute(0, 2, 3, 1).numpy().astype(np.float64) * (size - 1)


@pytest.mark.long
@pytest.mark.parametrize(("mode", "inside", "out"), [("model", 64, 64), ("model", 64, 128), ("384", 64, 64)])
def test_faces_turn_grow_move_flip_and_bend_as_far_as_the_page_says_and_no_further(mode, inside, out):
    """Ramps in place of faces show where every pixel comes from: the motions are read off the finished batches."""
    augmenter = Augmenter(TrainConfig(augment_size=mode, color_augment=False), inside, out, CPU)
    size, square, count = augmenter.size, augmenter.square, 300
    y, x = np.mgrid[:size, :size]
    ramp = np.rint(np.stack([x, y, 0 * x], -1) * 255 / (size - 1)).astype(np.uint8)
    faces = np.repeat(ramp[None], count, 0)
    batch = augmenter(faces, faces, np.random.default_rng(0))
    assert torch.equal(batch.targets, batch.masks)
    seen, bent = where(batch.targets, size), where(batch.inputs, size)
    edge = (size - square) / 2
    step = square / out
    grid = edge + (np.arange(out) + 0.5) * step - 0.5  # where a target's pixels are on the face that was moved
    centre = size // 2 if mode == "384" else (size - 1) / 2
    angles, zooms, shifts, flips, bends = [], [], [], [], []
    for places, warped in zip(seen, bent):
        inner = np.abs(places - (size - 1) / 2).max(-1) < 0.46 * size  # off the replicated border
        column, row = np.meshgrid(grid, grid)
        known = np.stack([places[inner][:, 0], places[inner][:, 1], np.ones(inner.sum())], 1)
        new = np.stack([column[inner], row[inner]], 1)
        matrix = np.linalg.lstsq(known, new, rcond=None)[0].T  # face -> moved face, [2, 3]
        flip = np.linalg.det(matrix[:, :2]) < 0
        if flip:  # the whole picture is mirrored at the end
            matrix[0] = [0, 0, size - 1] - matrix[0]
        angles.append(np.degrees(np.arctan2(matrix[0, 1], matrix[0, 0])))
        zooms.append(np.hypot(matrix[0, 0], matrix[0, 1]))
        shifts.append((matrix @ [centre, centre, 1] - centre) / size)
        flips.append(flip)
        # The 5 grid points of the warp lie at these input pixels; those inside are read off.
        nodes = ((np.arange(5) + 0.5) * int(1.25 * inside) / 5 - 0.5 - int(1.25 * inside) // 10)[1:4]
        away = warped[np.ix_(np.rint(nodes).astype(int), np.rint(nodes).astype(int))]  # [3, 3, 2]
        moved_to = away @ matrix[:, :2].T + matrix[:, 2]
        if flip:
            moved_to[..., 0] = size - 1 - moved_to[..., 0]
        points = np.linspace(edge, size - edge, 5)[1:4]
        offset = np.rint(nodes) - nodes  # the nearest pixel is up to half a pixel off the node
        still = points + offset * square / 4 / (int(1.25 * inside) / 5)
        bends.append(moved_to - np.stack(np.meshgrid(still, still), -1))
    for values, reach in ((angles, 10), (np.array(zooms) - 1, 0.05), (np.array(shifts), 0.05)):
        assert 0.95 * reach < np.abs(values).max() < 1.05 * reach
        assert abs(np.mean(values)) < 0.12 * reach
        assert np.std(values) == pytest.approx(reach / 3**0.5, rel=0.1)  # uniform
    assert 0.4 < np.mean(flips) < 0.6
    sigma = 5 if mode == "384" else 5 / 256 * size
    near = 1 - np.abs(offset[0]) / (int(1.25 * inside) / 5)  # linear between two grid points, along both axes
    sigma *= near**2 + (1 - near) ** 2
    print(f"warp {np.std(bends):.3f} px, by the page {sigma:.3f}")
    assert np.std(bends) == pytest.approx(sigma, rel=0.05)
    assert abs(np.mean(bends)) < 0.1 * sigma
