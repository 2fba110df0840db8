"""Which videos of a folder show whom: every file is taken or left out, with the reason."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from dfdm.base.errors import DfdmError
from dfdm.base.files import sha256
from dfdm.base.names import ID, SCENE, VIDEO_SUFFIXES
from dfdm.base.section import unfit
from dfdm.base.text import decimal, size_text, table

CELEB = re.compile(f"({ID})_({SCENE})")
_SHOWN = 5  # files named for a reason
LeftOut = dict[str, list[Path]]  # files below a folder, by the reason for which they are left out


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
    left_out: LeftOut

    def text(self, root: Path) -> str:
        """A row for each person, with the seconds that the files say they have, then what was left out and why."""
        from dfdm.media.streams import seconds

        own = defaultdict[str, list[Taken]](list)
        for one in self.taken:
            own[one.person].append(one)
        long = {one.path: seconds(root / one.path) for one in self.taken}
        rows = [
            (
                person,
                of[0].note or "",
                str(len(of)),
                decimal(sum(long[one.path] or 0 for one in of), 1),
                size_text(sum((root / one.path).stat().st_size for one in of)),
            )
            for person, of in own.items()
        ]
        silent = [path for path, length in long.items() if length is None]
        lines = [table(("person", "folder", "scenes", "seconds", "size"), rows, left=2)]
        if silent:
            lines.append(f"without a duration, counted as 0 s: {_some(silent)}")
        return "\n".join([*lines, *told(self.left_out)])


def told(left_out: LeftOut) -> list[str]:
    """What was left out: a line for each reason, with the number of files and the first ones."""
    return [f"left out, {why}: {_some(paths)}" for why, paths in left_out.items()]


def _some(paths: list[Path]) -> str:
    """How many there are, and the first ones."""
    return f"{len(paths)} ({', '.join(map(str, paths[:_SHOWN]))}{', ...' if len(paths) > _SHOWN else ''})"


def discover(folder: Path) -> Account:
    """The videos of a folder in Celeb-DF's layout (`id0_0003.mp4`), or of one folder for each person.

    It is Celeb-DF's where all names are, or where one folder has those of several ids. Else a person is a folder
    directly in it, with all that is below; people and scenes are numbered in the order of the names, 2 before 10.
    """
    left_out = defaultdict[str, list[Path]](list)
    videos: list[Path] = []
    for path in files(folder, left_out):
        if not (folder / path).exists():
            left_out["a link to nothing"].append(path)
        elif why := unusable(path):
            left_out[why].append(path)
        else:
            videos.append(path)
    celeb = {path: match for path in videos if (match := CELEB.fullmatch(path.stem))}
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


def once(folder: Path, account: Account) -> Account:
    """The account with videos of equal content taken once, the first of them.

    Raises DfdmError where such videos are said to show two people.
    """
    sizes = defaultdict[int, list[Taken]](list)
    for one in account.taken:
        sizes[(folder / one.path).stat().st_size].append(one)
    first, copies = dict[str, Taken](), defaultdict[str, list[Path]](list)
    for size, alike in sizes.items():
        for one in alike if size and len(alike) > 1 else ():  # empty files are placeholders
            of = first.setdefault(sha256(folder / one.path), one)
            if of.person != one.person:
                raise DfdmError(
                    f"{of.path} and {one.path} are the same video, under two people; delete the one that is wrong"
                )
            if of is not one:
                copies[f"a copy of {of.path}"].append(one.path)
    gone = {path for paths in copies.values() for path in paths}
    taken = [one for one in account.taken if one.path not in gone]
    return Account(taken, account.left_out | copies)


def walk(folder: Path, left_out: LeftOut) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Every folder below one, as a path below it, with the names of its folders and files; the caller may drop folders.

    Links are followed, none twice, after all that is no link: a folder is known by its own name. Hidden folders are
    passed over.
    """
    seen, tops = set[str](), [folder]
    for top in tops:
        for base, folders, names in os.walk(top):
            real, path = os.path.realpath(base), Path(base).relative_to(folder)
            if real in seen:
                left_out.setdefault("a link to a folder that was read already", []).append(path)
                folders.clear()
                continue
            seen.add(real)
            folders[:] = sorted((name for name in folders if not name.startswith(".")), key=natural)
            yield path, folders, names
            tops += [link for name in folders if (link := Path(base, name)).is_symlink()]


def files(folder: Path, left_out: LeftOut) -> list[Path]:
    """Every file below a folder, links followed and none twice, as paths below it in the order of names."""
    found = [path / name for path, _, names in walk(folder, left_out) for name in names]
    return sorted(found, key=lambda path: [natural(part) for part in path.parts])


def unusable(path: Path, suffixes: Collection[str] = VIDEO_SUFFIXES, what: str = "video") -> str | None:
    """Why a file is none of what is looked for."""
    if path.name.startswith("."):
        return "hidden"
    if path.suffix.lower() not in suffixes:
        return f"no {what} by its suffix"
    if str(path).startswith("~"):
        return "its folder's name begins with ~, which stands for a home: rename it"
    return f"{why}: rename it" if (why := unfit(str(path))) else None


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
    return [(int(part), "") if part.isdecimal() else (-1, part.lower()) for part in re.split(r"(\d+)", name) if part]
