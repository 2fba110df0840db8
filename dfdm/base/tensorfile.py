"""Writing safetensors files a part at a time: the same bytes as the safetensors library, without all of it in memory.

The library writes to a file of its own naming, which a killed process leaves behind and which only its owner can
read, and wants every tensor in memory at once; reading is its own part everywhere.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dfdm.base.files import atomic

_NAMES = {"uint8": "U8", "int32": "I32", "float32": "F32", "int64": "I64"}  # rising, as the format sorts them


@dataclass(frozen=True)
class Streamed:
    """A uint8 tensor of known shape whose rows are made while it is written."""

    shape: tuple[int, ...]
    rows: Iterable[np.ndarray]


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray | Streamed], about: Mapping[str, Any]) -> None:
    """Write arrays (uint8, int32, float32 or int64), and at most one `Streamed`, atomically to a safetensors file.

    `about` becomes JSON under the one metadata key `dfdm`: several keys would come in random order, and equal
    content would differ in bytes. ValueError when the streamed rows do not fill their shape.
    """
    kinds = list(_NAMES)
    order = sorted(tensors, key=lambda name: (-kinds.index(_kind(tensors[name])), name))
    header: dict[str, Any] = {"__metadata__": {"dfdm": json.dumps(about, sort_keys=True)}}
    start = 0
    for name in order:
        kind, shape = _kind(tensors[name]), tensors[name].shape
        stop = start + int(np.prod(shape, dtype=np.int64)) * np.dtype(kind).itemsize
        header[name] = {"dtype": _NAMES[kind], "shape": list(shape), "data_offsets": [start, stop]}
        start = stop
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with atomic(path) as temporary, open(temporary, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in order:
            tensor = tensors[name]
            for part in tensor.rows if isinstance(tensor, Streamed) else [tensor]:
                file.write(np.ascontiguousarray(part).data)
        if file.tell() != 8 + len(text) + start:
            raise ValueError(f"{path}: {file.tell()} bytes written, its tensors have {8 + len(text) + start}")


def _kind(tensor: np.ndarray | Streamed) -> str:
    return "uint8" if isinstance(tensor, Streamed) else str(tensor.dtype)
