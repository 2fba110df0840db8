"""The files of a release: how they get there, their checksums, and whether they are what was written."""

import fcntl
import os
import re
import shutil
from collections.abc import Collection
from pathlib import Path

from dfdm.base.errors import DfdmError
from dfdm.base.files import atomic, reading, sha256
from dfdm.base.progress import progress
from dfdm.base.records import read
from dfdm.catalogue.forget import SUMS

ABOUT = "release.json"
_CLONE = 0x40049409  # FICLONE of linux/fs.h: both files share their blocks until one of them is changed


def put(source: Path, target: Path, link: bool) -> str:
    """Have a file of the line in the release, and give its sha256; one that is there and is equal stays.

    It shares the source's blocks where the file system can do that, and is a copy elsewhere, so that nobody who edits
    the release changes the results. `link`: it is the same file, where both are on one file system. Raises DfdmError
    for a source that is not what its stage wrote.
    """
    made = read(source)
    if target.is_file() and (link or not target.samefile(source)):
        found = sha256(target)
        if found == (made.sha256 if made else sha256(source)):
            return found
    with atomic(target) as temporary:
        if not (link and _linked(source, temporary)):
            duplicate(source, temporary)
        if (found := sha256(temporary)) != (made.sha256 if made else sha256(source)):
            raise DfdmError(f"{source} is not what its stage wrote; run 'dfdm verify', then the workflow again")
    return found


def duplicate(source: Path, target: Path) -> None:
    """A copy that takes no space until it is changed, where the file system can do that."""
    with open(source, "rb") as original, open(target, "wb") as copy:
        try:
            fcntl.ioctl(copy, _CLONE, original.fileno())
        except OSError:
            shutil.copyfileobj(original, copy, 2**20)


def _linked(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        return False
    return True


def others(out: Path, own: Collection[str]) -> list[str]:
    """The files below a folder that are not `own`, and not of git or a lock."""
    found = (path.relative_to(out) for path in sorted(out.rglob("*")) if path.is_file() or path.is_symlink())
    return [str(path) for path in found if str(path) not in own and not path.parts[0].startswith((".git", ".lock"))]


def write_sums(out: Path, sums: dict[str, str]) -> None:
    """Write the list of checksums; `sha256sum -c SHA256SUMS` reads it."""
    with atomic(out / SUMS) as temporary:
        temporary.write_text("".join(f"{sums[name]}  {name}\n" for name in sorted(sums)))


def read_sums(out: Path) -> dict[str, str]:
    """The sha256 of each file of a finished release; DfdmError for a damaged list."""
    sums: dict[str, str] = {}
    with reading(out / SUMS, "not a list of checksums", "run 'dfdm release'"):
        for line in (out / SUMS).read_text().splitlines():
            match = re.fullmatch(r"([0-9a-f]{64})  ([^/\s\\][^\\]*)", line)
            if match is None or ".." in match[2].split("/") or match[2] in sums:
                raise ValueError(f"the line '{line[:120]}' is no checksum and file")
            sums[match[2]] = match[1]
    return sums


def faults(out: Path) -> tuple[list[str], int]:
    """What is wrong with a release's files, one line each, and how many files it has."""
    sums, found = read_sums(out), list[str]()
    for name, expected in progress(iter(sums.items()), len(sums), f"verify {out}", "files"):
        if not (out / name).is_file():
            found.append(f"missing: {out / name} (run 'dfdm release' again)")
        elif sha256(out / name) != expected:
            found.append(f"changed: {out / name} (run 'dfdm release' again)")
    return found + [f"not of the release: {out / name}" for name in others(out, {*sums, SUMS})], len(sums)
