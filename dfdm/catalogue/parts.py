"""What a config asks for, checked before anything is made: no part of a split is empty, no frame is in two of them, and
the results folder is of the same people.
"""

from collections import defaultdict
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

from dfdm.base.errors import DfdmError
from dfdm.base.files import at_home, sha256
from dfdm.base.names import VideoName, pair_of
from dfdm.base.records import Source, read, unreadable
from dfdm.base.section import FileRef
from dfdm.catalogue.config import Config
from dfdm.catalogue.forget import check_forgotten
from dfdm.catalogue.keys import reference
from dfdm.catalogue.layout import videos_of
from dfdm.catalogue.sources import place
from dfdm.dataset.splits import PARTS, Part, account, made, split_videos

Content = tuple[object, ...]


def check_splits(cfg: Config) -> None:
    """DfdmError where a part of a split has no swap or one direction of a pair alone, or shares frames with another.

    Frames are known by the content of their file and their number in it, not by the scene's name.
    """
    videos = [video.name for video in videos_of(cfg, f"crf{cfg.qualities[0]}")]
    for kind in made(cfg.splits):
        parts = split_videos(videos, kind, cfg.splits, cfg.seed)
        _check_sides(kind, videos, parts)
        part_of = {video.scene_key: part for video, part in zip(videos, parts) if part is not None}
        for first, second in _sharing(cfg, list(part_of)):
            if part_of[first] != part_of[second]:
                raise DfdmError(
                    f"the {kind} split leaks: scenes {first} ({part_of[first]}) and {second} ({part_of[second]}) show "
                    "the same frames of one file; give them ranges of `frames` that do not overlap, or put both into "
                    "one part"
                )


def told_lists(cfg: Config) -> list[str]:
    """What the lists of the splits and the config's videos do not have in common, as lines."""
    names = [str(video.name) for video in videos_of(cfg, f"crf{cfg.qualities[0]}")]
    return [line for split in (cfg.splits.scene, cfg.splits.identity) if split for line in account(split, names)]


def _check_sides(kind: str, videos: list[VideoName], parts: list[Part | None]) -> None:
    """Refuse a part that has one direction alone of a pair that the config swaps both ways, and nothing else."""
    both = {(video.video_id, video.face_id) for video in videos}
    for part in PARTS:
        ways = {(video.video_id, video.face_id) for video, own in zip(videos, parts) if own == part and video.face_id}
        if len(ways) == 1 and (way := ways.pop())[::-1] in both:
            raise DfdmError(
                f"the {kind} split is one-sided: its {part} part has swaps of {way[1]}'s face onto {way[0]} alone; put "
                "a scene of each person into each part (`frames` cuts one video into several scenes)"
            )


def _sharing(cfg: Config, scenes: list[str]) -> list[tuple[str, str]]:
    """The pairs of scenes that have frames in common."""
    files: dict[Content, list[str]] = defaultdict(list)
    for scene, content in _contents(cfg, scenes).items():
        files[content].append(scene)
    pairs = [pair for held in files.values() for pair in combinations(held, 2)]
    return [(a, b) for a, b in pairs if _overlap(cfg.scene(a).frames, cfg.scene(b).frames)]


def _overlap(a: tuple[int, int] | None, b: tuple[int, int] | None) -> bool:
    return a is None or b is None or (a[0] < b[1] and b[0] < a[1])


def _contents(cfg: Config, scenes: list[str]) -> dict[str, Content]:
    """What tells the content of each scene's file: the package's hash and member, the path of an absent file, or of
    those of one size their hash, which finds copies and links.
    """
    found: dict[str, Content] = {}
    sizes: dict[int, dict[Path, list[str]]] = defaultdict(lambda: defaultdict(list))
    for scene in scenes:
        file = cfg.scene(scene)
        if file.path is None:
            name, member = file.in_package
            found[scene] = (cfg.sources.packages[name].sha256, member)
            continue
        path = place(cfg.sources, file.path).resolve()
        found[scene] = (path,)
        if path.is_file():
            sizes[path.stat().st_size][path].append(scene)
    for size, paths in sizes.items():
        if size and len(paths) > 1:  # files without a byte are placeholders, no copies of each other
            found |= {scene: (sha256(path),) for path, held in paths.items() for scene in held}
    return found


def check_files(cfg: Config, videos: bool = True) -> None:
    """DfdmError where files that the config names are absent: weights and, if `videos`, the scenes' videos."""
    named: list[tuple[str, Path]] = []
    for key in cfg.scene_keys if videos else ():
        if video := cfg.scene(key).path:
            named.append((f"scene {key}", place(cfg.sources, video)))
    if cfg.faces.keep == "person":
        people = cfg.sources.people.items()
        named += [(f"picture of {key}", place(cfg.sources, one.picture)) for key, one in people if one.picture]
    for model in cfg.models:
        starts = [cfg.settings(model).start_file(model, pair_of(*pair.split("_"))) for pair in cfg.pairs]
        named += [("train.start_from", start) for start in starts if start]
    for name in cfg.classifier_names:
        if weights := cfg.classifier(name).weights:
            named.append(("attribution.weights", at_home(weights)))
    absent = [(what, path) for what, path in dict.fromkeys(named) if not path.is_file()]
    if isinstance(cfg.faces.weights, str) and not (folder := at_home(cfg.faces.weights)).is_dir():
        absent.append(("faces.weights", folder))
    if absent:
        (what, path), more = absent[0], len(absent) - 1
        rest = f", like {more} other files that the config names" if more else ""
        raise DfdmError(f"{what}: {path} does not exist{rest}; correct the path or put the file there")


def check_results(cfg: Config) -> None:
    """DfdmError where the results folder cannot be made, since a file is in its place or above it."""
    place = Path(cfg.results).absolute()
    if not next(path for path in (place, *place.parents) if path.exists()).is_dir():
        raise DfdmError(f"results '{cfg.results}': Not a directory; free some space or name another place")


def check_people(cfg: Config) -> None:
    """DfdmError where the results folder was made of other recordings of a person than the config names, of none of
    which it names one: two people of one id would be taken for one.

    A recording is the same where its content is, or its place. Videos that are absent are not compared. DfdmError too
    where the folder has forgotten a person of the config.
    """
    check_forgotten(cfg)
    for person, entry in cfg.sources.people.items():
        found = [_recorded(path) for path in sorted(Path(cfg.results, "sources").glob(f"{person}_*.json"))]
        known = [one for one in found if one is not None]
        scenes = [cfg.scene(f"{person}_{scene}") for scene in entry.scenes]
        now = [file for file in scenes if file.path is None or place(cfg.sources, file.path).is_file()]
        if known and now and not any(_same(cfg, file, *one) for file in now for one in known):
            raise DfdmError(
                f"results '{cfg.results}' are of other recordings of {person}: it stands there for "
                f"{_shown(known[0][0])}, in the config for {_shown(reference(cfg, now[0]))}; give this config "
                "`results` of its own, or the person another id"
            )


def _shown(reference: Mapping[str, str]) -> str:
    return reference.get("path") or f"{reference['member']} of {reference['package']}"


def _recorded(path: Path) -> tuple[dict[str, str], Source | None] | None:
    """What a scene's record was made of: the reference, and the video where it is no package's."""
    made = read(path)
    if made is None or made.job is None:
        return None
    try:
        return dict(made.job.settings["reference"]), made.sources[0] if made.sources else None
    except (TypeError, LookupError, ValueError):
        raise unreadable(path) from None


def _same(cfg: Config, file: FileRef, was: dict[str, str], source: Source | None) -> bool:
    if file.path is None or source is None:
        return reference(cfg, file) == was
    path = place(cfg.sources, file.path)
    return str(path.absolute()) == source.path or Source.of(path, source).sha256 == source.sha256
