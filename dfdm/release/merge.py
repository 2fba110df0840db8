"""The results of shards in one results folder, as if they had been made there."""

from collections.abc import Sequence
from pathlib import Path

from dfdm.base import records
from dfdm.base.errors import DfdmError
from dfdm.base.lock import exclusive
from dfdm.base.names import person_of
from dfdm.base.progress import progress
from dfdm.base.records import Made
from dfdm.catalogue.config import Config
from dfdm.release.files import put

TAKEN = ("sources", "faces", "train", "dataset", "crops", "masks", "evaluate", "regions")  # each is of a scene or pair
_SHARED = ("predictor", "identity")  # records of files that all people share


def merge(cfg: Config, folders: Sequence[Path]) -> int:
    """Copy what shards made of scenes and pairs into the config's results folder, and give the number of files.

    Manifests, classifiers and the report are of all people, so the workflow makes them afterwards. Raises DfdmError,
    before anything is copied, for a file that two folders have with other content, such as the source record of an id
    that stands for two people, and for people whom the config does not have.
    """
    whole = Path(cfg.results)
    found: dict[Path, tuple[Path, Made]] = {}
    for folder in folders:
        if folder.resolve() == whole.resolve():
            raise DfdmError(f"{folder} is the config's own results folder; give those of the shards")
        own = {path.relative_to(folder): (path, made) for path, made in records.every(folder)}
        own = {name: entry for name, entry in own.items() if name.parts[0] in TAKEN}
        if not own:
            raise DfdmError(f"{folder} has no results; give the results folders of the shards")
        _check_people(cfg, folder, own)
        for name, (path, made) in own.items():
            other, before = found.setdefault(name, (path, made))
            if before.sha256 != made.sha256:
                raise DfdmError(
                    f"{other} and {path} differ: an id stands for two people, or the settings are not one's"
                )
            there = records.read(whole / name)
            if there is not None and there.sha256 != made.sha256:
                raise DfdmError(f"{whole / name} and {path} differ; merge into a results folder without it")
    with exclusive(whole):
        for name, (path, made) in progress(iter(found.items()), len(found), f"merge into {whole}", "files"):
            put(path, whole / name, link=False)
            records.write(whole / name, made)
    return len(found)


def _check_people(cfg: Config, folder: Path, own: dict[Path, tuple[Path, Made]]) -> None:
    scenes = {name.stem for name in own if name.parts[0] == "sources"} - set(_SHARED)
    if strange := sorted(scenes - set(cfg.scene_keys)):
        raise DfdmError(f"{folder} has scene {strange[0]} of {person_of(strange[0])}, which the config does not have")
