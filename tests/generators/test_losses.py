"""The loss against a patch-by-patch formulation (docs/architectures.md, Training)."""

import numpy as np
import pytest
import torch

from generators.losses import dssim, face_loss, gradient_loss


def plain_dssim(x, y):
    """One pair of pictures [3, H, W], patch by patch in float64."""
    values = []
    for row in range(0, x.shape[1] // 3 * 3, 3):
        for column in range(0, x.shape[2] // 3 * 3, 3):
            p, q = (v[:, row : row + 3, column : column + 3].reshape(27).astype(np.float64) for v in (x, y))
            (vp, cov), (_, vq) = np.cov(p, q, bias=True)
            upper = (2 * p.mean() * q.mean() + 0.01**2) * (2 * cov + 0.03**2)
            values.append(upper / ((p.mean() ** 2 + q.mean() ** 2 + 0.01**2) * (vp + vq + 0.03**2)))
    return (1 - np.mean(values)) / 2


def pictures(size, count=2):
    rng = np.random.default_rng(size)
    return [rng.random((count, 3, size, size)).astype(np.float32) for _ in range(3)]


@pytest.mark.parametrize("size", [9, 64, 65])
def test_dssim_is_that_of_2021_for_every_mask(size):
    x, y, masks = pictures(size)
    got = dssim(torch.from_numpy(y), torch.from_numpy(x), torch.from_numpy(masks)).numpy()
    for n in range(2):
        for k in range(3):
            assert got[n, k] == pytest.approx(plain_dssim(x[n] * masks[n, k], y[n] * masks[n, k]), abs=1e-6)


@pytest.mark.parametrize("given", [(), ((1.0, 5.0, 0.5),)])
def test_the_loss_of_a_face_is_weighted_by_region(given):
    x, y, masks = pictures(64)
    got = face_loss(*(torch.from_numpy(v) for v in (y, x, masks)), *given).numpy()
    for n in range(2):
        expected = 0.0
        for k, weight in enumerate(given[0] if given else (1, 3, 2)):
            p, q = x[n] * masks[n, k], y[n] * masks[n, k]
            expected += weight * plain_dssim(p, q) + np.mean((p - q) ** 2)
        assert got[n] == pytest.approx(expected, rel=1e-5)


def test_nothing_outside_the_masks_counts():
    x, y, masks = (torch.from_numpy(v) for v in pictures(64))
    masks[:, :, :30] = 0
    changed = y.clone()
    changed[:, :, :30] = 0.5
    assert torch.equal(face_loss(y, x, masks), face_loss(changed, x, masks))
    assert torch.allclose(face_loss(x, x, masks), torch.zeros(2), atol=1e-6)


def test_the_gradient_loss_is_the_mean_step_between_neighbours_under_the_mask():
    x, y, masks = pictures(9)
    got = gradient_loss(*(torch.from_numpy(v) for v in (y, x, masks[:, :1]))).numpy()
    for n in range(2):
        apart = (x[n] - y[n]).astype(np.float64) * masks[n, :1]
        across, down = np.abs(apart[..., 1:] - apart[..., :-1]), np.abs(apart[:, 1:] - apart[:, :-1])
        assert got[n] == pytest.approx(across.mean() + down.mean(), abs=1e-6)


def test_the_gradient_loss_is_added_by_its_weight_and_is_none_of_an_even_shift():
    x, y, masks = (torch.from_numpy(v) for v in pictures(64))
    whole = torch.ones_like(masks)
    added = face_loss(y, x, masks, gradient=2.5) - face_loss(y, x, masks)
    torch.testing.assert_close(added, 2.5 * gradient_loss(y, x, masks[:, :1]))
    assert gradient_loss(x + 0.2, x, whole[:, :1]).max() < 1e-6
