"""List files as data sets ship them: one video a line, or FaceForensics++'s JSON pairs of ids.

Names are read without folder, suffix, model and label. A listed video stands for its scene, or for its people.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from dfdm.base.names import ID, SCENE, VIDEO_SUFFIXES, VideoName, lenient_name, parse_clip
from dfdm.base.plain import from_json

Kind = Literal["scene", "identity"]
_SUFFIXES = {*VIDEO_SUFFIXES, ".safetensors"}
_IDS = re.compile(rf"{ID}(?:(?:_{ID})?_{SCENE})?")
_PERSON = re.compile(r"id([0-9]+)", re.IGNORECASE)
_NUMBERED = re.compile(r"([0-9]{3})(?:_([0-9]{3}))?")  # FaceForensics++: 000_003, and 000 of an original
_COMMENT = re.compile(r"(?:^|\s)#.*")
_SEPARATOR = re.compile(r"[\s,;]+")


@dataclass(frozen=True)
class Entry:
    """A line: its number in words, what it names as written, and the clips, scenes or people that these are."""

    place: str
    text: str
    names: tuple[str, ...]


class Listed(list[str]):
    """The keys that a list file names, each once: scenes (`id0_0003`), people (`id0`), names without ids (`Video12`).

    `entries` are the lines that they are from.
    """

    def __init__(self, keys: Sequence[str], file: str, kind: Kind, entries: Sequence[Entry]) -> None:
        super().__init__(keys)
        self.file, self.kind, self.entries = file, kind, entries

    @property
    def names(self) -> list[str]:
        """What the lines name, each once."""
        return list(dict.fromkeys(name for entry in self.entries for name in entry.names))

    @property
    def twice(self) -> list[str]:
        """What more than one line names in the same words, whatever the suffix."""
        return [text for text, count in Counter(_bare(entry.text) for entry in self.entries).items() if count > 1]

    def cite(self, key: str) -> str:
        """The first line that names a key: `train.txt, line 3 (id0_id1_0003)`."""
        found = (entry for entry in self.entries if any(key in keys_of(name, self.kind) for name in entry.names))
        entry = next(found, None)
        return f"{self.file}, {entry.place} ({entry.text})" if entry else self.file

    def among(self, known: Sequence[str]) -> "Listed":
        """The list with those of `known` that it names, in their spelling; a person's name means all scenes."""
        meant: dict[str, list[str]] = {}
        for key in known:
            for name in forms(key):
                meant.setdefault(name, []).append(key)
        keys = dict.fromkeys(key for name in self for key in meant.get(name, []))
        return Listed(list(keys), self.file, self.kind, self.entries)


def canonical(text: str) -> str:
    """What a text names, without folder, suffix and model: `id0_id1_0003`, `id0_0003`, `id0`, or a name without ids."""
    stem = _bare(text).rpartition("/")[2]
    if name := lenient_name(stem):
        return name.clip
    if match := _PERSON.fullmatch(stem):
        return f"id{int(match[1])}"
    if match := _NUMBERED.fullmatch(stem):
        return VideoName(f"id{int(match[1])}", f"id{int(match[2])}" if match[2] else None, "0000", "").clip
    return stem


def _bare(text: str) -> str:
    """A path without a video's suffix."""
    path = text.replace("\\", "/").rstrip("/")
    return str(Path(path).with_suffix("")) if Path(path).suffix.lower() in _SUFFIXES else path


def keys_of(name: str, kind: Kind) -> tuple[str, ...]:
    """The scene of a canonical name, or the people whom it shows; a person or a name without ids is its own key."""
    if "_" not in name or not _IDS.fullmatch(name):
        return (name,)
    clip = parse_clip(name)
    return (clip.scene_key,) if kind == "scene" else clip.pair or (clip.video_id,)


def forms(name: str) -> set[str]:
    """Every form in which a list may name a clip or scene: itself, its scene, the person whose scene it is."""
    clip = canonical(name)
    (scene,) = keys_of(clip, "scene")
    return {name, clip, scene, keys_of(scene, "identity")[0]}


def read(file: str, kind: Kind, bare: bool) -> Listed:
    """A list file; `bare`: a line may be a name alone without ids, folder and suffix (`Video12`).

    ValueError, naming file and line, for what cannot be read or understood.
    """
    try:
        text = Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} cannot be read ({error}); correct its path or save it as UTF-8 text") from None
    entries = list(_pairs(file, text) if Path(file).suffix.lower() == ".json" else _lines(file, text, bare))
    if kind == "identity":
        people = [dict.fromkeys(key for name in entry.names for key in keys_of(name, kind)) for entry in entries]
        entries = [replace(entry, names=tuple(names)) for entry, names in zip(entries, people)]
    keys = dict.fromkeys(key for entry in entries for name in entry.names for key in keys_of(name, kind))
    return Listed(list(keys), file, kind, entries)


def _lines(file: str, text: str, bare: bool) -> Iterator[Entry]:
    for number, line in enumerate(text.splitlines(), 1):
        if line := _COMMENT.sub("", line).strip():
            if (video := _video(line, bare)) is None:
                raise ValueError(
                    f"{file}, line {number}: '{line}' names no video; write one a line, such as id0_id1_0003.mp4, "
                    "with at most a label before or after it"
                )
            yield Entry(f"line {number}", video, (canonical(video),))


def _video(line: str, bare: bool) -> str | None:
    """The column of a line that names a video: the only one with ids, with a folder or suffix, with
    FaceForensics++'s numbers, or, if `bare`, the only one that is no number.
    """
    columns = [column for part in _SEPARATOR.split(line) if (column := part.strip("\"'"))]
    tests: list[Callable[[str], object]] = [
        lambda column: _IDS.fullmatch(canonical(column)) and not _NUMBERED.fullmatch(column),
        lambda column: "/" in column or Path(column).suffix.lower() in _SUFFIXES,
        _NUMBERED.fullmatch,
        lambda column: bare and (len(columns) == 1 or not column.isdigit()),
    ]
    found = next(filter(None, ([column for column in columns if test(column)] for test in tests)), [])
    return found[0] if len(found) == 1 else None


def _pairs(file: str, text: str) -> Iterator[Entry]:
    """FaceForensics++'s splits: `[["000", "003"], ...]`, both videos of each pair."""
    try:
        given: Any = from_json(text)
    except ValueError as error:
        raise ValueError(f"{file} is not readable JSON ({error})") from None
    for number, pair in enumerate(given if isinstance(given, list) else [given], 1):
        ids = [re.fullmatch(r"(?:id)?([0-9]+)", str(one)) for one in pair] if isinstance(pair, list) else []
        names = tuple(f"id{int(match[1])}" for match in ids if match)
        if len(names) != 2 or len(ids) != 2:
            raise ValueError(f"{file}, entry {number}: {str(pair)[:80]} is no pair of ids such as ['000', '003']")
        yield Entry(f"entry {number}", " and ".join(sorted(names)), names)
