"""Names of people, scenes and videos: `id0_id1_0003_iae` shows id0's video 0003 with the face of id1.

The order (video_id, then face_id) is Celeb-DF's by its author; DFDM is assumed to follow it (unverified).
"""

import re
from dataclasses import dataclass
from pathlib import Path

from dfdm.base.errors import DfdmError

ID = "id[0-9]{1,9}"
SCENE = "[0-9]{4}"
SPLIT = "[a-z][a-z0-9]*(?:_[a-z0-9]+)*"  # scene, identity, or a fold's name
CRF = range(52)  # of H.264
MODEL = r"[a-z][a-z0-9]*(?:_[a-z][a-z0-9]*)*"
REAL = "real"
VIDEO_SUFFIXES = {".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mpeg", ".mts", ".m2ts", ".ts", ".3gp"}
_CLIP = re.compile(rf"(?P<video>{ID})(?:_(?P<face>{ID}))?_(?P<scene>{SCENE})")
_NAME = re.compile(rf"{_CLIP.pattern}_(?P<model>{MODEL})")
_LENIENT = re.compile(r"id(\d+)(?:_id(\d+))?_(\d{1,4})(?:_(.+))?", re.IGNORECASE)


@dataclass(frozen=True, order=True)
class VideoName:
    """One video: whose frames (video_id), whose face (face_id; None where nothing was swapped), scene and model."""

    video_id: str
    face_id: str | None
    scene: str
    model: str

    def __str__(self) -> str:
        return f"{self.clip}_{self.model}"

    @property
    def clip(self) -> str:
        """The name without the model: `id0_id1_0003`, or `id0_0003` of an original."""
        return "_".join(part for part in (self.video_id, self.face_id, self.scene) if part)

    @property
    def scene_key(self) -> str:
        """The scene whose frames are shown: `id0_0003`."""
        return f"{self.video_id}_{self.scene}"

    @property
    def pair(self) -> tuple[str, str] | None:
        """The two people, unordered (sorted by number); None for an original."""
        return pair_of(self.video_id, self.face_id) if self.face_id else None


def number(person: str) -> int:
    """The number in a person's id, for sorting: id2 comes before id10."""
    return int(person.removeprefix("id"))


def pair_of(first: str, second: str) -> tuple[str, str]:
    """Two people as an unordered pair, sorted by number; DfdmError where they are not two people's ids."""
    for person in (first, second):
        if not re.fullmatch(ID, person):
            raise DfdmError(f"'{person}' is not a person; people are called id0, id1 ...")
    if number(first) == number(second):
        raise DfdmError(f"a pair is two people, and both sides are {first}")
    return (first, second) if number(first) <= number(second) else (second, first)


def people_of(pair: str) -> tuple[str, str]:
    """The two people of a pair's name, `id0_id1`."""
    first, second = pair.split("_")
    return pair_of(first, second)


def parse_clip(text: str) -> VideoName:
    """Parse a clip or a scene's key, `id0_id1_0003` or `id0_0003`; the model is ''."""
    match = _CLIP.fullmatch(text)
    if not match:
        raise DfdmError(f"'{text}' is not a clip; it should look like id0_id1_0003 or id0_0003")
    return _checked(VideoName(match["video"], match["face"], match["scene"], ""))


def person_of(scene_key: str) -> str:
    """The person whom a scene shows: id0 of `id0_0003`."""
    return parse_clip(scene_key).video_id


def parse_name(text: str) -> VideoName:
    """Parse `id0_id1_0003_iae` or `id0_0003_real`; anything else is an error that shows the form."""
    match = _NAME.fullmatch(text)
    if not match or (match["face"] is None) != (match["model"] == REAL):
        raise DfdmError(f"'{text}' is not a video name; it should look like id0_id1_0003_iae or id0_0003_real")
    return _checked(VideoName(match["video"], match["face"], match["scene"], match["model"]))


def _checked(name: VideoName) -> VideoName:
    if name.face_id is not None and number(name.video_id) == number(name.face_id):
        raise DfdmError(f"'{name.clip}' shows the face of {name.face_id} on itself; name two people")
    return name


def lenient_name(text: str) -> VideoName | None:
    """A name made elsewhere, with one id or two (`ID1_id2_3_DFL-H128`); the model as it is spelled there, or ''."""
    match = _LENIENT.fullmatch(text)
    if not match:
        return None
    face = f"id{int(match[2])}" if match[2] else None
    return VideoName(f"id{int(match[1])}", face, f"{int(match[3]):04d}", match[4] or "")


def known_name(text: str) -> VideoName | None:
    """The parsed name; None of a video made elsewhere whose name has no ids (`DF_class1/Video12`)."""
    try:
        return parse_name(text)
    except DfdmError:
        return None


def scene_of(text: str) -> str:
    """What must not be in two parts of a split: the scene's key, or the last part of a name without ids.

    `Video12` of every class stays in one part: nothing says whether they show the same frames.
    """
    name = known_name(text)
    return name.scene_key if name else text.rpartition("/")[2]


def cluster_of(text: str) -> str:
    """The group whose videos tend to be right or wrong together: the pair, in either order, and scene; else the video
    itself.
    """
    name = known_name(text)
    return "_".join((*(name.pair or (name.video_id,)), name.scene_key)) if name else text


@dataclass(frozen=True)
class Encoded:
    """One encoded video: its name and quality."""

    name: VideoName
    crf: int


def encoded_of(path: str | Path) -> Encoded:
    """The name and quality that a path of the dataset stands for."""
    path = Path(path)
    quality = path.parent.parent.name.removeprefix("DFDM_crf")
    if quality not in map(str, CRF):
        raise DfdmError(f"{path} is not in DFDM_crf<number>/<model>/, of 0 to 51; see docs/data.md")
    if path.suffix != ".mp4":
        raise DfdmError(f"{path} is no video of the dataset, whose names end in .mp4; correct the path")
    name = parse_name(path.stem)
    if path.parent.name != name.model:
        raise DfdmError(f"{path}: a video of {name.model} is in a folder called {path.parent.name}; correct the path")
    return Encoded(name, int(quality))
