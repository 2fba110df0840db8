"""The videos of a folder made elsewhere: which there are, and what each one's place and name say of it.

A label comes from one place alone (a class folder's name, a model in a file's name, a mapped folder), never from
pieces of a path. What the config does not map is an error, since a wrong label would be silent.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from safetensors import SafetensorError, safe_open

from dfdm.base.errors import DfdmError
from dfdm.base.names import CRF, REAL, VIDEO_SUFFIXES, VideoName, lenient_name
from dfdm.catalogue.config import Config, DataConfig
from dfdm.catalogue.discover import LeftOut, files, told, unusable, walk

_TAKE = re.compile(r"[0-9]+_(?=.)")  # DFDM's originals: id0_id1_0003_1_original
_QUALITY = re.compile(r"(?:DFDM_)?crf([0-9]+)", re.IGNORECASE)
_FACEFORENSICS = re.compile(r"([0-9]+)(?:_([0-9]+))?")
_COMPRESSION = re.compile(r"c([0-9]+)|raw", re.IGNORECASE)


@dataclass(frozen=True)
class Item:
    """One video: where it is (a crop file, a folder of pictures or a video file), its name, class and quality."""

    path: Path
    name: str
    model: str
    crf: int


@dataclass(frozen=True)
class Fault:
    """A file or video that cannot be used, and why, in one sentence. `whole`: a video is lost, not an extra file."""

    path: Path
    why: str
    whole: bool = True


Found = Iterator[Item | Fault]


def video_name(stem: str, model: str) -> VideoName | None:
    """A name with DFDM ids (`id0_id1_0000`, with or without a model) as this project's, of the given class.

    An original shows the person whose video it is, whatever other id its name carries. None where the name has no ids,
    or one id for a class that shows two people.
    """
    name = lenient_name(stem)
    if name is None or (model != REAL and name.face_id in (None, name.video_id)):
        return None
    return replace(name, face_id=None if model == REAL else name.face_id, model=model)


def find(layout: str, root: Path, cfg: Config) -> tuple[list[Item], list[Fault], LeftOut]:
    """The videos of `root`, laid out as crops, frames, videos or faceforensics, in the order of their paths; what
    cannot be used; and the files that are none of it.

    Raises DfdmError for what the config does not map, for two videos of one name and quality, and for none at all.
    """
    if not root.is_dir():
        raise DfdmError(f"{root} is not a folder; give the folder that contains the data")
    left_out: LeftOut = {}
    found = list(LAYOUTS[layout](root, cfg, left_out))
    faults = [one for one in found if isinstance(one, Fault)]
    seen: dict[tuple[str, int], Item] = {}
    for item in (one for one in found if isinstance(one, Item)):
        other = seen.setdefault((item.name, item.crf), item)
        if other is not item:
            if not (_of_two(item) or _of_two(other)):
                raise DfdmError(f"{other.path} and {item.path} are both {item.name} at crf {item.crf}; remove one")
            left_out.setdefault("the original of a scene that is there already", []).append(item.path.relative_to(root))
    if not seen and not faults:
        rest = "".join(f"; {line}" for line in told(left_out))
        raise DfdmError(f"{root} contains nothing of the layout '{layout}'; see docs/data.md, Other data{rest}")
    return list(seen.values()), faults, left_out


def _of_two(item: Item) -> bool:
    """Whether an original's name carries two ids: DFDM has one for each pair, all of the same video."""
    name = lenient_name(item.path.stem)
    return item.model == REAL and name is not None and name.face_id is not None


def _below(
    folder: Path, left_out: LeftOut, suffixes: Collection[str] = VIDEO_SUFFIXES, what: str = "video"
) -> list[Path]:
    """The files with these suffixes below a folder, sorted; the others are left out."""
    found = []
    for path in sorted(files(folder, left_out)):
        if why := unusable(path, suffixes, what):
            left_out.setdefault(why, []).append(path)
        else:
            found.append(folder / path)
    return found


def _data(cfg: Config) -> DataConfig:
    return cfg.data or DataConfig()


def _quality(path: Path, root: Path, cfg: Config) -> int:
    """From the nearest folder called DFDM_crf<n> or crf<n>, `root` the last; else the config's `data.crf`."""
    for folder in path.parents:
        if match := _QUALITY.fullmatch(folder.name):
            if int(match[1]) not in CRF:
                raise DfdmError(f"{folder} names a crf above 51, which H.264 does not have; rename the folder")
            return int(match[1])
        if folder == root:
            break
    crf = _data(cfg).crf
    if crf is None:
        raise DfdmError(f"{path}: no folder called crf<n> gives its quality; set data.crf in the config")
    return crf


def _spelled(model: str, path: Path, cfg: Config) -> str:
    """The class that a model's spelling stands for."""
    spellings = {**{name: name for name in [*cfg.models, REAL]}, "original": REAL, **_data(cfg).spellings}
    if (known := spellings.get(model, spellings.get(_TAKE.sub("", model, count=1)))) is None:
        raise DfdmError(
            f"{path}: '{model}' is not a class; map it in the config, data.spellings: {{{model}: <class>}} "
            f"(known are {', '.join(spellings)})"
        )
    return known


def _crops(root: Path, cfg: Config, left_out: LeftOut) -> Found:
    for path in _below(root, left_out, {".safetensors"}, "crop file"):
        try:
            with safe_open(str(path), framework="np") as file:
                meta = json.loads((file.metadata() or {})["dfdm"])
            name, model, crf = meta["name"], meta["model"], int(meta["crf"])
            if not isinstance(name, str) or not isinstance(model, str) or crf not in CRF:
                raise ValueError("its name, model or crf is none")
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            yield Fault(path, f"is not a crop file ({error})")
            continue
        model = _spelled(model, path, cfg)
        yield Item(path, str(video_name(name, model) or name), model, crf)


def _frames(root: Path, cfg: Config, left_out: LeftOut) -> Found:
    classes = _data(cfg).classes
    videos = []
    for base, folders, names in walk(root, left_out):
        if len(base.parts) == 1 and base.name not in classes:
            raise DfdmError(
                f"{root / base} is not a known class; map it in the config, data.classes: {{{base.name}: <class>}} "
                f"(mapped are {', '.join(classes) or 'none'})"
            )
        if len(base.parts) == 2:
            videos.append(root / base)
            deeper = [base / name for name in folders]
            folders.clear()
            for path in deeper:
                left_out.setdefault("a folder among frames", []).append(path)
        for name in names:
            if name.startswith("."):
                left_out.setdefault("hidden", []).append(base / name)
            elif len(base.parts) < 2:
                left_out.setdefault("a file among folders", []).append(base / name)
    for video in sorted(videos):
        label = video.parent.name
        name = str(video_name(video.name, classes[label]) or f"{label}/{video.name}")
        yield Item(video, name, classes[label], _quality(video, root, cfg))


def _videos(root: Path, cfg: Config, left_out: LeftOut) -> Found:
    for path in _below(root, left_out):
        spelled = lenient_name(path.stem)
        if not spelled or not spelled.model:
            yield Fault(path, "has no name of the form id0_id1_0000_model")
            continue
        model = _spelled(spelled.model, path, cfg)
        if (name := video_name(path.stem, model)) is None:
            yield Fault(path, f"names other people than a video of class {model} shows")
            continue
        yield Item(path, str(name), model, _quality(path, root, cfg))


def _faceforensics(root: Path, cfg: Config, left_out: LeftOut) -> Found:
    """`000_003.mp4`: the frames of 000 with the face of 003; every number is a person, with one scene."""
    mapping = _data(cfg).faceforensics
    if not mapping:
        raise DfdmError("data.faceforensics is empty; map folders to classes in the config (docs/data.md, Other data)")
    for where, model in mapping.items():
        folder = root / where
        if not folder.is_dir():
            raise DfdmError(f"{folder} is not a folder; correct data.faceforensics in the config")
        crf = _compression(folder, root, cfg)
        below: LeftOut = {}
        for path in _below(folder, below):
            match = _FACEFORENSICS.fullmatch(path.stem)
            if not match:
                yield Fault(path, "is not a video named like 000_003.mp4")
            elif (match[2] is None) != (model == REAL):
                yield Fault(path, f"names {'one person' if match[2] is None else 'two people'}, class {model}")
            else:
                face = f"id{int(match[2])}" if match[2] else None
                yield Item(path, str(VideoName(f"id{int(match[1])}", face, "0000", model)), model, crf)
        for why, paths in below.items():
            left_out.setdefault(why, []).extend(Path(where, path) for path in paths)
    _unmapped(root, {Path(where) for where in mapping}, left_out)


def _unmapped(root: Path, mapped: set[Path], left_out: LeftOut) -> None:
    """Leave out what is beside the mapped folders: whole folders where they contain none of them."""
    for base, folders, names in walk(root, left_out):
        if base in mapped:
            folders.clear()
        elif base == Path() or any(where.is_relative_to(base) for where in mapped):
            for name in names:
                left_out.setdefault("not in a folder of data.faceforensics", []).append(base / name)
        else:
            left_out.setdefault("a folder that data.faceforensics does not map", []).append(base)
            folders.clear()


def _compression(folder: Path, root: Path, cfg: Config) -> int:
    """The quality that a folder c23, c40 or raw gives."""
    for part in reversed(folder.relative_to(root).parts):
        if match := _COMPRESSION.fullmatch(part):
            return int(match[1] or 0)
    return _quality(folder / "video", root, cfg)


LAYOUTS: dict[str, Callable[[Path, Config, LeftOut], Found]] = {
    "crops": _crops,
    "frames": _frames,
    "videos": _videos,
    "faceforensics": _faceforensics,
}
