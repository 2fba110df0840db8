"""The training loss: structural dissimilarity and squared error under masks (docs/architectures.md, Training)."""

import torch
from torch import Tensor

PATCH = 3
C1, C2 = 0.01**2, 0.03**2
DSSIM_WEIGHTS = (1.0, 3.0, 2.0)  # face, eyes, mouth; the squared error of each counts once


def dssim(predicted: Tensor, target: Tensor, masks: Tensor) -> Tensor:
    """Structural dissimilarity of two pictures under masks, as of 2021.

    Both pictures are multiplied by a mask and cut into non-overlapping 3x3 patches (rows and columns that fill
    no patch are left out); mean, population variance and covariance are over a patch's 27 values, space and
    colour together; the result is the mean over patches of (1 - SSIM) / 2.

    predicted, target [N, 3, H, W] in 0..1, masks [N, K, H, W] in 0..1 -> [N, K] in 0..1.
    """
    squares = masks.square()
    with torch.no_grad():
        mean_x = patch_means(masks, target.sum(1, keepdim=True))  # [N, K, H/3, W/3]
        variance_x = patch_means(squares, target.square().sum(1, keepdim=True)) - mean_x.square()
    mean_y = patch_means(masks, predicted.sum(1, keepdim=True))
    variance_y = patch_means(squares, predicted.square().sum(1, keepdim=True)) - mean_y.square()
    product = mean_x * mean_y
    covariance = patch_means(squares, (target * predicted).sum(1, keepdim=True)) - product
    upper = (2 * product + C1) * (2 * covariance + C2)
    lower = (mean_x.square() + mean_y.square() + C1) * (variance_x + variance_y + C2)
    return (1 - (upper / lower).mean((2, 3))) / 2


def patch_means(weights: Tensor, colour_sums: Tensor) -> Tensor:
    """Weighted patch means over space and colour: [N, K, H, W], [N, 1, H, W] -> [N, K, H // 3, W // 3]."""
    x = weights * colour_sums
    height, width = x.shape[2] // PATCH * PATCH, x.shape[3] // PATCH * PATCH
    x = x[..., 0:width:PATCH] + x[..., 1:width:PATCH] + x[..., 2:width:PATCH]  # faster than average pooling
    return (x[:, :, 0:height:PATCH] + x[:, :, 1:height:PATCH] + x[:, :, 2:height:PATCH]) / (3 * PATCH**2)


def gradient_loss(predicted: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference of the pictures' horizontal and vertical gradients under a mask; not of the original.

    predicted, target [N, 3, H, W], mask [N, 1, H, W], all in 0..1 -> [N]. DSSIM's 3x3 patches do not overlap; edges
    between them count here.
    """
    difference = (target - predicted) * mask
    across, down = (difference.diff(dim=along).abs().mean((1, 2, 3)) for along in (3, 2))
    return across + down


def face_loss(
    predicted: Tensor,
    target: Tensor,
    masks: Tensor,
    weights: tuple[float, float, float] = DSSIM_WEIGHTS,
    gradient: float = 0.0,
) -> Tensor:
    """The loss of each face: DSSIM + MSE of the face, 3 DSSIM + MSE of the eyes, 2 DSSIM + MSE of the mouth.

    predicted, target [N, 3, H, W], masks [N, 3, H, W] (face, eyes, mouth), all float32 in 0..1 -> [N]. `weights`: of
    the DSSIM of face, eyes and mouth; `gradient`: of the face's `gradient_loss`.
    """
    structure = (dssim(predicted, target, masks) * torch.tensor(weights, device=predicted.device)).sum(1)
    squared = (target - predicted).square().mean(1) * masks.square().sum(1)  # [N, H, W]
    loss = structure + squared.mean((1, 2))
    return loss + gradient * gradient_loss(predicted, target, masks[:, :1]) if gradient else loss
