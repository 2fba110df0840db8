"""The autoencoders, each one file, found by its name."""

import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING

from dfdm.base.errors import DfdmError

if TYPE_CHECKING:
    from generators.models.blocks import Autoencoder


def names() -> list[str]:
    """Every model's name: the modules of this package but the shared blocks."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "blocks")


def build(name: str, width: float = 1.0) -> "Autoencoder":
    """Build a model with fresh weights; `width` scales every hidden channel count and dense unit."""
    if name not in names():
        raise DfdmError(f"there is no autoencoder '{name}'; known are {', '.join(names())}")
    return import_module(f"generators.models.{name}").Model(width)
