"""Finished models: weights in safetensors, and what rendering must know in the metadata."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from dfdm.base.errors import DfdmError, reason
from dfdm.base.files import UNREADABLE, reading
from dfdm.base.names import pair_of
from dfdm.base.records import checked
from dfdm.base.states import load_state
from dfdm.base.tensorfile import content_hash, write_weights
from dfdm.media.masks import Kind
from generators.models import build
from generators.models.blocks import Autoencoder
from generators.settings import Centering, TrainConfig, train_settings


@dataclass(frozen=True)
class ModelMeta:
    """What a finished model is: `pair` are the people of sides a and b, `key` the hash of its training."""

    model: str
    width: float
    input_size: int
    output_size: int
    centering: Centering
    coverage: float
    mask: Kind
    pair: tuple[str, str]
    iterations: int
    key: str


def describe(
    net: Autoencoder, model: str, pair: tuple[str, str], settings: TrainConfig, iterations: int, key: str
) -> ModelMeta:
    """What a model's file says of it."""
    about = settings.model_dump(include={"width", "centering", "coverage", "mask"})
    about |= {"input_size": net.input_size, "output_size": net.output_size}
    return ModelMeta(model=model, **about, pair=pair, iterations=iterations, key=key)


def save(path: Path, model: Autoencoder, meta: ModelMeta) -> None:
    """Write a model; equal weights and metadata give equal bytes.

    The metadata also holds a hash of weights and metadata, since the format itself has no checksum.
    """
    tensors = {name: value.detach().cpu().contiguous().numpy() for name, value in model.state_dict().items()}
    write_weights(path, tensors, asdict(meta))


def load(path: Path, device: torch.device | str = "cpu") -> tuple[Autoencoder, ModelMeta]:
    """Read a model, in evaluation mode on `device`; a damaged file or one that is no such model is a DfdmError."""
    with reading(path, "not a readable dfdm model", "run the stage train"):
        tensors, meta = _read(path)
        model = _built(meta.model, meta.width, tensors)
    checked(path)
    return model.to(device).eval().requires_grad_(False), meta


def start_weights(path: Path, model: str, width: float) -> dict[str, Tensor]:
    """The weights of a finished model or a training state, to begin another training of that model and width with.

    A file that is damaged or holds another model is a DfdmError; no file is changed.
    """
    try:
        if path.suffix == ".pt":
            state = load_state(path)
            tensors, holds = state["model"], (state["of"]["model"], state["of"]["width"])
        else:
            tensors, meta = _read(path)
            holds = (meta.model, meta.width)
        if holds == (model, width):
            _built(model, width, tensors)
    except UNREADABLE as error:
        raise DfdmError(
            f"train.start_from: {path} cannot be read as a model or training state ({reason(error)}); it was left "
            "unchanged: name an intact file or remove the key"
        ) from None
    if holds != (model, width):
        raise DfdmError(
            f"train.start_from: {path} contains {holds[0]} at width {holds[1]:g}, which does not fit {model} at width "
            f"{width:g}; it was not changed: name a file that fits, or give the key to one model only"
        )
    return tensors


def _built(model: str, width: float, tensors: dict[str, Tensor]) -> Autoencoder:
    with torch.device("meta"):
        net = build(model, width)
    net.load_state_dict(tensors, assign=True)
    return net


def _read(path: Path) -> tuple[dict[str, Tensor], ModelMeta]:
    """Weights in main memory and metadata; ValueError where they are not as they were written."""
    with safe_open(path, "pt") as file:
        values = json.loads(file.metadata()["dfdm"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    written = values.pop("sha256")
    if written != content_hash({name: tensor.numpy() for name, tensor in tensors.items()}, values):
        raise ValueError("its content is not what was written")
    meta = ModelMeta(**{**values, "pair": tuple(values["pair"])})
    train_settings({key: getattr(meta, key) for key in ("width", "centering", "coverage", "mask")})
    if len(meta.pair) != 2 or meta.pair != pair_of(*meta.pair):
        raise ValueError("it is not of two people in order")
    return tensors, meta
