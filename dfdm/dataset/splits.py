"""Which videos train, validate and test: by scene, or by the people shown; by list or by hash.

The scene split keeps everything made of one scene (all models, qualities, swapped-in faces, the original) on
one side. The identity split divides the people: nobody of a test video is seen in training or validation. A fold
divides pairs of people, so that each can be the test once.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from pydantic import ValidationError

from dfdm.base.errors import DfdmError, shown
from dfdm.base.files import digest, reading
from dfdm.base.names import CRF, VideoName, known_name, parse_name, scene_of
from dfdm.base.records import checked
from dfdm.base.section import sentence
from dfdm.base.text import some
from dfdm.dataset.lists import Listed, canonical, forms
from dfdm.dataset.settings import DataSplits, Fold, IdentitySplit, KeySplit, PartLists, SceneSplit, SplitsConfig

if TYPE_CHECKING:
    import pandas as pd

Splits = TypeVar("Splits", "SplitsConfig", "DataSplits")
Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")
SHARES = {"train": 0.70, "validation": 0.15, "test": 0.15}  # of the hash; an expectation, not a quota


def hash_part(key: str, seed: int) -> Part:
    """The part that sha256 of seed and key falls into, 70 / 15 / 15 %; the same on every machine."""
    point = int.from_bytes(hashlib.sha256(f"{seed}:{key}".encode()).digest()[:6]) / 2**48
    if point < SHARES["train"]:
        return "train"
    return "validation" if point < SHARES["train"] + SHARES["validation"] else "test"


def _listed(key: str, split: PartLists) -> Part | None:
    """The part whose list holds the key, or None."""
    return next((part for part in PARTS if key in (getattr(split, part) or [])), None)


def _by_hash(split: PartLists) -> bool:
    return all(getattr(split, part) is None for part in PARTS)


def split_key(key: str, split: SceneSplit | KeySplit, seed: int) -> Part | None:
    """The part of a scene's key (dfdm.base.names.scene_of); None: no list names it.

    All three lists null: by hash. Some given and others null is an error.
    """
    if _by_hash(split):
        return hash_part(key, seed)
    missing = [part for part in PARTS if getattr(split, part) is None]
    if missing:
        raise DfdmError(f"splits.scene.{missing[0]} is null, but other lists are given; give all three or none")
    return _listed(key, split)


def split_identity(video: VideoName, splits: SplitsConfig | DataSplits, seed: int) -> Part | None:
    """The part of a video by its people, in either order; None: they are in two parts, or in no list.

    An original is in the part of its one person. All three lists null: by hash. `train` and `test` given and
    `validation` null: few people, so validation is made of the training people's scenes that the scene split
    (by hash where `splits.scene` is null) does not train on. Any other list missing is an error.
    """
    split = splits.identity or IdentitySplit()
    if not _by_hash(split) and (split.train is None or split.test is None):
        missing = "train" if split.train is None else "test"
        raise DfdmError(f"splits.identity.{missing} is null while another list is given; give train and test, or none")
    people = video.pair or (video.video_id,)
    parts = {hash_part(person, seed) if _by_hash(split) else _listed(person, split) for person in people}
    part = parts.pop() if len(parts) == 1 else None
    if part == "train" and not _by_hash(split) and split.validation is None:
        scene_part = split_key(video.scene_key, splits.scene or SceneSplit(), seed)
        return scene_part and ("train" if scene_part == "train" else "validation")
    return part


def split_fold(video: VideoName, fold: Fold, splits: SplitsConfig, seed: int) -> Part | None:
    """The part of a video by its two people; an original goes where its one person is, training first.

    Validation is made of the training people's scenes that the scene split validates on. A scene that it tests does
    not train where its person is tested too, and of such a person only these scenes are tested.
    """
    train, test = ({person for pair in pairs for person in pair.split("_")} for pairs in (fold.train, fold.test))
    shared = video.video_id in train & test
    if video.pair is None:
        trains, tests = video.video_id in train, video.video_id in test - train
    else:
        trains, tests = ("_".join(video.pair) in pairs for pairs in (fold.train, fold.test))
    if not trains and not tests:
        return None
    scene_part = split_key(video.scene_key, splits.scene or SceneSplit(), seed)
    if tests:
        return None if shared and scene_part != "test" else "test"
    if scene_part == "test":
        return None if shared else "train"
    return scene_part


def leave_two_out(pairs: Sequence[str]) -> dict[str, Fold]:
    """Each pair as the test of a fold of its own, named as the pair; every pair that shares nobody with it trains.

    ValueError for a pair without such others.
    """
    folds = {}
    for test in pairs:
        train = [pair for pair in pairs if not set(pair.split("_")) & set(test.split("_"))]
        if not train:
            raise ValueError(f"leave_two_out needs a pair without the people of {test}; swap more people")
        folds[test] = Fold(train=train, test=[test])
    return folds


def made(splits: SplitsConfig | DataSplits) -> list[str]:
    """The names of the splits that the config asks for."""
    folds = splits.folds if isinstance(splits, SplitsConfig) else {}
    return [*(kind for kind in ("scene", "identity") if getattr(splits, kind)), *folds]


def apply_lists(splits: Splits, scenes: Sequence[str], people: Sequence[str]) -> Splits:
    """The splits with the scenes and people, of those that there are, that their list files name.

    Where train and test of the scene split are files and validation is null, as data sets ship them, a share of the
    training scenes, by hash, becomes validation. ValueError for a scene or person in two parts.
    """
    update: dict[str, PartLists | None] = {}
    for kind, known in (("scene", scenes), ("identity", people)):
        split: PartLists | None = getattr(splits, kind)
        if split is None:
            continue
        given = dict(split)
        parts = {part: found.among(known) for part, found in given.items() if isinstance(found, Listed)}
        if kind == "scene" and given["validation"] is None and {"train", "test"} <= set(parts):
            train = parts["train"]
            held = sorted(train, key=digest)[: max(1, round(SHARES["validation"] * len(train)))]
            parts["train"] = Listed([key for key in train if key not in held], train.file, "scene", train.entries)
            parts["validation"] = Listed(held, train.file, "scene", ())
        try:
            update[kind] = type(split).model_validate(given | parts)
        except ValidationError as error:
            raise ValueError(f"{kind}: {sentence(error)}") from None
    return splits.model_copy(update=update)


def account(split: PartLists, names: Sequence[str]) -> list[str]:
    """What the lists of a split and the videos there are do not have in common, as lines with numbers and names.

    `names` are the videos' names. Empty for a split by hash.
    """
    lines, named, scenes = list[str](), set[str](), split.kind == "scene"
    present = {form for name in names for form in (forms(name) if scenes else people_of(name))}
    for part, found in split:
        named |= set(found.names if isinstance(found, Listed) else found or [])
        if isinstance(found, Listed) and found.entries:
            absent = [name for name in found.names if name not in present]
            faults = [("listed but absent", absent), ("listed twice", found.twice)]
            told = "".join(f"; {what}: {len(of)} ({some(of, 5)})" for what, of in faults if of)
            lines.append(f"{split.kind} split, {part}: {len(found.names)} names in {found.file}{told}")
        elif isinstance(found, Listed):
            lines.append(f"{split.kind} split, {part}: {len(found)} of the scenes in {found.file}, chosen by hash")
    if _by_hash(split):
        return lines
    listed = {key for _, found in split for key in found or []}
    keys = dict.fromkeys(key for name in names for key in ([scene_of(name)] if scenes else people_of(name)))
    unlisted = [key for key in keys if key not in listed]
    of_listed = [name for name in names if scenes and scene_of(name) in listed and not forms(name) & named]
    beside = {clip: None for name in of_listed if (clip := canonical(name)) != scene_of(name)}  # no originals
    for where, of in (("left out", unlisted), ("taken with their scene", list(beside))):
        if of:
            lines.append(f"{split.kind} split: present but unlisted, {where}: {len(of)} ({some(of, 5)})")
    return lines


def split_videos(videos: Sequence[VideoName], kind: str, splits: SplitsConfig, seed: int) -> list[Part | None]:
    """`split_names` of this project's own videos."""
    swapped = [video.face_id is not None for video in videos]
    return split_names([str(video) for video in videos], swapped, kind, splits, seed)


def split_names(
    names: Sequence[str], swapped: Sequence[bool], kind: str, splits: SplitsConfig | DataSplits, seed: int
) -> list[Part | None]:
    """Part of every video, in their order; checked: no leak, and no part without a swapped video.

    None: dropped; count and report them (`describe`). A video without ids goes by its own name; `identity` without ids
    is an error. Originals (not `swapped`) fill no part.
    """
    if isinstance(splits, SplitsConfig) and kind in splits.folds:
        parts = [split_fold(parse_name(name), splits.folds[kind], splits, seed) for name in names]
    elif kind == "identity":
        check_ids(names)
        parts = [split_identity(parse_name(name), splits, seed) for name in names]
    else:
        parts = [split_key(scene_of(name), splits.scene or SceneSplit(), seed) for name in names]
    check_names(names, parts, kind)
    swaps = [name for name, one in zip(names, swapped, strict=True) if one]
    filled = {part for part, one in zip(parts, swapped) if one}
    if empty := [part for part in PARTS if part not in filled]:
        if kind not in ("scene", "identity"):
            raise DfdmError(
                f"the fold {kind} has no swapped video for {' and '.join(empty)}; correct its pairs in splits.folds, "
                "or the scenes of splits.scene"
            )
        what = "scenes" if kind == "scene" else "people"
        keys = {key for name in swaps for key in ([scene_of(name)] if kind == "scene" else people_of(name))}
        raise DfdmError(
            f"the {kind} split leaves {' and '.join(empty)} without a swapped video; list {what} under "
            f"{'data.' if isinstance(splits, DataSplits) else ''}splits.{kind}.train, validation and test "
            f"(there are: {some(list(keys), 20) or 'none'})"
        )
    return parts


def people_of(name: str) -> tuple[str, ...]:
    """The people that a video shows, by its name: two of a swap, one of an original, none where it has no ids."""
    video = known_name(name)
    return (video.pair or (video.video_id,)) if video else ()


def describe(parts: Sequence[Part | None]) -> str:
    """The sizes of a split as text: `train 20, validation 5, test 5, dropped 0`."""
    counts = Counter(parts)
    return ", ".join(f"{part or 'dropped'} {counts[part]}" for part in (*PARTS, None))


def check_manifest(rows: "pd.DataFrame", kind: str) -> None:
    """The whole leak check before a training: DfdmError with the names that leak.

    Needs the columns name, crf, part (train, validation, test, or null) and sha256 (of what is shown), of one quality
    or of several. Fails for a video listed twice; a scene, at whatever model and quality, in two parts; the same
    content in two parts; and, of `identity`, names without ids and a test person seen in another part.
    """
    twice = rows[rows.duplicated(["name", "crf"])]["name"].tolist()
    if twice:
        raise DfdmError(f"the manifest lists {some(twice)} more than once; build it again")
    rows = rows[rows["part"].isin(PARTS)]
    names, parts = rows["name"].tolist(), rows["part"].tolist()
    if kind == "identity":
        check_ids(names)
    check_names(names, parts, kind)
    content: dict[str, dict[str, str]] = defaultdict(dict)
    for name, part, hashed in zip(names, parts, rows["sha256"]):
        content[hashed].setdefault(part, name)
    copies = [" and ".join(sorted(found.values())) for found in content.values() if len(found) > 1]
    if copies:
        raise DfdmError(
            f"the {kind} split leaks: {some(copies)} have the same content and are in different parts; "
            "remove the copies or put them into one part"
        )


def read_rows(path: Path, columns: Sequence[str]) -> "pd.DataFrame":
    """A manifest's rows; DfdmError where it is damaged, lacks a column, or was edited into what no stage writes.

    Also where two of its lines' name and model disagree: the model is the label that a classifier learns.
    """
    import pandas as pd

    with reading(path, "not a readable parquet", "build the manifest"):
        rows = pd.read_parquet(path)
    checked(path)
    if missing := [name for name in columns if name not in rows]:
        raise DfdmError(f"{path} has no column {missing[0]}; build the manifest again")
    for column in columns:
        values, null = rows[column], column not in ("name", "model", "crf", "sha256")
        if column.startswith("split_"):
            right = values.isin(PARTS)
        elif column == "crf":
            right = values.map(lambda value: isinstance(value, int) and value in CRF)
        else:
            right = values.map(lambda value: isinstance(value, str) and value != "")
        right = right.astype(bool) | (values.isna() if null else False)
        if wrong := values[~right].tolist():
            raise DfdmError(f"{path}: {shown(repr(wrong[0]))} is no value of the column {column}; build it again")
    for text, model in zip(rows["name"], rows["model"]) if {"name", "model"} <= set(columns) else ():
        if (name := known_name(text)) and name.model != model:
            raise DfdmError(f"{path} gives {text} the model {model}, which its name does not; build the manifest again")
    return rows


def check_ids(names: Sequence[str]) -> None:
    """Fail where a name has no ids: a split by people cannot be made of it, nor be guessed."""
    if lost := [name for name in names if known_name(name) is None]:
        raise DfdmError(
            f"the identity split needs the ids of the people shown, and {some(lost)} of {len(names)} videos "
            f"{'has' if len(lost) == 1 else 'have'} none; use the scene split"
        )


def check_names(names: Sequence[str], parts: Sequence[str | None], kind: str) -> None:
    """Fail, naming what leaks: a scene in two parts, or (of `identity`) a test person seen elsewhere.

    People in training and validation are no leak into the score. Dropped videos (None) do not count.
    """
    scenes: dict[str, set[str]] = defaultdict(set)
    people: dict[str, set[str]] = defaultdict(set)
    for name, part in zip(names, parts, strict=True):
        if part is not None:
            scenes[scene_of(name)].add(part)
            for person in people_of(name):
                people[person].add(part)
    torn = [key for key, found in scenes.items() if len(found) > 1]
    if torn:
        raise DfdmError(f"the {kind} split leaks: scene {some(torn)} is in two parts; build the manifest again")
    seen = [person for person, found in people.items() if "test" in found and len(found) > 1]
    if kind == "identity" and seen:
        raise DfdmError(
            f"the identity split leaks: {some(seen)} of the test part is seen in another part; build the manifest again"
        )
