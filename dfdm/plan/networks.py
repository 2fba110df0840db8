"""What a config's networks cost, counted on torch's meta device: nothing is computed or allocated."""

import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING

from dfdm.catalogue.config import Config

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Network:
    """One network at a config's size."""

    multiply_adds: int  # of a face's forward pass; of a classifier, a clip's
    parameters: int
    output_size: int = 0  # side of the faces that an autoencoder makes, px


@dataclass(frozen=True)
class Networks:
    """Every network of a config by its name there."""

    autoencoders: dict[str, Network]
    classifiers: dict[str, Network]


def count(cfg: Config) -> Networks:
    """Build every autoencoder and classifier of a config on the meta device and count; imports torch."""
    from attribution.models import build as build_classifier
    from attribution.models.blocks import cost
    from generators.models import build as build_autoencoder

    def size(network: "nn.Module") -> int:
        return sum(parameter.numel() for parameter in network.parameters())

    autoencoders, classifiers = {}, {}
    with _unfilled():
        for name in cfg.models:
            model = build_autoencoder(name, cfg.settings(name).width)
            autoencoders[name] = Network(model.multiply_adds(), size(model), model.output_size)
        for name in cfg.classifier_names:
            a = cfg.classifier(name)
            classifier = build_classifier(a.model, len(cfg.models) + a.real, a.depth, a.clip, None, a.options)
            classifiers[name] = Network(cost(classifier, a.clip, a.size).multiply_adds, size(classifier))
    return Networks(autoencoders, classifiers)
