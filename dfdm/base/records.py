"""What a stage wrote and what it was made of: a record beside each output.

The record of `results/faces/id0_0000.npz` is `results/faces/.made/id0_0000.npz.json`: it moves and is copied with the
folder. Every reader of the file compares its content with it. The workflow adds what the job was, by which a later run
knows whether the file is current. A file without a record, made elsewhere, is taken as it is.
"""

import hashlib
import json
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from os import path as paths
from pathlib import Path
from typing import Any, Self

from dfdm.base.errors import DfdmError
from dfdm.base.files import sha256, write_json

FOLDER = ".made"
OFF = "DFDM_NO_RECORDS"  # set: a storage carries outputs only, so that records on this machine may be of older files


@dataclass(frozen=True)
class Source:
    """A file that no stage makes, as it was read: a video, or weights to start from. Times in ns."""

    path: str
    size: int
    mtime: int
    ctime: int
    sha256: str

    @classmethod
    def of(cls, path: str | Path, known: Self | None = None) -> Self:
        """The file as it is; it is not read where size and times are those of `known`."""
        stat = Path(path).stat()
        dated = stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
        same = known is not None and dated == (known.size, known.mtime, known.ctime)
        return cls(str(Path(path).absolute()), *dated, known.sha256 if known and same else sha256(path))


@dataclass(frozen=True)
class Job:
    """The job that wrote a file: equal ones write equal bytes, but for the versions."""

    number: int  # of the stage's code, raised when it writes other bytes
    settings: Any  # what the config says for it, as JSON
    inputs: dict[str, str]  # path below the results folder -> sha256
    versions: dict[str, str]  # of the packages that compute


@dataclass(frozen=True)
class Made:
    """What a stage wrote. `index` is the hash of a crop file without its frames, each of which has a checksum in it."""

    stage: str
    size: int
    sha256: str
    index: str | None = None
    sources: tuple[Source, ...] = ()
    job: Job | None = None  # None: the command was run by hand
    doubt: str = ""  # why it must be made again, found where it was used

    def describes(self, path: Path) -> bool:
        """Whether a file is byte for byte the one that was written."""
        return path.stat().st_size == self.size and sha256(path) == self.sha256


def recording() -> bool:
    """Whether records are written and compared."""
    return OFF not in os.environ


def place(path: str | Path) -> Path:
    """Where the record of a file is."""
    folder, name = paths.split(path)
    return Path(folder, FOLDER, f"{name}.json")


def keep(stage: str, *outputs: Path, sources: Sequence[Source] = ()) -> None:
    """Record what a stage wrote, once its outputs are whole, and the files that no stage makes that it read."""
    for path in outputs:
        write(path, Made(stage, path.stat().st_size, sha256(path), _index(path), tuple(sources)))


def doubt(path: str | Path, why: str) -> None:
    """Have the workflow make a file again, because it was found wrong where it was used."""
    if (made := read(path)) is not None:
        write(path, replace(made, doubt=why))


def write(path: str | Path, made: Made) -> None:
    """Write the record of a file."""
    if recording():
        write_json(place(path), asdict(made))


def read(path: str | Path) -> Made | None:
    """The record of a file, None where it has none; DfdmError for a damaged one."""
    if not recording():
        return None
    where = place(path)
    try:
        made = Made(**json.loads(where.read_bytes()))
        job = Job(**made.job) if isinstance(made.job, dict) else None
        return replace(made, sources=tuple(Source(**source) for source in made.sources), job=job)  # type: ignore[arg-type]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError, RecursionError):
        raise unreadable(path) from None


def unreadable(path: str | Path) -> DfdmError:
    """The error of a damaged record."""
    return DfdmError(f"{place(path)} is no readable record; delete it and {path}, and make that again")


def checked(path: str | Path) -> str:
    """Compare a file with its record, and give its sha256; DfdmError where it is not what the stage wrote."""
    path = Path(path)
    if not path.is_file():
        raise DfdmError(f"{path} does not exist or is no file; correct the path or run the stage that makes it")
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


def _index(path: Path) -> str | None:
    """The hash of a crop file without its frames; None for any other file."""
    if path.suffix != ".safetensors":
        return None
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        try:
            start = json.loads(file.read(size))["frames"]["data_offsets"][0]
        except (KeyError, ValueError):
            return None
        file.seek(0)
        return hashlib.sha256(file.read(8 + size + start)).hexdigest()
