"""What a stage wrote: a record beside each output, which every reader of the file compares with what it reads.

The record of `results/faces/id0_0000.npz` is `results/faces/.made/id0_0000.npz.json`: it moves and is copied with the
folder. A file without a record (made elsewhere, or brought by a storage, which carries outputs only) is taken as it is.
"""

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from os import path as paths
from pathlib import Path

from dfdm.base.errors import DfdmError
from dfdm.base.files import sha256, write_json

FOLDER = ".made"


@dataclass(frozen=True)
class Made:
    """What a stage wrote. `index` is the hash of a crop file without its frames, each of which has a checksum in it."""

    stage: str
    size: int
    sha256: str
    index: str | None = None

    def describes(self, path: Path) -> bool:
        """Whether a file is byte for byte the one that was written."""
        return path.stat().st_size == self.size and sha256(path) == self.sha256


def place(path: str | Path) -> Path:
    """Where the record of a file is."""
    folder, name = paths.split(path)
    return Path(folder, FOLDER, f"{name}.json")


def keep(stage: str, *outputs: Path, index: bool = False) -> None:
    """Record what a stage wrote, once its outputs are whole; `index`: they are crop files."""
    for path in outputs:
        made = Made(stage=stage, size=path.stat().st_size, sha256=sha256(path), index=_index(path) if index else None)
        write_json(place(path), asdict(made))


def read(path: str | Path) -> Made | None:
    """The record of a file, None where it has none; DfdmError for a damaged one."""
    where = place(path)
    try:
        return Made(**json.loads(where.read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError):
        raise DfdmError(f"{where} is no readable record; delete it and {path}, and make that again") from None


def checked(path: str | Path) -> str:
    """Compare a file with its record, and give its sha256; DfdmError where it is not what the stage wrote."""
    path = Path(path)
    found = sha256(path)
    if (made := read(path)) is not None and found != made.sha256:
        raise _changed(path, made)
    return found


def check_index(path: Path) -> None:
    """Compare all of a crop file but its frames with its record; DfdmError where it is another."""
    if (made := read(path)) is not None and made.index != _index(path):
        raise _changed(path, made)


def every(folder: Path) -> Iterator[tuple[Path, Made]]:
    """The files below a folder that have a record, whether they are still there or not, with it."""
    for where in sorted(folder.rglob(f"{FOLDER}/*.json")):
        path = where.parent.parent / where.name.removesuffix(".json")
        if (made := read(path)) is not None:
            yield path, made


def unrecorded(folder: Path, besides: Collection[str] = ()) -> Iterator[Path]:
    """The files below a folder that have no record; `besides`: folders directly in it that are left out."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and FOLDER not in parts and parts[0] not in besides and not place(path).exists():
            yield path


def _changed(path: Path, made: Made) -> DfdmError:
    return DfdmError(
        f"{path} is not what the stage {made.stage} wrote: it was changed, replaced or damaged since; "
        f"delete it and run the stage {made.stage} again"
    )


def _index(path: Path) -> str:
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        start = json.loads(file.read(size))["frames"]["data_offsets"][0]
        file.seek(0)
        return hashlib.sha256(file.read(8 + size + start)).hexdigest()
