"""Where a classifier looks in a clip: its own attention where it has one, else gradient x input.

A model may offer `attention(clips) -> (frame weights [B, T], maps [B, T, h, w])`: the weights sum to 1 over a clip, the
maps are 0..1 and may have any size. It is asked in evaluation mode with normalised clips `[B, T, 3, H, W]`.
"""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

CELLS = 16  # places a side to which a saliency is averaged: single pixels are noise


@runtime_checkable
class Attentive(Protocol):
    """A model that gives its attention."""

    def attention(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Frame weights `[B, T]`, sum 1, and maps `[B, T, h, w]`, 0..1."""


@dataclass(frozen=True)
class Evidence:
    """Of one clip: every frame's weight `[T]` (sum 1) and every place's `[T, h, w]` (not negative), float64."""

    weights: np.ndarray
    maps: np.ndarray
    kind: Literal["attention", "saliency"]


def evidence(model: nn.Module, clip: Tensor, target: int) -> Evidence:
    """Of a model in evaluation mode and one normalised clip `[T, 3, H, W]`; `target` is the class it should explain.

    A model's attention is the same for every class. The saliency is |gradient of the class's logit x input|, summed
    over the colours; a frame's weight is its share of the clip's.
    """
    if isinstance(model, Attentive):
        weights, maps = model.attention(clip[None])
        return Evidence(_plain(weights[0]), _plain(maps[0]), "attention")
    values = clip[None].detach().requires_grad_()  # [1, T, 3, H, W]
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):  # cuDNN's LSTM has no gradient in evaluation
        (gradient,) = torch.autograd.grad(model(values)[0, target], values)
    mass = (gradient * values).sum(2).abs().detach()[0]  # [T, H, W]
    weights = mass.sum((1, 2))
    maps = F.adaptive_avg_pool2d(mass, min(CELLS, *mass.shape[1:]))  # [T, CELLS, CELLS]
    total = weights.sum()
    even = torch.full_like(weights, 1 / len(weights))
    return Evidence(_plain(weights / total if total > 0 else even), _plain(maps), "saliency")


def _plain(values: Tensor) -> np.ndarray:
    return values.detach().double().cpu().numpy()
