"""Writing safetensors files a part at a time: the same bytes as the safetensors library, without all of it in memory.

The library writes to a file of its own naming, which a killed process leaves behind and which only its owner can
read, and wants every tensor in memory at once; reading is its own part everywhere.
"""

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dfdm.base.files import atomic

CHECKSUM = "checksum"
_NAMES = {"uint8": "U8", "int32": "I32", "float32": "F32", "int64": "I64"}  # rising, as the format sorts them


@dataclass(frozen=True)
class Streamed:
    """A uint8 tensor of known shape whose rows are made while it is written.

    The CRC-32 of each row goes into the file's tensor `checksum`, int64 [rows].
    """

    shape: tuple[int, ...]
    rows: Iterable[np.ndarray]


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray | Streamed], about: Mapping[str, Any]) -> None:
    """Write arrays (uint8, int32, float32 or int64), and at most one `Streamed`, atomically to a safetensors file.

    `about` becomes JSON under the one metadata key `dfdm`: several keys would come in random order, and equal
    content would differ in bytes. ValueError when the streamed rows do not fill their shape.
    """
    kinds, sums = list(_NAMES), list[int]()
    if streamed := [tensor for tensor in tensors.values() if isinstance(tensor, Streamed)]:
        tensors = {**tensors, CHECKSUM: np.zeros(streamed[0].shape[0], np.int64)}
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
                content = np.ascontiguousarray(part).data
                file.write(content)
                if isinstance(tensor, Streamed):
                    sums.append(zlib.crc32(content))
        if file.tell() != 8 + len(text) + start:
            raise ValueError(f"{path}: {file.tell()} bytes written, its tensors have {8 + len(text) + start}")
        if streamed:
            file.seek(8 + len(text) + header[CHECKSUM]["data_offsets"][0])
            file.write(np.array(sums, np.int64).data)


def write_weights(path: Path, tensors: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> None:
    """Write a model's weights; `about` goes with them, and as its `sha256` the hash of both."""
    write_tensors(path, tensors, {**about, "sha256": content_hash(tensors, about)})


def content_hash(tensors: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> str:
    """The hash of named arrays and plain metadata, for a file of weights: the format itself has no checksum."""
    found = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(tensors):
        found.update(f"{name} {tensors[name].dtype} {tensors[name].shape}".encode())
        found.update(tensors[name].data)
    return found.hexdigest()


def _kind(tensor: np.ndarray | Streamed) -> str:
    return "uint8" if isinstance(tensor, Streamed) else str(tensor.dtype)
