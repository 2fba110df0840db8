"""A new face in the colours of the old one: mean, Reinhard transfer, histogram match, Poisson blending.

All work on the aligned crop, before the face is warped back onto the frame, and weigh by the face mask; where a
mask is empty the face stays. Source: docs/architectures.md, Conversion 3 and 4.
"""

from collections.abc import Callable
from typing import Literal

import cv2
import numpy as np
import torch
from torch import Tensor

Colour = Literal["avg", "local", "reinhard", "histogram", "none"]
AROUND = 0.045  # sigma of `match_local`, of the crop's side: narrower, the old face's features would come through
_PAD = 3  # px around the crop: cv2.seamlessClone clears the outermost pixels of a mask and shifts what touches the edge


def match(kind: Colour, new: Tensor, old: Tensor, mask: Tensor) -> Tensor:
    """Match the colours of new faces [B, 3, S, S] to those of the old ones under masks [B, 1, S, S], all RGB 0..1."""
    if kind == "none":
        return new
    if kind == "avg":
        return match_mean(new, old, mask)
    if kind == "local":
        return match_local(new, old, mask)
    return _each(reinhard if kind == "reinhard" else match_histogram, new, old, mask)


def match_mean(new: Tensor, old: Tensor, mask: Tensor) -> Tensor:
    """Give new faces the mean colour, weighted by the mask, of the old ones ("avg-color").

    Faces [B, 3, S, S], masks [B, 1, S, S], all 0..1; where a mask is empty the face stays. Source:
    docs/architectures.md, Conversion 3.
    """
    weight = mask.sum((2, 3), keepdim=True)  # [B, 1, 1, 1]
    for _ in range(2):  # as the original; the second time only rounding is left
        shift = ((old - new) * mask).sum((2, 3), keepdim=True) / weight  # [B, 3, 1, 1]
        new = torch.where(weight > 0, new + shift, new)
    return new


def match_local(new: Tensor, old: Tensor, mask: Tensor) -> Tensor:
    """Give each part of new faces the mean colour of the same part of the old ones.

    Faces [B, 3, S, S], masks [B, 1, S, S], all 0..1; where a mask is empty the face stays. What "avg" leaves of
    old - new is averaged under the mask by a Gaussian and added: blotches and the step at the rim go, detail stays.
    """
    new = match_mean(new, old, mask)
    place = torch.arange(new.shape[-1], device=new.device)
    kernel = torch.exp(-0.5 * ((place[:, None] - place) / (AROUND * len(place))) ** 2)  # [S, S]
    near = (kernel @ mask @ kernel).clamp_min(1e-3)  # beyond the mask's reach nothing is added
    return new + kernel @ ((old - new) * mask) @ kernel / near


def reinhard(new: np.ndarray, old: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Give a face the mean and spread, in CIE Lab and weighted by the mask, of the old one.

    Faces [S, S, 3] float32 RGB 0..1, mask [S, S] 0..1. A channel of the new face without any spread only moves.
    Source: Reinhard et al. 2001, in CIE Lab instead of their l-alpha-beta.
    """
    if not mask.any():
        return new
    lab, wanted = (cv2.cvtColor(face.clip(0, 1), cv2.COLOR_RGB2LAB) for face in (new, old))  # [S, S, 3]
    (mean, spread), (old_mean, old_spread) = _statistics(lab, mask), _statistics(wanted, mask)
    scale = old_spread / np.where(spread > 1e-6, spread, old_spread.clip(1e-6))
    moved = ((lab - mean) * scale + old_mean).astype(np.float32)
    return cv2.cvtColor(moved, cv2.COLOR_LAB2RGB)


def _statistics(image: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean and standard deviation of each channel, [3] each."""
    pixels, weights = image.reshape(-1, 3).astype(np.float64), weight.ravel()
    mean = np.average(pixels, axis=0, weights=weights)
    return mean, np.sqrt(np.average((pixels - mean) ** 2, axis=0, weights=weights))


def match_histogram(new: np.ndarray, old: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Give each channel of a face the distribution, weighted by the mask, that it has in the old one.

    Faces [S, S, 3] float32 0..1, mask [S, S] 0..1. The map that is learned under the mask is applied to all pixels,
    so that nothing of the former colours shows where the mask is soft.
    """
    inside = mask > 0
    if not inside.any():
        return new
    weights = mask[inside].astype(np.float64)
    out = np.empty_like(new)
    for channel in range(3):
        values, shares = _distribution(new[inside, channel], weights)
        wanted, wanted_shares = _distribution(old[inside, channel], weights)
        out[..., channel] = np.interp(new[..., channel], values, np.interp(shares, wanted_shares, wanted))
    return out


def _distribution(samples: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values that occur, in order, and the share of the weight at or below each."""
    values, place = np.unique(samples, return_inverse=True)
    shares = np.cumsum(np.bincount(place.ravel(), weights))
    return values, shares / shares[-1]


def clone(new: Tensor, old: Tensor, mask: Tensor) -> Tensor:
    """Blend new faces into the old ones by Poisson's equation (OpenCV's seamlessClone): the new face's gradients
    inside the mask, the old one's colours around it.

    Shapes and ranges as in `match`; the result is of 8 bits. OpenCV shrinks the mask by 3 px; one that then holds
    nothing leaves its face.
    """  # fmt: skip
    return _each(_clone, new, old, mask)


def _clone(new: np.ndarray, old: np.ndarray, mask: np.ndarray) -> np.ndarray:
    inside = np.pad((mask > 0).astype(np.uint8) * 255, _PAD)
    if not cv2.erode(inside, np.ones((3, 3), np.uint8), iterations=3).any():
        return new
    source, target = (
        np.pad(np.rint(face.clip(0, 1) * 255).astype(np.uint8), ((_PAD, _PAD), (_PAD, _PAD), (0, 0)), mode="edge")
        for face in (new, old)
    )
    x, y, width, height = cv2.boundingRect(inside)
    blended = cv2.seamlessClone(source, target, inside, (x + width // 2, y + height // 2), cv2.NORMAL_CLONE)
    return blended[_PAD:-_PAD, _PAD:-_PAD].astype(np.float32) / 255


def _each(function: Callable[..., np.ndarray], new: Tensor, old: Tensor, mask: Tensor) -> Tensor:
    """A function of face, old face [S, S, 3] and mask [S, S] on every face of a batch, [B, 3, S, S]."""
    images = zip(*(faces.permute(0, 2, 3, 1).cpu().numpy() for faces in (new, old, mask)))  # [S, S, C] each
    made = [function(face, before, weight[..., 0]) for face, before, weight in images]
    return torch.from_numpy(np.stack(made)).to(new.device).permute(0, 3, 1, 2)  # [B, 3, S, S]
