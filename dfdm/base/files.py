"""Files that are never half written, and hashes of what is in them."""

import errno
import hashlib
import json
import os
import re
import socket
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from dfdm.base.errors import FULL, DfdmError, reason, refused
from dfdm.base.plain import from_json

UNREADABLE = (  # what numpy, safetensors, torch and json raise for a file that is damaged or another
    *(
        DfdmError,
        SafetensorError,
        zipfile.BadZipFile,
        zlib.error,
        OSError,
        EOFError,
        ValueError,
        LookupError,
        TypeError,
    ),
    *(AttributeError, RuntimeError, OverflowError, MemoryError),
)
_HOST = socket.gethostname().partition(".")[0]
_LEFTOVER = re.compile(r"\..*\.(?P<host>[^.]+)-(?P<pid>\d+)\.tmp(\.[^.]*)?")
_DAY = 24 * 3600
_CLOCK = 60  # s that the clock of a file server may be behind


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turn a full disk met in the block into a DfdmError that names `path`."""
    try:
        yield
    except DfdmError:
        raise
    except Exception as error:
        cause: BaseException | None = error  # torch.save hides the system's error behind one of its own
        while cause is not None and getattr(cause, "errno", None) not in FULL:
            cause = cause.__cause__ or cause.__context__
        if not isinstance(cause, OSError):
            raise
        raise DfdmError(
            f"{path} could not be written ({cause.strerror}); what was there before is intact: "
            "free some space and run again"
        ) from error


@contextmanager
def reading(path: str | Path, otherwise: str, make: str) -> Iterator[None]:
    """Turn what reading a file in the block may raise into a DfdmError that says what to do: `make` it, or again.

    `otherwise` is what a file that cannot be read is: `not a readable crop file`.
    """
    try:
        yield
    except FileNotFoundError:
        raise DfdmError(f"{path} does not exist; {make}") from None
    except UNREADABLE as error:
        raise DfdmError(f"{path} is {otherwise} ({reason(error)}); delete it and {make} again") from None


def half_written(path: Path, pid: int) -> Path:
    """Where a process of this machine writes `path` until it is whole."""
    return path.with_name(f".{path.stem}.{_HOST}-{pid}.tmp{path.suffix}")


def at_home(path: str) -> Path:
    """A path with its `~` filled in; DfdmError where that is the home of a user who is not here."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise DfdmError(f"'{path}' begins with the home of a user who is not here; correct the path") from None


def output(path: str | Path) -> Path:
    """The file that writing to `path` makes or replaces: `path`, or what it is a link to, as for other programs.

    Raises DfdmError where a file could only take the place of something else (a folder, a device, a pipe, a stream
    such as /dev/stdout), and where what should be its folder is none.
    """
    link = Path(path).is_symlink()
    target = Path(os.path.realpath(path)) if link else Path(path)
    stream = link and Path(path).absolute().parts[1] in ("dev", "proc")  # even where it leads to a file now
    if stream or (os.path.lexists(target) and not target.is_file()):
        raise DfdmError(f"{path} is there and is no file, so no file is written in its place; name another output")
    above = next((folder for folder in target.absolute().parents if os.path.lexists(folder)), target.parent)
    if not above.is_dir():
        raise DfdmError(f"{path} cannot be written: {above} is no folder; name another output")
    return target


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Give a temporary path in the folder of `output(path)`, with the suffix of `path`; rename it when the block ends
    well.

    File and folder are flushed to the disk, so that a machine that loses power has the old file or the new one.
    When the block raises, the temporary file is removed and `path` stays as it was; a full disk is a DfdmError.
    """
    target = output(path)
    temporary = half_written(target.with_name(Path(path).name), os.getpid())
    path = target
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            flush(temporary)
            temporary.replace(path)
            flush(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Have a file's or folder's content written to the disk itself."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        if not path.is_dir() or error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems without it
            raise
    finally:
        os.close(number)


def remove_leftovers(path: Path) -> None:
    """Remove what a killed process left of its attempts to write `path`; for the one process that may write it.

    DfdmError where no file can be written there (`output`): before the work, not after it.
    """
    for leftover in output(path).parent.glob(f".{escape(path.stem)}.*.tmp{escape(path.suffix)}"):
        leftover.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what killed processes of this machine left of their attempts to write files below a folder, and what those
    of other machines left a day ago.
    """
    for leftover in folder.rglob(".*.tmp*"):
        found = _LEFTOVER.fullmatch(leftover.name)
        if found is None or leftover.is_dir():
            continue
        written, here = leftover.stat().st_mtime, found["host"] == _HOST
        if not _writes(int(found["pid"]), written) if here else time.time() - written > _DAY:
            leftover.unlink(missing_ok=True)


def _writes(pid: int, since: float) -> bool:
    """Whether a process of this machine runs that may have begun a file at `since` (s).

    A process that has ended may still have its number, where nothing waits for it; and a number is given again.
    """
    import psutil  # for the main process of a run alone

    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() < since + _CLOCK
    except psutil.NoSuchProcess:
        return False


def sha256(path: str | Path) -> str:
    """Hash a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(value: Any) -> str:
    """Hash a plain value (dicts, lists, strings, numbers) by its canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def write_json(path: str | Path, value: Any) -> None:
    """Write a value as readable JSON, atomically."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    with atomic(path) as temporary:  # a byte of a name that is no UTF-8 is written as JSON's own escape
        temporary.write_text(text + "\n", errors="backslashreplace")


def read_json(path: str | Path) -> Any:
    """Read a JSON file; a missing or damaged one is an error that names it."""
    try:
        return from_json(Path(path).read_text())
    except FileNotFoundError:
        raise DfdmError(f"{path} does not exist; run the stage that makes it") from None
    except OSError as error:
        raise DfdmError(refused(error, path)) from None
    except ValueError as error:
        raise DfdmError(f"{path} is not readable JSON ({error}); delete it and make it again") from None
