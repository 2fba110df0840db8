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

CHECKSUM, ENDS = "checksum", "ends"
_NAMES = {"uint8": "U8", "int32": "I32", "float32": "F32", "int64": "I64"}  # rising, as the format sorts them
_DIGITS = 20  # of a size that is not known before it was written


@dataclass(frozen=True)
class Streamed:
    """A uint8 tensor of `count` parts that are made while it is written, one after the other, each of any length.

    Where each part ends goes into the file's tensor `ends`, and its CRC-32 into `checksum`, int64 [count] both.
    """

    count: int
    parts: Iterable[bytes]


def write_tensors(path: Path, tensors: Mapping[str, np.ndarray | Streamed], about: Mapping[str, Any]) -> None:
    """Write arrays (uint8, int32, float32 or int64), and at most one `Streamed`, atomically to a safetensors file.

    `about` becomes JSON under the one metadata key `dfdm`: several keys would come in random order, and equal
    content would differ in bytes. ValueError when the streamed parts are not as many as said.
    """
    kinds, ends, sums = list(_NAMES), list[int](), list[int]()
    streamed = next((tensor for tensor in tensors.values() if isinstance(tensor, Streamed)), None)
    if streamed:
        tensors = {**tensors, ENDS: np.zeros(streamed.count, np.int64), CHECKSUM: np.zeros(streamed.count, np.int64)}
    order = sorted(
        tensors, key=lambda name: (isinstance(tensors[name], Streamed), -kinds.index(_kind(tensors[name])), name)
    )
    header: dict[str, Any] = {"__metadata__": {"dfdm": json.dumps(about, sort_keys=True)}}
    start = 0
    for name in order:
        tensor = tensors[name]
        shape = [0] if isinstance(tensor, Streamed) else list(tensor.shape)
        stop = start + int(np.prod(shape, dtype=np.int64)) * np.dtype(_kind(tensor)).itemsize
        header[name] = {"dtype": _NAMES[_kind(tensor)], "shape": shape, "data_offsets": [start, stop]}
        start = stop
    length = len(_header(header)) + 2 * _DIGITS * bool(streamed)
    length += -length % 8
    with atomic(path) as temporary, open(temporary, "wb") as file:
        file.write(length.to_bytes(8, "little") + _header(header).ljust(length))
        for name in order:
            tensor = tensors[name]
            for part in tensor.parts if isinstance(tensor, Streamed) else [np.ascontiguousarray(tensor).data]:
                file.write(part)
                if isinstance(tensor, Streamed):
                    ends.append((ends[-1] if ends else 0) + len(part))
                    sums.append(zlib.crc32(part))
        if streamed:
            if len(ends) != streamed.count:
                raise ValueError(f"{path}: {len(ends)} parts were written, {streamed.count} were promised")
            size = ends[-1] if ends else 0
            header[order[-1]] |= {"shape": [size], "data_offsets": [start, start + size]}
            file.seek(8)
            file.write(_header(header).ljust(length))
            for name, values in ((ENDS, ends), (CHECKSUM, sums)):
                file.seek(8 + length + header[name]["data_offsets"][0])
                file.write(np.array(values, np.int64).data)


def _header(header: Mapping[str, Any]) -> bytes:
    return json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()


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
