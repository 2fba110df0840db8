"""Which videos of a folder show whom: every file is taken or left out, with the reason."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dfdm.base.names import VIDEO_SUFFIXES
from dfdm.base.text import size_text, table

_CELEB = re.compile(r"(id\d+)_(\d{4})")
_SHOWN = 5  # files named for a reason


@dataclass(frozen=True)
class Taken:
    """A video: its person and scene, its path below the folder, and the person's own folder, if there is one."""

    person: str
    scene: str
    path: Path
    note: str | None = None


@dataclass(frozen=True)
class Account:
    """What a folder contains."""

    taken: list[Taken]
    left_out: dict[str, list[Path]]  # by reason

    def text(self, root: Path) -> str:
        """A row for each person, then what was left out and why."""
        own = defaultdict[str, list[Taken]](list)
        for one in self.taken:
            own[one.person].append(one)
        rows = [
            (
                person,
                of[0].note or "",
                str(len(of)),
                size_text(sum((root / one.path).stat().st_size for one in of)),
            )
            for person, of in own.items()
        ]
        lines = [table(("person", "folder", "scenes", "size"), rows, left=2)]
        for why, paths in self.left_out.items():
            named = ", ".join(map(str, paths[:_SHOWN])) + (", ..." if len(paths) > _SHOWN else "")
            lines.append(f"left out, {why}: {len(paths)} ({named})")
        return "\n".join(lines)


def discover(folder: Path) -> Account:
    """The videos of a folder in Celeb-DF's layout (`id0_0003.mp4`), or of one folder for each person.

    It is Celeb-DF's where all names are, or where one folder has those of several ids. Else a person is a folder
    directly in it, with all that is below; people and scenes are numbered in the order of the names, 2 before 10.
    """
    left_out = defaultdict[str, list[Path]](list)
    videos: list[Path] = []
    for path in _files(folder, left_out):
        if why := _unusable(path):
            left_out[why].append(path)
        else:
            videos.append(path)
    celeb = {path: match for path in videos if (match := _CELEB.fullmatch(path.stem))}
    together = defaultdict[Path, set[str]](set)
    for path, match in celeb.items():
        together[path.parent].add(match[1])
    if celeb and (len(celeb) == len(videos) or any(len(ids) > 1 for ids in together.values())):
        left_out["not named like id0_0003"] += [path for path in videos if path not in celeb]
        taken = [Taken(match[1], match[2], path) for path, match in celeb.items()]
        taken.sort(key=lambda one: (int(one.person[2:]), one.scene))
    else:
        left_out["not in a person's folder"] += [path for path in videos if len(path.parts) == 1]
        taken = _by_folder([path for path in videos if len(path.parts) > 1])
        empty = {path.name for path in folder.iterdir() if path.is_dir()} - {one.path.parts[0] for one in taken}
        left_out["a folder without a video"] += [Path(name) for name in sorted(empty) if not name.startswith(".")]
    return Account(taken, {why: paths for why, paths in left_out.items() if paths})


def _files(folder: Path, left_out: dict[str, list[Path]]) -> Iterator[Path]:
    """Every file below a folder, links followed and none twice, as paths below it in the order of names."""
    seen: set[str] = set()
    found: list[Path] = []
    for base, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(base)
        if real in seen:
            left_out["a link to a folder that was read already"].append(Path(base).relative_to(folder))
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted((name for name in folders if not name.startswith(".")), key=natural)
        found += [Path(base, name).relative_to(folder) for name in names]
    yield from sorted(found, key=lambda path: [natural(part) for part in path.parts])


def _unusable(path: Path) -> str | None:
    """Why a file is no scene."""
    if path.name.startswith("."):
        return "hidden"
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        return "no video by its suffix"
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8: rename it"
    return None


def _by_folder(videos: list[Path]) -> list[Taken]:
    """Videos of one folder for each person, numbered."""
    people = {name: f"id{number}" for number, name in enumerate(dict.fromkeys(path.parts[0] for path in videos))}
    scenes = Counter[str]()
    taken = []
    for path in videos:
        name = path.parts[0]
        taken.append(Taken(people[name], f"{scenes[name]:04d}", path, name))
        scenes[name] += 1
    return taken


def natural(name: str) -> list[tuple[int, str]]:
    """The order of names in which 2 comes before 10."""
    return [(int(part), "") if part.isdigit() else (-1, part.lower()) for part in re.split(r"(\d+)", name) if part]
