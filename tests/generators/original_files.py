"""Model files as the original saves them, made of arrays by h5py alone: a .keras of today and an .h5 of 2021."""

import json
import zipfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Parts = Mapping[str, Sequence[np.ndarray]]
KINDS = {4: ("Conv2D", "conv2d"), 2: ("Dense", "dense")}  # by a kernel's axes: the class, and its name in the file


def network(parts: Parts, also: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """The layers in words: each part a sub-model, with layers of no weight between the others; `also`: (class, name)s
    before the last one of every part.
    """
    layers = [{"class_name": "InputLayer", "config": {"name": f"face_in_{side}"}} for side in "ab"]
    for part, arrays in parts.items():
        inner = [("InputLayer", "input")]
        for number, kernel in enumerate(arrays[::2]):
            inner += [("x>PixelShuffler", f"shuffle_{number}")] if kernel.ndim == 4 else []
            inner += [(KINDS[kernel.ndim][0], f"layer_{number}"), ("LeakyReLU", f"leaky_{number}")]
        inner[-1:-1] = also
        listed = [{"class_name": kind, "config": {"name": name}} for kind, name in inner]
        layers.append({"class_name": "Functional", "config": {"name": part, "layers": listed}})
    return {"class_name": "Functional", "config": {"name": "a model", "layers": layers}}


def write_keras(path: Path, parts: Parts, also: Sequence[tuple[str, str]] = (), compressed: bool = False) -> None:
    """A .keras with an optimizer's arrays in it, and another member that only the original knows."""
    content = BytesIO()
    with h5py.File(content, "w") as file:
        for place, arrays in enumerate(parts.values()):
            counts = dict.fromkeys(("conv2d", "dense"), 0)
            for kernel, bias in zip(arrays[::2], arrays[1::2]):
                name = KINDS[kernel.ndim][1]
                group = file.create_group(
                    f"layers/functional{f'_{place}' if place else ''}/layers/"
                    f"{name}{f'_{counts[name]}' if counts[name] else ''}/vars"
                )
                counts[name] += 1
                group.attrs["name"] = f"some_{name}"
                group["0"], group["1"] = kernel, bias
        file["optimizer/vars/0"] = np.arange(3)
    how = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", how) as archive:
        archive.comment = b"kept"
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", json.dumps(network(parts, also)))
        archive.writestr("model.weights.h5", content.getvalue())
        archive.writestr("optimizer.pt", bytes(range(256)))


def write_h5(
    path: Path, parts: Parts, also: Sequence[tuple[str, str]] = (), ending: str = ":0", told: bool = True
) -> None:
    """An .h5; `ending` of the arrays' names: `:0` by Keras 2, none by 3. `told`: it says of which layers it is."""
    with h5py.File(path, "w") as file:
        if told:
            file.attrs["model_config"] = json.dumps(network(parts, also))
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = [b"face_in_a", *(part.encode() for part in reversed(parts))]
        root.create_group("face_in_a").attrs["weight_names"] = np.array([])
        for part, arrays in parts.items():
            # later layers have names that sort before those of earlier ones
            names = [f"layer_{99 - n // 2}/{('kernel', 'bias')[n % 2]}{ending}" for n in range(len(arrays))]
            names = [f"{part}/{name}" if ending else name for name in names]
            group = root.create_group(part)
            group.attrs["weight_names"] = [name.encode() for name in names] if ending else names
            for name, array in zip(names, arrays):
                group[name] = array
        file.create_group("optimizer_weights").attrs["kept"] = "yes"


WRITERS = {
    "today.keras": write_keras,
    "2021.h5": write_h5,
    "keras3.h5": lambda path, parts, also=(): write_h5(path, parts, also, ending=""),
}
