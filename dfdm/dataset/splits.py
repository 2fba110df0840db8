"""Which videos train, validate and test: by scene, or by the people shown; by list or by hash.

The scene split keeps everything made of one scene (all models, qualities, swapped-in faces, the original) on
one side. The identity split divides the people: nobody of a test video is seen in training or validation.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from dfdm.base.errors import DfdmError
from dfdm.base.names import VideoName, known_name, parse_name, scene_of
from dfdm.dataset.settings import DataSplits, IdentitySplit, KeySplit, SceneSplit, SplitsConfig

if TYPE_CHECKING:
    import pandas as pd

Part = Literal["train", "validation", "test"]
Kind = Literal["scene", "identity"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")
SHARES = {"train": 0.70, "validation": 0.15, "test": 0.15}  # of the hash; an expectation, not a quota


def hash_part(key: str, seed: int) -> Part:
    """The part that sha256 of seed and key falls into, 70 / 15 / 15 %; the same on every machine."""
    point = int.from_bytes(hashlib.sha256(f"{seed}:{key}".encode()).digest()[:6]) / 2**48
    if point < SHARES["train"]:
        return "train"
    return "validation" if point < SHARES["train"] + SHARES["validation"] else "test"


def _listed(key: str, split: SceneSplit | KeySplit | IdentitySplit) -> Part | None:
    """The part whose list holds the key, or None."""
    return next((part for part in PARTS if key in (getattr(split, part) or [])), None)


def _by_hash(split: SceneSplit | KeySplit | IdentitySplit) -> bool:
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


def split_videos(videos: Sequence[VideoName], kind: Kind, splits: SplitsConfig, seed: int) -> list[Part | None]:
    """`split_names` of this project's own videos."""
    swapped = [video.face_id is not None for video in videos]
    return split_names([str(video) for video in videos], swapped, kind, splits, seed)


def split_names(
    names: Sequence[str], swapped: Sequence[bool], kind: Kind, splits: SplitsConfig | DataSplits, seed: int
) -> list[Part | None]:
    """Part of every video, in their order; checked: no leak, and no part without a swapped video.

    None: dropped; count and report them (`describe`). A video without ids goes by its own name; `identity` without ids
    is an error. Originals (not `swapped`) fill no part.
    """
    if kind == "identity":
        check_ids(names)
        parts = [split_identity(parse_name(name), splits, seed) for name in names]
    else:
        parts = [split_key(scene_of(name), splits.scene or SceneSplit(), seed) for name in names]
    check_names(names, parts, kind)
    swaps = [name for name, one in zip(names, swapped, strict=True) if one]
    filled = {part for part, one in zip(parts, swapped) if one}
    if empty := [part for part in PARTS if part not in filled]:
        what = "scenes" if kind == "scene" else "people"
        keys = {key for name in swaps for key in ([scene_of(name)] if kind == "scene" else people_of(name))}
        raise DfdmError(
            f"the {kind} split leaves {' and '.join(empty)} without a swapped video; list {what} under "
            f"{'data.' if isinstance(splits, DataSplits) else ''}splits.{kind}.train, validation and test "
            f"(there are: {_some(list(keys), 20) or 'none'})"
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


def check_manifest(rows: "pd.DataFrame", kind: Kind) -> None:
    """The whole leak check before a training: DfdmError with the names that leak.

    Needs the columns name, crf, part (train, validation, test, or null) and sha256 (of what is shown), of one quality
    or of several. Fails for a video listed twice; a scene, at whatever model and quality, in two parts; the same
    content in two parts; and, of `identity`, names without ids and a test person seen in another part.
    """
    twice = rows[rows.duplicated(["name", "crf"])]["name"].tolist()
    if twice:
        raise DfdmError(f"the manifest lists {_some(twice)} more than once; build it again")
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
            f"the {kind} split leaks: {_some(copies)} have the same content and are in different parts; "
            "remove the copies or put them into one part"
        )


def check_ids(names: Sequence[str]) -> None:
    """Fail where a name has no ids: a split by people cannot be made of it, nor be guessed."""
    if lost := [name for name in names if known_name(name) is None]:
        raise DfdmError(
            f"the identity split needs the ids of the people shown, and {_some(lost)} of {len(names)} videos "
            f"{'has' if len(lost) == 1 else 'have'} none; use the scene split"
        )


def check_names(names: Sequence[str], parts: Sequence[str | None], kind: Kind) -> None:
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
        raise DfdmError(f"the {kind} split leaks: scene {_some(torn)} is in two parts; build the manifest again")
    seen = [person for person, found in people.items() if "test" in found and len(found) > 1]
    if kind == "identity" and seen:
        raise DfdmError(
            f"the identity split leaks: {_some(seen)} of the test part is seen in another part; "
            "build the manifest again"
        )


def _some(items: Sequence[str], most: int = 3) -> str:
    """Up to `most` of the items, and how many more there are."""
    rest = len(items) - most
    return ", ".join(sorted(items)[:most]) + (f" and {rest} more" if rest > 0 else "")
