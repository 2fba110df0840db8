"""Weights of the original program into our models and back (docs/architectures.md, Weight exchange).

They come as the original's model file (generators/keras_file.py), as an .npz of arrays, or as lists of arrays.

The original's arrays, float32: convolution kernels [height, width, in, out], dense weights [in, out], biases
[out], colours as BGR. Everything is found in the model itself: its parts by name, their layers in order, the first
convolution (which sees colours) and the picture (which makes them). A new model needs no table.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, get_args

import h5py
import numpy as np
import torch
from torch import nn

from dfdm.base import names
from dfdm.base.errors import DfdmError
from dfdm.base.files import atomic, digest, reading, sha256
from dfdm.base.plain import from_json
from dfdm.base.text import listed
from generators import checkpoint, keras_file
from generators.models import build, output_size
from generators.models.blocks import Autoencoder, O
from generators.settings import Mask, TrainConfig, train_settings

Array: TypeAlias = np.ndarray | h5py.Dataset  # in memory, or in an open model file
Weights = dict[str, list[np.ndarray]]  # a list for each part (sub-model) by its name
Parts = Mapping[str, Sequence[Array]]  # the same, as an argument
NAMES = {"original": "faceswap", "dfl-h128": "dfl_h128"}  # the original's names of models that have another one here
_SIDES = {"a": "b", "b": "a"}


class Lacking(NamedTuple):
    """What the original's models can have and this project's do not.

    `option`: the key of the state file that says so, whose value is `ours` where a model does not have it.
    `layer`: a pattern of the class and name of a layer that shows it.
    """

    what: str
    option: str
    ours: Any
    layer: str = "(?!)"


LACKING = (
    Lacking("reflect padding", "reflect_padding", False, "ReflectionPadding2D .*"),
    Lacking("a learned mask", "learn_mask", False, ".* mask_out.*"),
    Lacking("the smaller encoder 'lowmem'", "lowmem", False),
    Lacking("a vertical offset of the face", "vertical_offset", 0),
)
_LAYERS = {  # the classes of layers that our models compute
    *("InputLayer", "Functional", "Model", "Conv2D", "Dense", "LeakyReLU", "PixelShuffler", "Add", "Activation"),
    *("Flatten", "Reshape", "Concatenate"),
}


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


def load_original(model: Autoencoder, weights: Parts | Sequence[Array]) -> Autoencoder:
    """Give a model the weights of the original's model of the same kind and width; returns the model.

    `weights`: for each part (`encoder`, `decoder_a` ...) the list that Keras' `get_weights()` gives of it, or the flat
    list that it gives of the whole model, in Keras' order of the parts. Afterwards both give the same picture of the
    same face, the original in BGR and channels last, ours in RGB and channels first. Everything is checked before the
    model is changed: a wrong count, shape or type, or a value that is not a number, is a DfdmError that names the
    array.
    """
    expected = slots(model)
    read = [(slot, _values(slot, array)) for slot, array in zip(expected, _listed(model, expected, weights))]
    for slot, values in read:
        slot.write(values)
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


def _listed(model: Autoencoder, expected: list[Slot], weights: Parts | Sequence[Array]) -> list[Array]:
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


def _check(slot: Slot, array: Array) -> str:
    """Compare type and shape before any value is read; returns what is needed, in words."""
    wanted = f"this model needs a float32 array of {slot.shape}"
    if not isinstance(array, Array):
        raise DfdmError(f"{slot.name} is a {type(array).__name__}; {wanted}")
    if array.shape != slot.shape:
        raise DfdmError(f"{slot.name} has the shape {array.shape}; {wanted}")
    if array.dtype != np.float32:
        raise DfdmError(f"{slot.name} is of type {array.dtype}; {wanted}")
    return wanted


def _values(slot: Slot, array: Array) -> np.ndarray:
    wanted = _check(slot, array)
    values = array[...]
    if bad := int((~np.isfinite(values)).sum()):
        raise DfdmError(f"{slot.name} contains {bad} values that are not finite numbers; {wanted} without them")
    return values


def read_npz(path: Path) -> Weights:
    """Read what `export_file` wrote; a missing, damaged or foreign file is a DfdmError naming it."""
    numbered: dict[str, dict[int, np.ndarray]] = {}
    make = "write it with numpy.savez, keys like encoder/0"
    with reading(path, "not a readable .npz of weights", make), np.load(path, allow_pickle=False) as file:
        for key in file.files:
            part, _, number = key.rpartition("/")
            if not part or not re.fullmatch("[0-9]{1,9}", number):
                raise ValueError(f"its key '{key}' does not look like encoder/0")
            numbered.setdefault(part, {})[int(number)] = file[key]
    for part, arrays in numbered.items():
        if missing := set(range(len(arrays))) - set(arrays):
            raise DfdmError(f"{path} has no {part}/{min(missing)}; a part's arrays count from 0 without a gap")
    return {part: [arrays[number] for number in range(len(arrays))] for part, arrays in numbered.items()}


def known(model: str) -> str:
    """This project's name of a model, also by the original's own name; DfdmError where there is none."""
    name = NAMES.get(model, model)
    output_size(name)
    return name


def state_of(weights: Path, model: str) -> Path | None:
    """The state file that the original keeps beside its weights: `<model>_state.json`; None where there is none."""
    stems = (weights.stem, model, *(theirs for theirs, ours in NAMES.items() if ours == model))
    return next((path for stem in stems if (path := weights.with_name(f"{stem}_state.json")).is_file()), None)


def padding_of(weights: Path) -> str | None:
    """The padding that a model file shows, None where nothing shows it; a network that ours is not is a DfdmError."""
    if weights.suffix not in keras_file.SUFFIXES or (network := keras_file.layers(weights)) is None:
        return None
    for layer in (inner for outer in network for inner in (outer, *outer.inner)):
        for one in LACKING:
            if re.fullmatch(one.layer, f"{layer.kind} {layer.name}"):
                raise DfdmError(_lacks(weights, one.what))
        if layer.kind not in _LAYERS:
            raise DfdmError(_lacks(weights, f"the layer {layer.name} ({layer.kind})"))
    return "zero"


def _lacks(path: Path, what: str) -> str:
    return f"{path}: the model has {what}, which this project's models do not have; train one without"


def read_state(state: Path, model: str) -> dict[str, Any]:
    """What a state file says of a model's training, in our words: centering, coverage, mask, padding, iterations.

    What it does not say is left out. An option that our models do not have is a DfdmError that names it, and so are a
    file of another model and one that is not a state.
    """
    with reading(state, "not a readable state file", "give the <model>_state.json beside the original's weights"):
        content = from_json(state.read_text())
        options = {**content, **content.get("config", {})}
        coverage = float(options["coverage"]) / 100 if "coverage" in options else None
        iterations = options.get("iterations")
        if not (iterations is None or (type(iterations) is int and iterations >= 0)):
            raise ValueError(f"iterations is {iterations!r}, no count")
    name = str(content.get("name", model))
    if NAMES.get(name, name) != model:
        raise DfdmError(f"{state} is of the model {name}, and {model} is asked for; give its own state file")
    for one in (*LACKING, Lacking("another size of its pictures", "output_size", output_size(model))):
        if (options.get(one.option) or one.ours) != one.ours:
            raise DfdmError(_lacks(state, f"{one.what} ({one.option} {options[one.option]})"))
    crop = {"centering": options.get("centering"), "coverage": coverage}
    crop = {key: value for key, value in crop.items() if value is not None}
    try:
        train_settings(crop)
    except DfdmError as error:
        raise DfdmError(f"{state}: {error}, which this project does not have") from None
    told = {**crop, "padding": "zero"} if "reflect_padding" in options else crop
    told |= {"mask": str(options["mask_type"]).lower()} if "mask_type" in options else {}
    return told | ({} if iterations is None else {"iterations": iterations})


def described(state: Path | None, given: Mapping[str, Any], model: str) -> tuple[TrainConfig, int]:
    """How the original's model was trained, from its state file and from what is given: settings, and iterations.

    `given`: width, centering, coverage (0..1), mask, padding, iterations; None where not given. DfdmError where the two
    disagree, where the arrays would not fit what was trained, and where neither says what the arrays do not show.
    """
    both = read_state(state, model) if state else {}
    given = {key: value for key, value in given.items() if value is not None}
    if (mask := both.get("mask")) and mask not in get_args(Mask):
        if "mask" not in given:
            raise DfdmError(
                f"{state} says mask_type {mask}, which this project does not draw; give the nearer one of "
                f"{' and '.join(f'--mask {one}' for one in get_args(Mask))}"
            )
        del both["mask"]
    for key, value in given.items():
        if key in both and both[key] != value:
            raise DfdmError(f"{state} says {key} {both[key]}, the command line {value}; leave the wrong one out")
    both |= given
    missing = [key for key in ("coverage", "centering", "padding") if key not in both]
    if missing:
        raise DfdmError(
            f"the weights do not show {listed(missing)}; give {' and '.join(f'--{key}' for key in missing)} (coverage "
            "0.875 in 2021, 1 today; padding zero by default), or --state with the <model>_state.json beside them"
        )
    if both["padding"] != "zero":
        raise DfdmError("the model was trained with reflect padding, which this project's models do not have")
    iterations = both.pop("iterations", 0)
    return train_settings({key: value for key, value in both.items() if key != "padding"}), iterations


def import_file(
    path: Path, model: str, pair: tuple[str, str], settings: TrainConfig, iterations: int, out: Path
) -> checkpoint.ModelMeta:
    """Make a finished model out of a file of the original's weights; returns what it says of itself.

    `path`: the original's model file (.keras, .h5), else an .npz of arrays. `pair`: the people of the original's sides
    A and B. Our models have the lower number on side a: where the order is the other one, the sides are exchanged.
    `settings`: width, centering, coverage and mask are taken of them.
    """
    ordered = names.pair_of(*pair)
    with torch.device("meta"):
        net = build(model, settings.width)
    net = net.to_empty(device="cpu")

    def take(weights: Parts) -> None:
        try:
            load_original(net, weights if pair == ordered else sides_exchanged(weights))
        except DfdmError as error:
            raise _unlike(path, model, settings.width, error) from None

    if path.suffix in keras_file.SUFFIXES:
        with keras_file.opened(path, _most(net)) as parts:
            take(parts)
    else:
        take(read_npz(path))
    made_of = {"imported": sha256(path), "model": model, "pair": pair, "settings": settings.counted()}
    meta = checkpoint.describe(net, model, ordered, settings, iterations, digest(made_of))
    checkpoint.save(out, net, meta)
    return meta


def _unlike(path: Path, model: str, width: float, error: DfdmError) -> DfdmError:
    return DfdmError(f"{path} does not fit {model} at width {width:g}: {error}")


def _most(net: Autoencoder) -> int:
    """The most bytes of a model file's arrays: with the optimizer's, up to five times the model's own, and some."""
    return 8 * sum(4 * parameter.numel() for parameter in net.parameters()) + 2**26


def export_file(
    path: Path, out: Path, pair: tuple[str, str] | None = None, into: Path | None = None
) -> checkpoint.ModelMeta:
    """Write a finished model's weights for the original; returns what the model says of itself.

    `pair`: the people of the original's sides A and B; None: as they are here. Without `into`, `out` is an .npz of
    arrays, keys `<part>/<number>`, numbers from 0; equal weights give equal bytes. `into`: a model file of the
    original, and `out` is that file with other arrays. DfdmError where it is of another network, and where its state
    file says another coverage or centering.
    """
    net, meta = checkpoint.load(path)
    found = slots(net)
    if pair is not None and names.pair_of(*pair) != meta.pair:
        raise DfdmError(f"{path} is of {' and '.join(meta.pair)}, not of {' and '.join(pair)}; correct --pair")
    exchanged = pair is not None and pair != meta.pair
    if into is None:
        weights = sides_exchanged(to_original(net)) if exchanged else to_original(net)
        arrays: dict[str, Any] = {
            f"{part}/{number}": array for part, list_ in weights.items() for number, array in enumerate(list_)
        }
        with atomic(out) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays)
        return meta
    padding_of(into)
    told = read_state(state, meta.model) if (state := state_of(into, meta.model)) else {}
    for key in ("coverage", "centering"):
        if (theirs := told.get(key)) not in (None, ours := getattr(meta, key)):
            raise DfdmError(f"{state} says {key} {theirs}, and {path} has {ours}; name a file of the same {key}")
    with keras_file.opened(into, _most(net), out) as parts:
        try:
            places = _listed(net, found, sides_exchanged(parts) if exchanged else parts)
            for slot, place in zip(found, places):
                _check(slot, place)
        except DfdmError as error:
            raise _unlike(into, meta.model, meta.width, error) from None
        for slot, place in zip(found, places):
            place[...] = slot.read()
    return meta
