"""Model files of the original, read and changed without Keras (docs/architectures.md, Weight exchange).

Today a `.keras`: a zip with the network's layers (config.json) and its arrays (model.weights.h5). In 2021 an `.h5`,
with the layers in an attribute. Either way the arrays are an HDF5 file, which is held in memory.
"""

import io
import shutil
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from dfdm.base.errors import DfdmError, reason
from dfdm.base.files import UNREADABLE, atomic
from dfdm.base.plain import from_json
from dfdm.base.text import size_text

SUFFIXES = (".keras", ".h5")
_LAYERS, _ARRAYS = "config.json", "model.weights.h5"  # in a .keras
_MOST_TEXT = 2**26  # bytes of the layers' description; a model's own has 50 kB
Parts = dict[str, list[h5py.Dataset]]
_WEIGHED = {"Conv2D": "conv2d", "Dense": "dense"}  # the layers that have arrays; their names in a .keras


@dataclass(frozen=True)
class Layer:
    """A layer of the network: its class and name, and those inside it where it is a sub-model."""

    kind: str
    name: str
    inner: tuple["Layer", ...] = ()


def layers(path: Path) -> tuple[Layer, ...] | None:
    """The network's layers; None where an .h5 does not tell them. Any other file is a DfdmError naming it."""
    with _readable(path):
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                return _layers(_member(archive, _LAYERS, _MOST_TEXT))
        with h5py.File(path, "r") as file:
            if "model_weights" not in file:
                raise ValueError("it has no model_weights")
            text = file.attrs.get("model_config")
            return None if text is None else _layers(text)


@contextmanager
def opened(path: Path, most: int, out: Path | None = None) -> Iterator[Parts]:
    """Open a model file with at most `most` bytes of arrays, and give these by sub-model, in the original's order.

    An array is read by `array[...]` and replaced by `array[...] = values`; after the block, the file with what it
    replaced is written to `out`, all else as it was. A damaged or other file is a DfdmError naming it.
    """
    network = layers(path)
    with _readable(path):
        content = _content(path, most)
        with h5py.File(content, "r+" if out else "r") as file:
            yield _in_keras(file, network) if network and path.suffix == ".keras" else _in_h5(file)
    if out:
        with atomic(out) as temporary:
            if path.suffix == ".keras":
                _pack(path, temporary, content.getbuffer())
            else:
                temporary.write_bytes(content.getbuffer())


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what a file raises that is damaged or another into one sentence."""
    try:
        yield
    except DfdmError:
        raise
    except FileNotFoundError:
        raise DfdmError(f"{path} does not exist; give the model file of the original") from None
    except UNREADABLE as error:
        raise DfdmError(
            f"{path} is not a readable model of the original ({reason(error)}); give a {' or '.join(SUFFIXES)} as "
            "it was saved"
        ) from None


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """A member of a .keras; ValueError where it would be larger than `most` bytes."""
    if (size := archive.getinfo(name).file_size) > most:
        raise ValueError(f"its {name} claims {size_text(size)}, and this model's has at most {size_text(most)}")
    return archive.read(name)


def _content(path: Path, most: int) -> io.BytesIO:
    """The HDF5 file with the arrays."""
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            return io.BytesIO(_member(archive, _ARRAYS, most))
    if (size := path.stat().st_size) > most:
        raise ValueError(f"it has {size_text(size)}, and this model's has at most {size_text(most)}")
    return io.BytesIO(path.read_bytes())


def _layers(text: str | bytes) -> tuple[Layer, ...]:
    """The layers of a network out of its description in JSON."""

    def read(values: list[dict[str, Any]]) -> tuple[Layer, ...]:
        return tuple(
            Layer(one["class_name"].rpartition(">")[2], one["config"]["name"], read(one["config"].get("layers", [])))
            for one in values
        )

    return read(from_json(text.decode() if isinstance(text, bytes) else text)["config"]["layers"])


def _in_keras(file: h5py.File, network: tuple[Layer, ...]) -> Parts:
    """The arrays of a .keras: a folder a layer, named by its class and numbered from the second of the class on."""
    parts = Parts()
    subs = (layer for layer in network if layer.inner)
    for number, sub in enumerate(subs):
        counts = Counter[str]()
        parts[sub.name] = []
        for kind in (_WEIGHED[layer.kind] for layer in sub.inner if layer.kind in _WEIGHED):
            place = f"layers/{_numbered('functional', number)}/layers/{_numbered(kind, counts[kind])}/vars"
            parts[sub.name] += [_array(file, f"{place}/{index}") for index in range(len(file[place]))]
            counts[kind] += 1
    return parts


def _numbered(name: str, number: int) -> str:
    return f"{name}_{number}" if number else name


def _in_h5(file: h5py.File) -> Parts:
    """The arrays of an .h5: a group a sub-model, whose attribute lists them in order.

    Their names, which differ between Keras 2 (`.../kernel:0`) and 3 (`conv2d/kernel`), say nothing of the order.
    """
    root, parts = file["model_weights"], Parts()
    for part in map(_text, root.attrs["layer_names"]):
        listed = [_text(name) for name in root[part].attrs["weight_names"]]
        if listed:
            parts[part] = [_array(file, f"model_weights/{part}/{name}") for name in listed]
    return parts


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _array(file: h5py.File, place: str) -> h5py.Dataset:
    """An array of the file itself: HDF5 can also name values in other files, which nobody means to read or write."""
    array = file[place]
    if not isinstance(array, h5py.Dataset) or array.external or array.is_virtual:
        raise ValueError(f"{place} is not an array in it")
    return array


def _pack(path: Path, out: Path, content: memoryview) -> None:
    """A .keras again, with other arrays: every other member, and what the zip says of each, as it was."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        new.comment = old.comment
        for info in old.infolist():
            about = copy(info)
            if info.filename == _ARRAYS:
                about.file_size = len(content)
                with new.open(about, "w") as target:
                    target.write(content)
            else:
                with old.open(info) as source, new.open(about, "w") as target:
                    shutil.copyfileobj(source, target)
