"""One person taken out of a results folder: everything made from the recordings, and an entry of what went.

A file goes if its path or its content names the person or the content of one of the recordings, or if it was trained or
measured on all videos together (classifiers, scores, controls, report). Manifests lose the person's rows. Of a
training's state nothing says whose it is, so every state goes that is not of a finished model that stays.

The list of what goes is in the entry before the first file does, so that a second call ends what a killed one began.
"""

import json
import re
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from safetensors import safe_open

from dfdm import __version__
from dfdm.base.errors import DfdmError
from dfdm.base.files import UNREADABLE
from dfdm.base.records import FOLDER, keep, place
from dfdm.base.stored import Stored
from dfdm.catalogue import sources
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import FORGOTTEN, Layout
from dfdm.catalogue.migrate import STORE

_OF_ALL = r"(attribution|controls|report|(logs|benchmarks)/(attribution_\w+|controls|report|manifest))/.*|report\.html"
_HASH = re.compile("[0-9a-f]{64}")
_PACKED = {".mp4", ".npz", ".png", ".jpg", ".pt"}  # their path says whose they are
SUMS = "SHA256SUMS"  # of a release


class Forgotten(Stored):
    """The entry of a person who was taken out.

    `recordings`: the sha256 of the videos. `files`: how many went, by folder. `left`: what is still to go, or null.
    """

    stage = "forget"

    person: str
    recordings: list[str]
    began: str
    version: str
    files: dict[str, int]
    bytes: int
    left: list[str] | None


@dataclass(frozen=True)
class Found:
    """What there is of a person: files that go, manifests that lose rows, recordings by hash and by path."""

    gone: list[Path]
    manifests: list[Path]
    recordings: list[str]
    own: list[Path]  # videos that no command made

    @property
    def bytes(self) -> int:
        """The size of what goes."""
        return _bytes(self.gone)


def entry(results: str | Path, person: str) -> Path:
    """Where the entry of a person is."""
    return Path(Layout(str(results)).forgotten(person))


def check_forgotten(cfg: Config) -> None:
    """DfdmError where the config names a person whom the results folder has forgotten."""
    for person in cfg.sources.people:
        if (path := entry(cfg.results, person)).is_file():
            if Forgotten.read(path).left is not None:
                raise DfdmError(f"{person} is being forgotten ({path}); run 'dfdm forget {person} --yes' again")
            raise DfdmError(
                f"results '{cfg.results}' have forgotten {person} ({path}); take {person} out of sources.people, swaps "
                "and splits, give another person another id, or name another results folder"
            )


def find(cfg: Config, person: str, states: Path, releases: Iterable[Path]) -> Found:
    """Everything of a person that is there; DfdmError for one of whom neither config nor results know anything."""
    root, known = Path(cfg.results), entry(cfg.results, person)
    before = Forgotten.read(known) if known.is_file() else None
    hashes = set(before.recordings) if before else set()
    for record in root.glob(f"sources/{person}_*.json"):
        try:
            hashes.add(str(json.loads(record.read_bytes())["sha256"]))
        except (ValueError, LookupError, TypeError):
            continue  # damaged: it goes all the same
    own, cached = _recordings(cfg, person)
    names = re.compile("|".join([rf"(?<![0-9A-Za-z]){person}(?![0-9])", *(h for h in hashes if _HASH.fullmatch(h))]))
    planned = {Path(path) for path in (before.left or [] if before else [])}
    gone, general = set(planned), set[Path]()
    manifests: dict[Path, None] = {}
    for path in _files(root):
        inside = path.relative_to(root).as_posix().replace(f"{FOLDER}/", "")
        if re.fullmatch(_OF_ALL, inside):
            general.add(path)
        elif not names.search(inside) and not _names(path, names):
            continue
        elif inside.startswith("manifests/"):
            manifests[root / re.sub(r"\.(csv|parquet)(\.json)?$", ".parquet", inside)] = None
        else:
            gone |= {path, *([path.parent.parent / path.stem] if path.parent.name == FOLDER else [])}
    if not gone and not manifests and before is None and person not in cfg.sources.people:
        raise DfdmError(f"neither the config nor {root} knows {person}; correct the id")
    stay = {_key(path) for path in root.glob("train/*/*/model.safetensors") if path not in gone}
    gone |= general | {path for path in _files(states) if path.relative_to(states).parts[0] not in stay}
    for part in ("metadata", "incomplete", "log"):
        gone |= {path for path in _files(STORE / part) if names.search(_decoded(path)) or _names(path, names)}
    for folder in releases:
        if not (folder / SUMS).is_file() and folder / SUMS not in planned:
            raise DfdmError(
                f"--release {folder} is no release: it has no {SUMS}; correct the path, or delete it yourself"
            )
        held = list(_files(folder))
        if any(names.search(str(path.relative_to(folder))) or _names(path, names) for path in held):
            gone |= set(held)
    gone |= {place(path) for path in gone} | {path for file in cached for path in (file, place(file))}
    return Found(sorted(path for path in gone if path.is_file()), list(manifests), sorted(hashes), own)


def forget(cfg: Config, person: str, found: Found) -> Forgotten:
    """Delete what was found and write the entry; it may be called again after it was killed."""
    path = entry(cfg.results, person)
    before = Forgotten.read(path) if path.is_file() else None
    planned = set(before.left or [] if before else [])
    new = [one for one in found.gone if str(one) not in planned]
    count = Counter(before.files if before else {})
    now = Forgotten(
        person=person,
        recordings=found.recordings,
        began=before.began if before else datetime.now(UTC).isoformat(timespec="seconds"),
        version=__version__,
        files=dict(sorted((count + Counter(_kind(cfg, one) for one in new)).items())),
        bytes=_bytes(new) + (before.bytes if before else 0),
        left=[str(one) for one in found.gone],
    )
    now.write(path)
    for manifest in found.manifests:
        _without(manifest, person)
    for file in found.gone:
        file.unlink(missing_ok=True)
    for folder in {folder for file in found.gone for folder in file.parents if folder != Path()}:
        _remove_empty(folder)
    done = now.model_copy(update={"left": None})
    done.write(path)
    return done


def _recordings(cfg: Config, person: str) -> tuple[list[Path], list[Path]]:
    """A person's videos: those that the user has, and those in the cache, of which nobody else is made.

    With a file of a package its archive goes too, since the recording is in it.
    """
    people = dict(cfg.sources.people)
    mine = people.pop(person, None)
    others = {file.in_package for one in people.values() for file in one.scenes.values() if file.path is None}
    own, cached = dict[Path, None](), dict[Path, None]()
    for scene in mine.scenes.values() if mine else ():
        if scene.path is not None:
            own[sources.place(cfg.sources, scene.path)] = None
        elif scene.in_package not in others:
            cached |= dict.fromkeys(sources.in_cache(cfg.sources, scene))
    if mine and mine.picture:
        own[sources.place(cfg.sources, mine.picture)] = None
    return [path for path in own if path.is_file()], list(cached)


def _files(folder: Path) -> Iterator[Path]:
    """The files below a folder, without the lock of a results folder and the entries."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != ".lock" and path.parent.name != FORGOTTEN:
            yield path


def _names(path: Path, names: re.Pattern[str]) -> bool:
    """Whether a file's content names the person, or is a record of one that its path names."""
    return path.suffix not in _PACKED and names.search(_text(path)) is not None


def _text(path: Path) -> str:
    """What can be read of a file: a table's cells, the metadata of tensors, else all of it."""
    try:
        if path.suffix == ".parquet":
            import pandas as pd

            return pd.read_parquet(path).to_csv()
        if path.suffix == ".safetensors":
            with safe_open(str(path), framework="np") as file:
                return str(file.metadata())
    except UNREADABLE:
        pass
    return path.read_text(encoding="latin-1")


def _key(path: Path) -> str:
    """The folder of the state that a finished model was trained from."""
    try:
        with safe_open(str(path), framework="np") as file:
            return str(json.loads(file.metadata()["dfdm"])["key"])
    except UNREADABLE:
        return ""


def _decoded(path: Path) -> str:
    """The file that one of Snakemake's records is about: its name is that file's in base64."""
    name = "".join(part.removeprefix("@") for part in path.parts[len(STORE.parts) + 1 :])
    try:
        return urlsafe_b64decode(name).decode()
    except ValueError:
        return path.name


def _without(manifest: Path, person: str) -> None:
    """Take a person's rows, and the folds that are named after them, out of a manifest; without a row it goes."""
    import pandas as pd

    from dfdm.catalogue.manifest import write_manifest

    table = pd.read_parquet(manifest)
    others = table[(table["video_id"] != person) & (table["face_id"] != person)]
    folds = [name for name in others if re.search(rf"(?<![0-9A-Za-z]){person}(?![0-9])", str(name))]
    both = (manifest, manifest.with_suffix(".csv"))
    if len(others):
        write_manifest(others.drop(columns=folds).reset_index(drop=True), manifest)
        keep("manifest", *both)
    else:
        for path in (*both, *map(place, both)):
            path.unlink(missing_ok=True)


def _kind(cfg: Config, path: Path) -> str:
    """The folder below the results that a file is in."""
    return path.relative_to(cfg.results).parts[0] if path.is_relative_to(cfg.results) else "elsewhere"


def _bytes(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths)


def _remove_empty(folder: Path) -> None:
    while folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
