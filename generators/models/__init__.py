"""The autoencoders, each one file with a class `Model`, found by its name (docs/extending.md).

They are this package's modules, and those that installed packages name as entry points `dfdm.generators`.
"""

from typing import TYPE_CHECKING, cast

from dfdm.base.registry import Registry

if TYPE_CHECKING:
    from generators.models.blocks import Autoencoder

_REGISTRY = Registry("autoencoder", "Model", "dfdm.generators", __name__, __path__)
names, package = _REGISTRY.names, _REGISTRY.package


def build(name: str, width: float = 1.0) -> "Autoencoder":
    """Build a model with fresh weights; `width` scales every hidden channel count and dense unit."""
    return _REGISTRY.load(name)(width)


def output_size(name: str) -> int:
    """The side of the faces that a model gives, px."""
    return cast("type[Autoencoder]", _REGISTRY.load(name)).output_size
