"""What a video or picture says of itself, and whether a video is the file that was written."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import av
from PIL import Image
from pydantic import Field, ValidationError

from dfdm.base.errors import DfdmError, reason
from dfdm.base.files import sha256
from dfdm.base.records import read
from dfdm.base.stored import Stored
from dfdm.base.text import listed
from dfdm.dataset.sidecar import Sidecar
from dfdm.media.encoding import count_packets

UNKNOWN = "Without a mark of this project: whether it is synthetic is not known here."


class Mark(Stored):
    """What is looked at in a mark; whoever has the file can write another."""

    synthetic: bool
    statement: str
    name: Annotated[str, Field(pattern=r"^[\w-]+$")]  # a file's name
    model: str
    config_hash: str | None = None
    crf: int | None = None
    video_id: str | None = None
    face_id: str | None = None
    origin: dict[str, str] = Field({})
    inputs: dict[str, str] = Field({})


def read_mark(video: Path) -> dict[str, Any]:
    """The provenance in a video's or picture's own metadata; DfdmError for a file that is neither or has none.

    It is the JSON of the tag `comment`, which mp4, mov, mkv, webm and avi keep when a video is copied or encoded again,
    and of a PNG's or JPEG's comment, which programs that save a picture again may drop.
    """
    for name, text in _tags(video).items():
        if name.lower() == "comment":
            try:
                mark = json.loads(text)
            except ValueError:
                continue
            with suppress(ValidationError):
                Mark.model_validate(mark)
                return mark
    raise DfdmError(f"{video} has no mark of this project: another program made it, or it was removed")


def mark_or_unknown(path: Path) -> dict[str, Any]:
    """The mark of a video or picture, for pictures that are made of it; where it has none, one that says so."""
    try:
        return read_mark(path)
    except DfdmError:
        return {"synthetic": None, "statement": UNKNOWN}


def _tags(path: Path) -> dict[str, str]:
    if is_picture(path):
        try:
            with Image.open(path) as picture:
                tags = {str(name): text for name, text in picture.info.items() if isinstance(text, str | bytes)}
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise DfdmError(f"{path} is not a readable picture ({reason(error)})") from None
        return {name: text.decode(errors="replace") if isinstance(text, bytes) else text for name, text in tags.items()}
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            return {**container.metadata, **container.streams.video[0].metadata}
    except (av.FFmpegError, OSError, IndexError) as error:
        raise DfdmError(f"{path} is not a readable video ({reason(error)})") from None


def is_picture(path: Path) -> bool:
    """Whether a file's name is one of a picture that has a comment."""
    return path.suffix.lower() in (".png", ".jpg", ".jpeg")


def beside(video: Path, results: Path, mark: dict[str, Any]) -> Path | None:
    """The sidecar of the video that the mark names: next to the file, else in a results folder."""
    name = f"{mark['name']}.json"
    places = [video.with_suffix(".json"), *sorted(results.glob(f"dataset/DFDM_crf{mark.get('crf')}/*/{name}"))]
    return next((path for path in places if path.is_file()), None)


def trace(video: Path, results: Path) -> tuple[list[str], bool]:
    """What made a video, in lines, and whether the file is the one that was written."""
    mark = read_mark(video)
    origin = mark.get("origin", {})
    source = origin.get("path") or f"{origin.get('member')} of {origin.get('package')}"
    people = listed([one for one in (mark.get("video_id"), mark.get("face_id")) if one])
    lines = [
        f"{video}: {mark['statement']}",
        f"name: {mark['name']} at crf {mark.get('crf')}, version {mark.get('version')}",
        f"model: {mark['model']}; people: {people}; source: {source}",
        *(f"made of: {name} {digest}" for name, digest in mark.get("inputs", {}).items()),
    ]
    if is_picture(video):
        return [*lines, "a picture made of it; nothing says whether its pixels are as they were written"], False
    if "mask" in mark:
        return _of_mask(lines, video, results, mark)
    place = beside(video, results, mark)
    if place is None:
        return [*lines, f"no record next to it or in {results}: whether the file is as written is not known"], False
    sidecar, made = Sidecar.read(place), read(place.with_suffix(".mp4"))
    programs = [f"{name} {one}" for name, one in (made.job.versions if made and made.job else {}).items()]
    if programs or sidecar.ffmpeg:
        lines.append(f"made with: {', '.join([*programs, *[sidecar.ffmpeg][: bool(sidecar.ffmpeg)]])}")
    differing = [key for key, value in mark.items() if getattr(sidecar, key, None) != value]
    if differing:
        return [*lines, f"the file and its record disagree on {listed(differing)}"], False
    if sha256(video) == sidecar.sha256:
        return [*lines, "the file is byte for byte the one that was written"], True
    return [*lines, _copy(video, sidecar)], False


def _of_mask(lines: list[str], video: Path, results: Path, mark: dict[str, Any]) -> tuple[list[str], bool]:
    """A mask has no sidecar: the record of the stage says what was written."""
    places = [video, results / "masks" / mark["model"] / f"{mark['name']}.mp4"]
    made = next((found for found in map(read, places) if found), None)
    if made is None:
        return [*lines, f"no record beside it or in {results}: whether the file is as written is not known"], False
    whole = made.describes(video)
    said = "the file is byte for byte the one that was written" if whole else "the file is not the one that was written"
    return [*lines, said], whole


def _copy(video: Path, sidecar: Sidecar) -> str:
    """How a file of other bytes compares with the one that was written."""
    with av.open(str(video), metadata_errors="replace") as container:
        size = container.streams.video[0].width, container.streams.video[0].height
    written, frames = (sidecar.width, sidecar.height), count_packets(video)
    many = f"its {frames} frames are as many" if frames == sidecar.frames else f"{frames} frames, not {sidecar.frames}"
    large = "as large" if size == written else f"{size[0]}x{size[1]}, not {written[0]}x{written[1]}"
    return f"a copy, not the bytes that were written: {many} and {large}"
