"""Augmentation against OpenCV's formulation of it (docs/architectures.md, Augmentation)."""

import cv2
import numpy as np
import pytest
import torch

from generators.augment import Augmenter, linear_weights, rotation_matrix, sampling_matrix, shift_table
from generators.batches import Batches, prefetched
from generators.faces import FaceSet
from generators.settings import TrainConfig

CPU = torch.device("cpu")


def smooth(size, channels=3, count=1, seed=0):
    """Pictures without hard edges: interpolation in 1/32 px steps, as OpenCV's, then differs little."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 8, 8, channels), dtype=np.uint8)
    return np.stack([cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC) for image in coarse])


def plain(**values):
    return TrainConfig(color_augment=False, **values)


class Fixed:
    """A generator that gives back what it was handed, in order."""

    def __init__(self, *values):
        self.values = list(values)

    def _next(self, *_, **__):
        return self.values.pop(0)

    uniform = normal = random = _next


@pytest.mark.parametrize(("size", "centre"), [(64, 31.5), (128, 63.5), (384, 192)])
@pytest.mark.parametrize("flip", [False, True])
def test_geometry_is_a_warp_with_replicated_border(size, centre, flip):
    settings = plain(augment_size="384" if size == 384 else "model")
    augmenter = Augmenter(settings, min(size, 128), min(size, 128), CPU)
    image = smooth(size, 6)
    matrix = rotation_matrix(centre, 9.0, 1.04, np.array([0.04 * size, -0.03 * size]))
    expected = np.concatenate(
        [
            cv2.warpAffine(part, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            for part in (image[0, ..., :3], image[0, ..., 3:])
        ],
        axis=-1,
    )
    if flip:
        expected = expected[:, ::-1]
    rng = Fixed(np.array([9.0]), np.array([0.04]), np.array([[0.04, -0.03]]), np.array([0.0 if flip else 1.0]))
    x = torch.from_numpy(image).permute(0, 3, 1, 2).float().contiguous()
    got = augmenter.geometry(x, rng)[0].permute(1, 2, 0).numpy()
    assert np.abs(got - expected).mean() < 0.5
    assert np.abs(got - expected).max() < 6


def test_the_sampling_matrix_of_nothing_is_the_identity():
    still = sampling_matrix(64, rotation_matrix(31.5, 0, 1, np.zeros(2)), flip=False)
    assert np.allclose(still, [[1, 0, 0], [0, 1, 0]])


@pytest.mark.parametrize(("mode", "inside", "out"), [("model", 64, 64), ("model", 64, 128), ("384", 64, 128)])
def test_the_warp_is_a_remap_by_an_enlarged_jittered_grid(mode, inside, out):
    augmenter = Augmenter(plain(augment_size=mode), inside, out, CPU)
    size, warped = augmenter.size, inside if mode == "384" else out
    noise = np.random.default_rng(3).normal(0, 5 / 256 * size, (1, 2, 5, 5))
    image = smooth(size)[0]
    points = np.linspace(24, 360, 5) if mode == "384" else np.linspace(0, size, 5)
    big, edge = int(1.25 * warped), int(1.25 * warped) // 10
    maps = []
    for plane in np.meshgrid(points, points):
        moved = (plane + noise[0, len(maps)]).astype(np.float32)
        maps.append(cv2.resize(moved, (big, big))[edge : edge + warped, edge : edge + warped])
    expected = cv2.remap(image, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    if warped != inside:
        expected = cv2.resize(expected, (inside, inside), interpolation=cv2.INTER_AREA)
    got = augmenter.warp(torch.from_numpy(image).permute(2, 0, 1).float()[None].contiguous(), Fixed(noise))
    difference = np.abs(got[0].permute(1, 2, 0).numpy() - expected)
    assert difference.mean() < 0.6
    assert np.percentile(difference, 99) < 6


def test_linear_weights_enlarge_as_opencv_does():
    values = np.random.default_rng(0).random((5, 1)).astype(np.float32)
    expected = cv2.resize(values, (1, 80), interpolation=cv2.INTER_LINEAR)
    assert np.allclose(linear_weights(5, 80) @ values, expected, atol=1e-4)


def test_lab_values_move_towards_255_or_0():
    table = shift_table(np.array([0.3, -0.08, 0.0]))[0]
    assert table.shape == (256, 3)
    assert table[100].tolist() == [int(100 + 155 * 0.3), int(100 * 0.92), 100]


@pytest.mark.parametrize("mode", ["model", "384"])
@pytest.mark.parametrize(("inside", "out"), [(64, 64), (64, 128), (128, 128)])
def test_a_batch_has_the_models_sizes_and_range(mode, inside, out):
    augmenter = Augmenter(TrainConfig(augment_size=mode), inside, out, CPU)
    faces = smooth(augmenter.size, 6, 3)
    batch = augmenter(faces[..., :3], faces[..., 3:], np.random.default_rng(0))
    assert batch.inputs.shape == (3, 3, inside, inside)
    assert batch.targets.shape == batch.masks.shape == (3, 3, out, out)
    for part in (batch.inputs, batch.targets, batch.masks):
        assert part.dtype == torch.float32
        assert part.min() >= 0
        assert part.max() <= 1 + 1e-6


def test_masks_ride_along_with_the_face():
    augmenter = Augmenter(plain(), 64, 64, CPU)
    faces = smooth(64, 3, 4)
    batch = augmenter(faces, faces, np.random.default_rng(1))
    assert torch.equal(batch.targets, batch.masks)


def test_colour_changes_the_picture_alone():
    augmenter = Augmenter(TrainConfig(clahe_chance=1.0), 64, 64, CPU)
    faces = smooth(64, 3, 4)
    changed = augmenter.colour(faces, np.random.default_rng(0))
    assert changed.dtype == np.uint8
    assert np.abs(changed.astype(int) - faces).mean() > 3


def face_set(person, count, size=64):
    return FaceSet(person, smooth(size, 3, count, seed=count), smooth(size, 3, count), smooth(size, 3, 2))


def batches(seed=0):
    settings = TrainConfig(batch=4)
    return Batches((face_set("id0", 18), face_set("id1", 21)), Augmenter(settings, 64, 64, CPU), settings, seed)


def test_a_batch_depends_on_seed_and_iteration_alone():
    made = dict(zip(range(3, 9), prefetched(batches(), 3, 9)))
    for iteration in (7, 3):
        assert torch.equal(batches()[iteration].inputs, made[iteration].inputs)
    assert not torch.equal(batches(seed=1)[3].inputs, made[3].inputs)


def test_more_workers_make_the_same_batches():
    made = batches()
    made.workers = 3
    for iteration, batch in enumerate(prefetched(made, 0, 8)):
        assert torch.equal(batch.inputs, batches()[iteration].inputs)


def test_every_face_is_seen_once_an_epoch():
    made = batches()
    rows = np.concatenate([made.rows(0, iteration) for iteration in range(9)])  # 36 places, two epochs of 18
    assert sorted(rows[:18]) == sorted(rows[18:]) == list(range(18))
    assert rows[:18].tolist() != rows[18:].tolist()


def test_an_error_while_preparing_reaches_the_loop():
    made = batches()
    made.augmenter = None
    with pytest.raises(TypeError):
        next(prefetched(made, 0, 4))
