"""Which streams of a file are its picture and its sound: the one place that chooses them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.stream import Disposition

from dfdm.base.errors import DfdmError

_LISTS = {"hls", "dash", "concat", "concatf", "imf", "sdp", "rtsp", "rtp"}  # formats that only name other files
_STILL = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image


@dataclass(frozen=True)
class Sound:
    """A file's sound: its place among the sound streams, codec, channels, and how long a packet of it is."""

    place: int
    codec: str
    channels: int
    packet_seconds: float


def as_file(path: Path) -> str:
    """A path as ffmpeg takes it: a colon in its name is no protocol."""
    return f"file:{path}" if ":" in str(path) else str(path)


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A file opened as a video; DfdmError where it is absent, no video, or a list of other files."""
    try:
        container = av.open(as_file(path), metadata_errors="replace")  # titles need not be UTF-8
    except FileNotFoundError:
        raise DfdmError(f"{path} does not exist; correct its path in the config or sources.root") from None
    except (av.error.FFmpegError, OSError) as error:
        raise DfdmError(f"{path} cannot be opened as a video ({error}); replace the file") from None
    with container:
        if set(container.format.name.split(",")) & _LISTS:
            raise DfdmError(f"{path} is a {container.format.name} list that names other files; give the video itself")
        yield container


def seconds(path: Path) -> float | None:
    """How long a video is by its container, without decoding it; None where that does not say, or is no video."""
    try:
        with opened(path) as container:
            return container.duration / av.time_base if container.duration else None
    except DfdmError:  # what is wrong with it `dfdm sources probe` says
        return None


def frames_by_header(path: Path) -> int:
    """How many frames a video surely has, by its container and without decoding it; 0 where that does not say."""
    try:
        with opened(path) as container:
            stream = picture(container, path)
            within = float(container.duration / av.time_base * (stream.average_rate or 0)) if container.duration else 0
            return min(stream.frames, int(within))
    except DfdmError:  # what is wrong with it `dfdm sources probe` says
        return 0


def picture(container: Any, path: Path) -> Any:
    """The video stream: no cover and no preview; the default one, else the largest. DfdmError where there is none."""
    decoded = [stream for stream in container.streams.video if stream.codec_context is not None]
    videos = [stream for stream in decoded if not stream.disposition & _STILL]
    if not videos:
        only = "only a still picture, such as a cover" if decoded else "no video stream that decodes"
        raise DfdmError(f"{path} contains {only}; name another file in the config")
    return max(
        videos, key=lambda stream: (bool(stream.disposition & Disposition.default), stream.width * stream.height)
    )


def sound(path: Path) -> Sound | None:
    """The first sound stream that decodes; None where none does."""
    with opened(path) as container:
        count = len(container.streams.audio)
    for place in range(count):
        with opened(path) as container:
            stream = container.streams.audio[place]
            try:
                if stream.codec_context is not None and (heard := next(container.decode(stream), None)) is not None:
                    codec = stream.codec_context
                    return Sound(place, codec.name, codec.channels, heard.samples / heard.sample_rate)
            except (av.error.FFmpegError, ValueError):  # ValueError: no decoder of this kind
                continue
    return None
