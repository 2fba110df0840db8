"""The results of shards in one results folder, as if they had been made there."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dfdm.base import records
from dfdm.base.errors import DfdmError
from dfdm.base.lock import exclusive
from dfdm.base.names import ID, SCENE, person_of
from dfdm.base.progress import progress
from dfdm.base.records import Made
from dfdm.catalogue.config import Config
from dfdm.release.files import put

TAKEN = ("sources", "faces", "train", "dataset", "crops", "masks", "evaluate", "regions")  # each is of a scene or pair
_OWN = ("reference", "frames", "picture")  # settings of a scene or person
_SHARED = ("predictor", "identity")  # records of files that all people share

Found = dict[Path, tuple[Path, Made]]  # by the path below the results folder: the file and its record


def merge(cfg: Config, folders: Sequence[Path]) -> int:
    """Copy what shards made of scenes and pairs into the config's results folder, and give the number of files.

    Manifests, classifiers and the report are of all people, so the workflow makes them afterwards. Raises DfdmError,
    before anything is copied, for a person in two folders, settings that differ, and scenes that the config does not
    have.
    """
    whole = Path(cfg.results)
    owner, first = dict[str, Path](), dict[str, tuple[Path, Any]]()
    found: Found = {}
    for folder in folders:
        if folder.resolve() == whole.resolve():
            raise DfdmError(f"{folder} is the config's own results folder; give those of the shards")
        own = {path.relative_to(folder): (path, made) for path, made in records.every(folder)}
        own = {name: entry for name, entry in own.items() if name.parts[0] in TAKEN}
        if not own:
            raise DfdmError(f"{folder} has no results; give the results folders of the shards")
        _check_people(cfg, folder, own, owner)
        _check_settings(own, first)
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


def _check_people(cfg: Config, folder: Path, own: Found, owner: dict[str, Path]) -> None:
    """DfdmError for a scene that the config does not have, and for a person whom another folder has too."""
    for scene in sorted({name.stem for name in own if name.parts[0] == "sources"} - set(_SHARED)):
        person = person_of(scene)
        if scene not in cfg.scene_keys:
            raise DfdmError(
                f"{folder} has scene {scene}, which the config does not have; add it, or leave the folder out"
            )
        if (other := owner.setdefault(person, folder)) != folder:
            raise DfdmError(f"{person} is in {other} and in {folder}; each person is in one shard, under one id")


def _check_settings(own: Found, first: dict[str, tuple[Path, Any]]) -> None:
    """DfdmError where the same files of two pairs or scenes were made with other settings, or by other code."""
    for name, (path, made) in own.items():
        if made.job is None:
            continue
        settings = made.job.settings
        if isinstance(settings, dict):  # without what is of a scene or person alone
            settings = {key: value for key, value in settings.items() if key not in _OWN}
        kind, mine = re.sub(f"{ID}(_{SCENE})?", "id", name.as_posix()), (made.job.number, settings)
        other, was = first.setdefault(kind, (path, mine))
        if was != mine:
            raise DfdmError(
                f"{other} and {path} were made with different settings of {made.stage}; make one of them again with "
                "those of the other"
            )
