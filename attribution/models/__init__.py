"""The attribution models, each one file, found by its name (docs/extending.md).

They are this package's modules, and those that installed packages name as entry points `dfdm.classifiers`. A
model's file has `build(classes, clip, weights, *, ...)`; its module takes `[B, T, 3, H, W]`, RGB normalised by
`attribution.clips.MEAN` and `STD`, and gives logits `[B, classes]`. What only one model has is a keyword-only argument
of its own `build`, its default the full-size value: that is what `attribution.options` may set. `depth` is the one
such argument with a config key of its own; models that have none do not look at it.
"""

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfdm.base.errors import DfdmError
from dfdm.base.registry import Registry

if TYPE_CHECKING:  # the config checks names without importing torch
    import torch
    from torch import nn

_REGISTRY = Registry("classifier", "build", "dfdm.classifiers", __name__, __path__)
names, package = _REGISTRY.names, _REGISTRY.package


def build(
    name: str, classes: int, depth: int, clip: int, weights: Path | None = None, options: dict[str, Any] | None = None
) -> "nn.Module":
    """Build a model by its name; `weights` is the path of torchvision's weights file, None means random ones.

    DfdmError, one sentence, for an option that the model does not have or a value that it does not take.
    """
    builder, options = _REGISTRY.load(name), options or {}
    known = {p.name: p.default for p in inspect.signature(builder).parameters.values() if p.kind is p.KEYWORD_ONLY}
    given = {"depth": depth} if known.pop("depth", None) else {}
    for key, value in options.items():
        if key not in known:
            have = f"it has {', '.join(sorted(known))}" if known else "it has none"
            raise DfdmError(f"attribution.options: '{key}' is not an option of {name}; {have}")
        if type(value) is not type(known[key]):
            kind = type(known[key]).__name__
            raise DfdmError(f"attribution.options: {key} of {name} is {value!r}, but should be of type {kind}")
    return builder(classes, clip, weights, **given, **options)


def check_options(name: str, depth: int, clip: int, options: dict[str, Any]) -> None:
    """DfdmError where the model does not take these options; nothing is allocated."""
    import torch

    with torch.device("meta"):
        build(name, 2, depth, clip, None, options)


def place(model: "nn.Module", device: "torch.device", channels_last: bool) -> "nn.Module":
    """Move a model to the device; with `channels_last` its 2-D convolutions get that memory format.

    3-D convolutions stay as they are: `Module.to(memory_format=torch.channels_last)` refuses them.
    """
    import torch

    model = model.to(device)
    if channels_last:
        for parameter in model.parameters():
            if parameter.dim() == 4:
                parameter.data = parameter.data.to(memory_format=torch.channels_last)
    return model
