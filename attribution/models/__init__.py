"""The attribution models, each one file, found by its name.

A model's file has `build(classes, depth, clip, weights)`; its module takes `[B, T, 3, H, W]`, RGB normalised
by `attribution.clips.MEAN` and `STD`, and gives logits `[B, classes]`.
"""

import pkgutil
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the config checks names without importing torch
    from torch import nn


def names() -> list[str]:
    """Every model's name: the modules of this package."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def build(name: str, classes: int, depth: int, clip: int, weights: Path | None = None) -> "nn.Module":
    """Build a model by its name; `weights` is the path of ImageNet weights, None means random ones."""
    return import_module(f"{__name__}.{name}").build(classes, depth, clip, weights)
