"""Weights of the original program into our models and back (docs/architectures.md, Weight exchange).

The original's arrays, float32: convolution kernels [height, width, in, out], dense weights [in, out], biases
[out], colours as BGR. Everything is found in the model itself: its parts by name, their layers in order, the first
convolution (which sees colours) and the picture (which makes them). A new model needs no table.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import nn

from dfdm.base import names
from dfdm.base.errors import DfdmError
from dfdm.base.files import atomic, digest, reading, sha256
from dfdm.base.text import listed
from generators import checkpoint
from generators.models import build
from generators.models.blocks import Autoencoder, O
from generators.settings import Mask, TrainConfig

Weights = dict[str, list[np.ndarray]]  # a list for each part (sub-model) by its name
Parts = Mapping[str, Sequence[np.ndarray]]  # the same, as an argument
_SIDES = {"a": "b", "b": "a"}


@dataclass(frozen=True)
class Slot:
    """One array of the original's lists, and the parameter of ours that it is."""

    part: str  # encoder, decoder_a ...
    number: int  # its place in the part's list
    parameter: nn.Parameter
    axes: tuple[int, ...]  # the parameter's axes in the original's order
    colours: tuple[int, ...]  # the parameter's axes that count colours

    @property
    def name(self) -> str:
        """The array in words and in files: `decoder_a/3`."""
        return f"{self.part}/{self.number}"

    @property
    def shape(self) -> tuple[int, ...]:
        """The original's shape."""
        return tuple(self.parameter.shape[axis] for axis in self.axes)

    def read(self) -> np.ndarray:
        """The parameter as the original's array."""
        ours = self.parameter.detach().flip(self.colours).permute(self.axes)
        return np.array(ours.cpu().numpy(), order="C")

    def write(self, array: np.ndarray) -> None:
        """Set the parameter from the original's array."""
        ours = torch.from_numpy(np.array(array.transpose(np.argsort(self.axes)), order="C"))
        with torch.no_grad():
            self.parameter.copy_(ours.flip(self.colours))


def slots(model: Autoencoder) -> list[Slot]:
    """Every array of the original's lists in order: part after part, layer after layer, kernel then bias.

    Raises DfdmError for a model with a layer that is neither an ordinary convolution nor dense, both with a bias.
    """
    found: list[Slot] = []
    numbers: Counter[str] = Counter()
    for name, layer in model.named_modules():
        if not list(layer.parameters(recurse=False)):
            continue
        kind = type(layer).__name__
        convolution = isinstance(layer, nn.Conv2d) and layer.groups == 1
        if not (convolution or isinstance(layer, nn.Linear)) or not isinstance(layer.bias, nn.Parameter):
            raise DfdmError(f"weight exchange does not know the layer {name} ({kind}); add it to exchange.py")
        if not found and not (convolution and layer.weight.shape[1] == 3):
            raise DfdmError(f"weight exchange needs a first convolution that sees 3 colours, and {name} is {kind}")
        inward = (1,) if not found else ()  # the first layer sees colours
        outward = (0,) if isinstance(layer, O) else ()  # the picture makes them
        axes = (2, 3, 1, 0) if convolution else (1, 0)
        part = name.partition(".")[0]
        found.append(Slot(part, numbers[part], layer.weight, axes, inward + outward))
        found.append(Slot(part, numbers[part] + 1, layer.bias, (0,), outward))
        numbers[part] += 2
    return found


def load_original(model: Autoencoder, weights: Parts | Sequence[np.ndarray]) -> Autoencoder:
    """Give a model the weights of the original's model of the same kind and width; returns the model.

    `weights`: for each part (`encoder`, `decoder_a` ...) the list that Keras' `get_weights()` gives of it, or the flat
    list that it gives of the whole model, in Keras' order of the parts. Afterwards both give the same picture of the
    same face, the original in BGR and channels last, ours in RGB and channels first. Everything is checked before the
    model is changed: a wrong count, shape or type, or a value that is not a number, is a DfdmError that names the
    array.
    """
    expected = slots(model)
    paired = list(zip(expected, _listed(model, expected, weights)))
    for slot, array in paired:
        _check(slot, array)
    for slot, array in paired:
        slot.write(array)
    return model


def to_original(model: Autoencoder) -> Weights:
    """A model's weights as the original's lists, one for each part: what `load_original` takes, bit for bit."""
    weights: Weights = {}
    for slot in slots(model):
        weights.setdefault(slot.part, []).append(slot.read())
    return weights


def sides_exchanged(weights: Parts) -> Parts:
    """The same weights with the parts of side a (`decoder_a` ...) and side b under each other's names."""
    return {re.sub("_([ab])$", lambda match: f"_{_SIDES[match[1]]}", part): list_ for part, list_ in weights.items()}


def _listed(model: Autoencoder, expected: list[Slot], weights: Parts | Sequence[np.ndarray]) -> list[np.ndarray]:
    """All arrays in the order of the slots; a wrong part or count is a DfdmError."""
    if not isinstance(weights, Mapping):
        if len(weights) != len(expected):
            raise DfdmError(f"the list contains {len(weights)} arrays, this model has {len(expected)}")
        order = model.keras_order or tuple(dict.fromkeys(slot.part for slot in expected))
        first = sorted(range(len(expected)), key=lambda place: (order.index(expected[place].part), place))
        place_of = {place: number for number, place in enumerate(first)}
        return [weights[place_of[place]] for place in range(len(expected))]
    counts = Counter(slot.part for slot in expected)
    if set(weights) != set(counts):
        raise DfdmError(
            f"the weights are of the parts {', '.join(sorted(weights)) or '(none)'}, this model has {', '.join(counts)}"
        )
    for part, count in counts.items():
        if len(weights[part]) != count:
            raise DfdmError(f"{part} contains {len(weights[part])} arrays, this model's has {count}")
    return [weights[slot.part][slot.number] for slot in expected]


def _check(slot: Slot, array: np.ndarray) -> None:
    wanted = f"this model needs a float32 array of {slot.shape}"
    if not isinstance(array, np.ndarray):
        raise DfdmError(f"{slot.name} is a {type(array).__name__}; {wanted}")
    if array.shape != slot.shape:
        raise DfdmError(f"{slot.name} has the shape {array.shape}; {wanted}")
    if array.dtype != np.float32:
        raise DfdmError(f"{slot.name} is of type {array.dtype}; {wanted}")
    if bad := int((~np.isfinite(array)).sum()):
        raise DfdmError(f"{slot.name} contains {bad} values that are not finite numbers; {wanted} without them")


def read_npz(path: Path) -> Weights:
    """Read what `export_file` wrote; a missing, damaged or foreign file is a DfdmError naming it."""
    numbered: dict[str, dict[int, np.ndarray]] = {}
    make = "write it with numpy.savez, keys like encoder/0"
    with reading(path, "not a readable .npz of weights", make), np.load(path, allow_pickle=False) as file:
        for key in file.files:
            part, _, number = key.rpartition("/")
            if not part or not number.isdecimal():
                raise ValueError(f"its key '{key}' does not look like encoder/0")
            numbered.setdefault(part, {})[int(number)] = file[key]
    for part, arrays in numbered.items():
        if missing := set(range(len(arrays))) - set(arrays):
            raise DfdmError(f"{path} has no {part}/{min(missing)}; a part's arrays count from 0 without a gap")
    return {part: [arrays[number] for number in range(len(arrays))] for part, arrays in numbered.items()}


def described(state: Path | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """How the original's model was trained: from its state file and from what is given beside it.

    `given`: centering, coverage (0..1), mask, padding, iterations; None where not given. DfdmError where the two
    disagree, where the arrays would not fit what was trained, and where neither says what the arrays do not show.
    """
    told: dict[str, Any] = {}
    if state is not None:
        with reading(state, "not a readable state file", "give the <model>_state.json beside the original's weights"):
            content = json.loads(state.read_text())
            options = {**content, **content.get("config", {})}
        reflected = options.get("reflect_padding")
        padding = None if reflected is None else "reflect" if reflected else "zero"
        coverage = float(options["coverage"]) / 100 if "coverage" in options else None
        told = {"centering": options.get("centering"), "coverage": coverage, "padding": padding}
        told |= {"mask": options.get("mask_type") if options.get("mask_type") in get_args(Mask) else None}
        told |= {"iterations": options.get("iterations")}
        for option in ("learn_mask", "lowmem"):
            if options.get(option):
                raise DfdmError(f"{state}: the model has {option}, which this project's models do not have")
    both = {key: value for key, value in told.items() if value is not None}
    for key, value in given.items():
        if value is not None and both.setdefault(key, value) != value:
            raise DfdmError(f"{state} says {key} {both[key]}, the command line {value}; leave the wrong one out")
    missing = [key for key in ("coverage", "centering", "padding") if key not in both]
    if missing:
        raise DfdmError(
            f"the weights do not show {listed(missing)}; give {' and '.join(f'--{key}' for key in missing)} (coverage "
            "0.875 in 2021, 1 today; padding zero by default), or --state with the <model>_state.json beside them"
        )
    if both["padding"] != "zero":
        raise DfdmError("the model was trained with reflect padding, which this project's models do not have")
    return both


def import_file(
    path: Path, model: str, pair: tuple[str, str], settings: TrainConfig, iterations: int, out: Path
) -> checkpoint.ModelMeta:
    """Make a finished model out of an .npz of the original's weights; returns what it says of itself.

    `pair`: the people of the original's sides A and B. Our models have the lower number on side a: where the order
    is the other one, the sides are exchanged. `settings`: width, centering, coverage and mask are taken of them.
    """
    for person in pair:
        if not re.fullmatch(names.ID, person):
            raise DfdmError(f"'{person}' is not a person; people are called id0, id1 ...")
    if pair[0] == pair[1]:
        raise DfdmError(f"a pair is two people, and both sides are {pair[0]}")
    with torch.device("meta"):
        net = build(model, settings.width)
    weights, ordered = read_npz(path), names.pair_of(*pair)
    try:
        load_original(net.to_empty(device="cpu"), weights if pair == ordered else sides_exchanged(weights))
    except DfdmError as error:
        raise DfdmError(f"{path} does not fit {model} at width {settings.width:g}: {error}") from None
    made_of = {"imported": sha256(path), "model": model, "pair": pair, "settings": settings.model_dump()}
    meta = checkpoint.describe(net, model, ordered, settings, iterations, digest(made_of))
    checkpoint.save(out, net, meta)
    return meta


def export_file(path: Path, out: Path) -> checkpoint.ModelMeta:
    """Write a finished model's weights as an .npz for the original; returns what the model says of itself.

    Keys are `<part>/<number>`, numbers from 0; equal weights give equal bytes.
    """
    net, meta = checkpoint.load(path)
    arrays: dict[str, Any] = {slot.name: slot.read() for slot in slots(net)}
    with atomic(out) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)
    return meta
