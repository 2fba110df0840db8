"""What a video file says of itself, and whether it is the file that was written."""

import json
from pathlib import Path
from typing import Any

import av

from dfdm.base.errors import DfdmError, reason
from dfdm.base.files import sha256
from dfdm.base.text import listed
from dfdm.dataset.sidecar import Sidecar
from dfdm.media.encoding import count_packets


def read_mark(video: Path) -> dict[str, Any]:
    """The provenance in a video's own metadata; DfdmError for a file that is no video or has none.

    It is the JSON of the tag `comment`, which mp4, mov, mkv, webm and avi keep when a video is copied or encoded again.
    """
    try:
        with av.open(str(video)) as container:
            tags = {**container.metadata, **container.streams.video[0].metadata}
    except (av.FFmpegError, OSError, IndexError) as error:
        raise DfdmError(f"{video} is not a readable video ({reason(error)})") from None
    for name, text in tags.items():
        if name.lower() == "comment":
            try:
                mark = json.loads(text)
            except ValueError:
                continue
            if isinstance(mark, dict) and {"synthetic", "statement", "name", "model", "config_hash"} <= mark.keys():
                return mark
    raise DfdmError(f"{video} has no mark of this project: another program made it, or it was removed")


def beside(video: Path, results: Path, mark: dict[str, Any]) -> Sidecar | None:
    """The sidecar of the video that the mark names: next to the file, else in a results folder."""
    name = f"{mark['name']}.json"
    places = [video.with_suffix(".json"), *sorted(results.glob(f"dataset/DFDM_crf{mark.get('crf')}/*/{name}"))]
    found = next((path for path in places if path.is_file()), None)
    return Sidecar.read(found) if found else None


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
    sidecar = beside(video, results, mark)
    if sidecar is None:
        return [*lines, f"no record next to it or in {results}: whether the file is as written is not known"], False
    differing = [key for key, value in mark.items() if getattr(sidecar, key, None) != value]
    if differing:
        return [*lines, f"the file and its record disagree on {listed(differing)}"], False
    if sha256(video) == sidecar.sha256:
        return [*lines, "the file is byte for byte the one that was written"], True
    return [*lines, _copy(video, sidecar)], False


def _copy(video: Path, sidecar: Sidecar) -> str:
    """How a file of other bytes compares with the one that was written."""
    with av.open(str(video)) as container:
        size = container.streams.video[0].width, container.streams.video[0].height
    written, frames = (sidecar.width, sidecar.height), count_packets(video)
    many = f"its {frames} frames are as many" if frames == sidecar.frames else f"{frames} frames, not {sidecar.frames}"
    large = "as large" if size == written else f"{size[0]}x{size[1]}, not {written[0]}x{written[1]}"
    return f"a copy, not the bytes that were written: {many} and {large}"
