"""What a config's networks cost, counted on torch's meta device: nothing is computed or allocated."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from typing import Any

from dfdm.catalogue.config import Config


@dataclass(frozen=True)
class Network:
    """One network."""

    multiply_adds: int  # of one face in a forward pass; of a classifier, one clip
    parameters: int
    output_size: int = 0  # side of the faces that an autoencoder makes, px


@dataclass(frozen=True)
class Networks:
    """The networks of a config by their names there."""

    autoencoders: dict[str, Network]
    classifiers: dict[str, Network]


def count(cfg: Config) -> Networks:
    """Count every autoencoder and classifier that a config names; imports torch."""
    classifiers = {}
    for name in cfg.classifier_names:
        a = cfg.classifier(name)
        options = tuple(sorted(a.options.items()))
        classifiers[name] = classifier(a.model, len(cfg.models) + a.real, a.depth, a.clip, a.size, options)
    return Networks({name: autoencoder(name, cfg.settings(name).width) for name in cfg.models}, classifiers)


@lru_cache
def autoencoder(name: str, width: float) -> Network:
    """Count one autoencoder."""
    import torch

    from generators.models import build

    with torch.device("meta"):
        model = build(name, width)
        return Network(model.multiply_adds(), sum(p.numel() for p in model.parameters()), model.output_size)


@lru_cache
def classifier(
    name: str, classes: int, depth: int, clip: int, size: int, options: tuple[tuple[str, Any], ...] = ()
) -> Network:
    """Count one classifier for clips of `clip` frames of `size` px."""
    import torch

    from attribution.models import build
    from attribution.models.blocks import cost

    with torch.device("meta"):
        model = build(name, classes, depth, clip, None, dict(options))
        return Network(cost(model, clip, size).multiply_adds, sum(p.numel() for p in model.parameters()))


@contextmanager
def counting(cfg: Config) -> Iterator[Callable[[], Networks]]:
    """Count in a process beside this one while the block runs, since importing torch takes as long as the job graph."""
    if "torch" in sys.modules:
        yield lambda: count(cfg)
    else:
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            yield pool.submit(count, cfg).result
