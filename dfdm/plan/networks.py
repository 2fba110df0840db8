"""What a config's networks cost, counted on torch's meta device: nothing is computed or allocated."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import attribution.models
import generators.models
from dfdm.base.files import digest, sha256, write_json
from dfdm.catalogue.config import Config


@dataclass(frozen=True)
class Network:
    """One network."""

    multiply_adds: int  # of one face in a forward pass; of a classifier, one clip
    parameters: int
    output_size: int = 0  # side of the faces that an autoencoder makes, px


def count(cfg: Config) -> tuple[dict[str, Network], dict[str, Network]]:
    """The autoencoders and classifiers of a config; the cache folder keeps them until their code or torch changes.

    Importing torch and its meta kernels takes longer than reading the job graph, so it is done for new networks alone.
    """
    cache = cfg.sources.cache_dir / "networks.json"
    files = [Path(path) for room in (generators.models, attribution.models) for path in room.__path__]
    code = digest([version("torch"), *(sha256(file) for folder in files for file in sorted(folder.glob("*.py")))])
    known: dict[str, dict[str, int]] = {}
    with suppress(OSError, ValueError, LookupError, TypeError, AttributeError):  # no cache, or another: count all
        stored = json.loads(cache.read_text())
        if stored["code"] == code:
            known = {name: asdict(Network(**counted)) for name, counted in stored["networks"].items()}
    found = dict(known)

    def network(counted: Callable[..., Network], room: Any, *arguments: Any) -> Network:
        if room.package(arguments[0]):  # an installed package's code is not part of the cache's key
            return counted(*arguments)
        key = f"{counted.__name__} {json.dumps(arguments)}"
        found[key] = found.get(key) or asdict(counted(*arguments))
        return Network(**found[key])

    def of_classifier(name: str) -> Network:
        a = cfg.classifier(name)
        classes = len(cfg.models) + a.real
        return network(classifier, attribution.models, a.model, classes, a.depth, a.clip, a.size, a.options)

    widths = {name: cfg.settings(name).width for name in cfg.models}
    autoencoders = {name: network(autoencoder, generators.models, name, width) for name, width in widths.items()}
    classifiers = {name: of_classifier(name) for name in cfg.classifier_names}
    if found != known:
        with suppress(OSError):  # a cache that cannot be written costs seconds, not the plan
            write_json(cache, {"code": code, "networks": found})
    return autoencoders, classifiers


def autoencoder(name: str, width: float) -> Network:
    """Count one autoencoder; imports torch."""
    import torch

    with torch.device("meta"):
        model = generators.models.build(name, width)
        return Network(model.multiply_adds(), sum(p.numel() for p in model.parameters()), model.output_size)


def classifier(name: str, classes: int, depth: int, clip: int, size: int, options: dict[str, Any]) -> Network:
    """Count one classifier for clips of `clip` frames of `size` px; imports torch."""
    import torch

    from attribution.models.blocks import cost

    with torch.device("meta"):
        model = attribution.models.build(name, classes, depth, clip, None, options)
    return Network(cost(model, clip, size).multiply_adds, sum(p.numel() for p in model.parameters()))
