"""The videos of a folder made elsewhere: which there are, and what each one's place and name say of it.

A label comes from one place alone (a class folder's name, a model in a file's name, a mapped folder), never from
pieces of a path. What the config does not map is an error, since a wrong label would be silent.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from dfdm.base.errors import DfdmError
from dfdm.base.names import REAL, VIDEO_SUFFIXES, VideoName
from dfdm.catalogue.config import Config, DataConfig

_IDS = re.compile(r"id(\d+)_id(\d+)_(\d{1,4})(?:_(.+))?", re.IGNORECASE)
_ORIGINAL = re.compile(r"id(\d+)_(\d{1,4})(?:_(.+))?", re.IGNORECASE)
_QUALITY = re.compile(r"(?:DFDM_)?crf(\d+)", re.IGNORECASE)
_FACEFORENSICS = re.compile(r"(\d+)(?:_(\d+))?")
_COMPRESSION = re.compile(r"c(\d+)|raw", re.IGNORECASE)


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

    None where the name has no ids, or one id for a class that shows two people.
    """
    if model == REAL:
        match = _ORIGINAL.fullmatch(stem)
        return VideoName(f"id{int(match[1])}", None, f"{int(match[2]):04d}", REAL) if match else None
    match = _IDS.fullmatch(stem)
    if not match or int(match[1]) == int(match[2]):
        return None
    return VideoName(f"id{int(match[1])}", f"id{int(match[2])}", f"{int(match[3]):04d}", model)


def find(layout: str, root: Path, cfg: Config) -> tuple[list[Item], list[Fault]]:
    """The videos of `root`, laid out as crops, frames, videos or faceforensics, in the order of their paths.

    Raises DfdmError for what the config does not map, for two videos of one name and quality, and for none at all.
    """
    if not root.is_dir():
        raise DfdmError(f"{root} is not a folder; give the folder that contains the data")
    found = list(LAYOUTS[layout](root, cfg))
    items = [one for one in found if isinstance(one, Item)]
    faults = [one for one in found if isinstance(one, Fault)]
    if not items and not faults:
        raise DfdmError(f"{root} contains nothing of the layout '{layout}'; see docs/data.md, Other data")
    seen: dict[tuple[str, int], Path] = {}
    for item in items:
        if other := seen.get((item.name, item.crf)):
            raise DfdmError(f"{other} and {item.path} are both {item.name} at crf {item.crf}; remove one")
        seen[item.name, item.crf] = item.path
    return items, faults


def _data(cfg: Config) -> DataConfig:
    return cfg.data or DataConfig()


def _quality(path: Path, root: Path, cfg: Config) -> int:
    """From the nearest folder called DFDM_crf<n> or crf<n>, `root` the last; else the config's `data.crf`."""
    for folder in path.parents:
        if match := _QUALITY.fullmatch(folder.name):
            return int(match[1])
        if folder == root:
            break
    crf = _data(cfg).crf
    if crf is None:
        raise DfdmError(f"{path}: no folder called crf<n> gives its quality; set data.crf in the config")
    return crf


def _spelled(model: str, path: Path, cfg: Config) -> str:
    """The class that a model's spelling stands for."""
    spellings = {**{name: name for name in [*cfg.models, REAL]}, **_data(cfg).spellings}
    if (known := spellings.get(model)) is None:
        raise DfdmError(
            f"{path}: '{model}' is not a class; map it in the config, data.spellings: {{{model}: <class>}} "
            f"(known are {', '.join(spellings)})"
        )
    return known


def _crops(root: Path, cfg: Config) -> Found:
    for path in sorted(root.rglob("*.safetensors")):
        try:
            with safe_open(str(path), framework="np") as file:
                meta = json.loads((file.metadata() or {})["dfdm"])
            name, model, crf = meta["name"], meta["model"], int(meta["crf"])
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            yield Fault(path, f"is not a crop file ({error})")
            continue
        model = _spelled(model, path, cfg)
        yield Item(path, str(video_name(name, model) or name), model, crf)


def _frames(root: Path, cfg: Config) -> Found:
    classes = _data(cfg).classes
    for folder in _shown(root):
        if not folder.is_dir():
            yield Fault(folder, "is a file among folders", whole=False)
            continue
        if folder.name not in classes:
            raise DfdmError(
                f"{folder} is not a known class; map it in the config, data.classes: {{{folder.name}: <class>}} "
                f"(mapped are {', '.join(classes) or 'none'})"
            )
        model = classes[folder.name]
        for video in _shown(folder):
            if video.is_dir():
                name = video_name(video.name, model) or f"{folder.name}/{video.name}"
                yield Item(video, str(name), model, _quality(video, root, cfg))
            else:
                yield Fault(video, "is a file among folders", whole=False)


def _shown(folder: Path) -> list[Path]:
    """What is in a folder and not hidden."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _videos(root: Path, cfg: Config) -> Found:
    for path in sorted(path for path in root.rglob("*") if path.is_file() and not path.name.startswith(".")):
        if path.suffix.lower() not in VIDEO_SUFFIXES:
            if path.suffix.lower() != ".json":  # sidecars
                yield Fault(path, "is not a video by its suffix", whole=False)
            continue
        match = _IDS.fullmatch(path.stem) or _ORIGINAL.fullmatch(path.stem)
        if not match or not match[match.re.groups]:
            yield Fault(path, "has no name of the form id0_id1_0000_model")
            continue
        model = _spelled(match[match.re.groups], path, cfg)
        if (name := video_name(path.stem, model)) is None:
            yield Fault(path, f"names other people than a video of class {model} shows")
            continue
        yield Item(path, str(name), model, _quality(path, root, cfg))


def _faceforensics(root: Path, cfg: Config) -> Found:
    """`000_003.mp4`: the frames of 000 with the face of 003; every number is a person, with one scene."""
    mapping = _data(cfg).faceforensics
    if not mapping:
        raise DfdmError("data.faceforensics is empty; map folders to classes in the config (docs/data.md, Other data)")
    for where, model in mapping.items():
        folder = root / where
        if not folder.is_dir():
            raise DfdmError(f"{folder} is not a folder; correct data.faceforensics in the config")
        crf = _compression(folder, root, cfg)
        for path in _shown(folder):
            match, video = _FACEFORENSICS.fullmatch(path.stem), path.suffix.lower() in VIDEO_SUFFIXES
            if not video or not match:
                yield Fault(path, "is not a video named like 000_003.mp4", whole=video)
            elif (match[2] is None) != (model == REAL):
                yield Fault(path, f"names {'one person' if match[2] is None else 'two people'}, class {model}")
            else:
                face = f"id{int(match[2])}" if match[2] else None
                yield Item(path, str(VideoName(f"id{int(match[1])}", face, "0000", model)), model, crf)


def _compression(folder: Path, root: Path, cfg: Config) -> int:
    """The quality that a folder c23, c40 or raw gives."""
    for part in reversed(folder.relative_to(root).parts):
        if match := _COMPRESSION.fullmatch(part):
            return int(match[1] or 0)
    return _quality(folder / "video", root, cfg)


LAYOUTS: dict[str, Callable[[Path, Config], Found]] = {
    "crops": _crops,
    "frames": _frames,
    "videos": _videos,
    "faceforensics": _faceforensics,
}
