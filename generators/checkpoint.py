"""Finished models: weights in safetensors, and what rendering must know in the metadata."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from dfdm.config import Centering
from dfdm.errors import DfdmError
from dfdm.files import atomic
from generators.models import build
from generators.models.blocks import Autoencoder

_KEY = "dfdm"  # the one metadata key: several come in random order, and equal models would differ in bytes


@dataclass(frozen=True)
class ModelMeta:
    """What a finished model is: `pair` are the people of sides a and b, `key` the hash of its training."""

    model: str
    width: float
    input_size: int
    output_size: int
    centering: Centering
    coverage: float
    mask: str
    pair: tuple[str, str]
    iterations: int
    key: str


def save(path: Path, model: Autoencoder, meta: ModelMeta) -> None:
    """Write a model; equal weights and metadata give equal bytes."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    with atomic(path) as temporary:
        save_file(tensors, temporary, {_KEY: json.dumps(asdict(meta), sort_keys=True)})


def load(path: Path, device: torch.device | str = "cpu") -> tuple[Autoencoder, ModelMeta]:
    """Read a model, in evaluation mode on `device`; a damaged file or one that is no such model is a DfdmError."""
    try:
        with safe_open(path, "pt", device=str(device)) as file:
            values = json.loads((file.metadata() or {})[_KEY])
            meta = ModelMeta(**{**values, "pair": tuple(values["pair"])})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        with torch.device("meta"):
            model = build(meta.model, meta.width)
        model.load_state_dict(tensors, assign=True)
    except FileNotFoundError:
        raise DfdmError(f"model {path} does not exist; train it first") from None
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DfdmError(f"{path} is no readable dfdm model ({reason}); delete it and train again") from None
    return model.eval().requires_grad_(False), meta
