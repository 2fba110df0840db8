"""Probing and decoding: the one decoder of every stage, each frame of a scene exactly once.

A frame is an I420 array, uint8 [height * 3 / 2, width]: the Y plane's rows, then U's and V's. Any other pixel
format becomes 8-bit yuv420p here, odd sizes are padded by repeating the edge, rotation is applied; the record
says so. Timestamps: a frame keeps its own. A video whose timestamps all lie within half a tick of a constant rate
is constant and its frame i is shown at i / rate; otherwise the scene's timestamps are in the record and every
video made from the scene carries them unchanged.
"""

import json
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from pydantic import model_validator

from dfdm.base.errors import DfdmError
from dfdm.base.files import sha256
from dfdm.base.stored import OPEN, Stored
from dfdm.media.planes import UNSPECIFIED, Upright, full_range, orientation
from dfdm.media.streams import opened, picture, sound

_NEAR = 50  # frames between two wanted ones that are rather decoded than jumped over
HDR = {16: "PQ", 18: "HLG"}  # H.273's numbers of transfers that 8 bits do not hold
TONE_MAP = (
    "ffmpeg -i '{}' -vf zscale=t=linear:npl=100,tonemap=hable,zscale=p=bt709:t=bt709:m=bt709:r=tv,format=yuv420p "
    "-crf 0 sdr.mp4"
)


class VideoRecord(Stored):
    """What is known of one scene's video after decoding it once.

    Sizes are those of the decoded frames (after rotation and padding, so even); `stored_*` those in the file.
    `matrix`, `primaries`, `transfer` are H.273 numbers, None where the file does not say (BT.601 is then used);
    `full_range` is None where it does not say (limited is then used); of RGB and grey they are what the conversion
    gives. `pixel_aspect` is width to height of an upright pixel. `pts` counts `time_base` units from the
    scene's first frame, None at a constant rate. `start` and `stop` are the scene's frames in the file.
    """

    stage = "sources_probe"

    scene_key: str
    reference: Annotated[dict[str, str], OPEN]  # dfdm.catalogue.keys.reference
    sha256: str
    start: int
    stop: int
    width: int
    height: int
    stored_width: int
    stored_height: int
    pixel_format: str
    rotation: int
    rate: tuple[int, int]
    time_base: tuple[int, int]
    start_seconds: float
    duration_seconds: float
    pts: tuple[int, ...] | None
    matrix: int | None
    full_range: bool | None
    primaries: int | None
    transfer: int | None
    audio: str | None
    # Given only where they are so, which leaves the records of other videos, and what is hashed of them, as they were.
    mirrored: bool = False
    interlaced: bool = False
    pixel_aspect: tuple[int, int] = (1, 1)
    sound_lost: bool = False

    @model_validator(mode="after")
    def _possible(self) -> "VideoRecord":
        sizes = (self.width, self.height, *self.rate, *self.time_base, *self.pixel_aspect)
        if not 0 <= self.start <= self.stop or min(sizes) < 1:
            raise ValueError("its frames, size, rate or time base are no video's")
        return self

    @property
    def frames(self) -> int:
        """Frames in the scene."""
        return self.stop - self.start

    @property
    def fps(self) -> float:
        """Frames a second, the average where the rate varies."""
        return self.rate[0] / self.rate[1]

    @property
    def notes(self) -> list[str]:
        """What decoding changes, in words: conversion, padding, rotation, variable rate, missing tags."""
        stored, size = f"{self.stored_width}x{self.stored_height}", f"{self.width}x{self.height}"
        if self.rotation % 180:
            stored = f"{self.stored_height}x{self.stored_width}"
        across, down = self.pixel_aspect
        notes = {
            f"{self.pixel_format} converted to yuv420p": self.pixel_format != "yuv420p",
            f"padded from {stored} to {size}": stored != size,
            f"rotated by {self.rotation} degrees": self.rotation != 0,
            "mirrored": self.mirrored,
            "interlaced, both fields kept in a frame": self.interlaced,
            f"pixels of {across}:{down} kept, faces swapped as stored": across != down,
            "variable frame rate, timestamps kept": self.pts is not None,
            "its sound does not decode, left out": self.sound_lost,
            "no colour matrix tag, BT.601 assumed": self.matrix is None,
        }
        return [note for note, holds in notes.items() if holds]

    def to_json(self) -> str:
        """The record as JSON, for a face track."""
        return json.dumps(super().plain(), sort_keys=True)

    def plain(self) -> dict[str, Any]:
        """The content of the scene's file: the notes too, for people."""
        return {**super().plain(), "notes": self.notes}


def _decode(path: Path) -> Iterator[VideoFrame]:
    """The frames in order of presentation; DfdmError for a damaged file, and for a frame unlike the first.

    Threads share a frame: with a frame each, what a decoder conceals depends on how they meet, and two decodings of
    a damaged file would differ.
    """
    with opened(path) as container:
        stream, count, first = picture(container, path), 0, None
        stream.thread_type = "SLICE"
        if stream.codec_context.name == "hevc":  # its decoder marks no frame, it fails or conceals
            stream.codec_context.options = {"err_detect": "explode"}
        try:
            for frame in _frames(container, stream):
                if frame.is_corrupt:
                    raise DfdmError(f"{path} is damaged at frame {count}; replace the file")
                kind = _kind(frame) | {"pixel aspect": stream.codec_context.sample_aspect_ratio}
                first = first or kind
                if differing := [name for name, value in kind.items() if value != first[name]]:
                    raise DfdmError(f"{path} changes its {differing[0]} at frame {count}; cut it there into two files")
                count += 1
                yield frame
        except av.error.FFmpegError as error:
            raise DfdmError(f"{path} is damaged after frame {count} ({error}); replace the file") from None


def _frames(container: Any, stream: Any) -> Iterator[VideoFrame]:
    """What decodes. A recording may begin between two keyframes: what is shown before its first one is passed over."""
    first: Any = None
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            if packet.is_keyframe or (first is not None and (packet.pts or 0) >= (first.pts or 0)):
                raise
            continue
        first = packet if first is None and packet.is_keyframe else first
        yield from frames


def _kind(frame: VideoFrame) -> dict[str, Any]:
    """What all frames of a scene must have in common."""
    beside: Any = frame.side_data
    turned = beside.get(Type.DISPLAYMATRIX)
    return {
        "size": (frame.width, frame.height),
        "range": full_range(frame),
        "colour matrix": int(frame.colorspace),
        "primaries": int(frame.color_primaries),
        "transfer": int(frame.color_trc),
        "pixel format": frame.format.name.replace("yuvj", "yuv"),
        "orientation": None if turned is None else bytes(turned),
    }


def read_planes(
    path: Path, record: VideoRecord, whole: bool = False, only: Sequence[int] | None = None
) -> Iterator[np.ndarray]:
    """Decode a scene: I420 uint8 [height * 3 / 2, width], each of its frames once, in order of presentation.

    `whole`: the scene is all of the file, so a frame after it is an error too. `only`: the numbers of the frames to
    give, rising, counted from the scene's first; what is far from them is not decoded. Raises DfdmError when the
    file ends before the scene (or what is wanted of it) does, or has another size than the record's.
    """
    given, upright = 0, Upright()
    wanted = range(record.frames) if only is None else only
    numbers = wanted if only is None else set(only)
    for index, frame in enumerate(_decode(path)) if only is None else _decode_some(path, record, only):
        if index >= record.stop:
            if whole:
                raise DfdmError(f"{path} has more than the {record.frames} frames of {record.scene_key}; make it again")
            break
        if index - record.start not in numbers:
            continue
        planes = upright.planes(frame)
        if planes.shape != (record.height * 3 // 2, record.width):
            raise DfdmError(f"{path} changes its size at frame {index}; cut it there and list the parts as scenes")
        given += 1
        yield planes
        if only is not None and given == len(only):
            break
    if given != len(wanted):
        raise DfdmError(
            f"{path} gave {given} of the {len(wanted)} frames of {record.scene_key}; "
            "the file was changed or damaged: run the sources stage again"
        )


def _decode_some(path: Path, record: VideoRecord, only: Sequence[int]) -> Iterator[tuple[int, VideoFrame]]:
    """Frames of a file, each with its number in it: those wanted of the scene, and some between them.

    From the keyframe before each group of neighbours on, by their timestamps; where these do not agree with the
    record's, from the file's start.
    """
    given = -1
    try:
        for index, frame in _sought(path, record, only) if record.start == 0 else ():
            yield index, frame
            given = index
    except (_Astray, av.error.FFmpegError):
        pass  # what is wrong with the file, if anything, decoding it says
    if only and given < record.start + only[-1]:
        yield from ((index, frame) for index, frame in enumerate(_decode(path)) if index > given)


class _Astray(Exception):
    """A seek did not lead to where the timestamps say."""


def _sought(path: Path, record: VideoRecord, only: Sequence[int]) -> Iterator[tuple[int, VideoFrame]]:
    groups = np.split(np.array(only), np.flatnonzero(np.diff(only) > _NEAR) + 1)
    with opened(path) as container:
        stream = picture(container, path)
        stream.thread_type = "SLICE"
        beginning = next(container.decode(stream), None)
        if beginning is None or (first := beginning.pts) is None:
            raise _Astray
        step = Fraction(*record.time_base) / stream.time_base
        times = [round(step * (record.pts[index] if record.pts else index)) for index in range(record.stop)]
        for group in groups:
            container.seek(first + times[group[0]], stream=stream)
            index = -1
            for frame in container.decode(stream):
                if frame.pts is None or frame.is_corrupt:
                    raise _Astray
                at = frame.pts - first
                begun, index = index >= 0, index + 1 if index >= 0 else bisect_left(times, at - 1)
                if index >= len(times) or abs(times[index] - at) > 1 or (not begun and index > group[0]):
                    raise _Astray
                yield index, frame
                if index >= group[-1]:
                    break


def read_one(path: Path, record: VideoRecord, index: int) -> np.ndarray:
    """One frame of an encoded video (a record of `of_encoded`), I420 uint8 [height * 3 / 2, width].

    Decodes from the keyframe before it on, not from the file's start, and knows the frame by its timestamp. Raises
    DfdmError where the file has no frame at that time or another size than the record's.
    """
    seconds = Fraction(*record.time_base) * (record.pts[index] if record.pts else index)
    with opened(path) as container:
        try:
            frame = _frame_at(container, picture(container, path), seconds)
        except (av.error.FFmpegError, StopIteration) as error:
            raise DfdmError(f"{path} is damaged ({error}); make it again") from None
        if frame is None:
            raise DfdmError(f"{path} has no frame {index} of {record.scene_key}; run the encode stage again")
        planes = Upright().planes(frame)
    if planes.shape != (record.height * 3 // 2, record.width):
        raise DfdmError(f"{path} has frames of another size than {record.scene_key}; make it again")
    return planes


def _frame_at(container: Any, stream: Any, seconds: Fraction) -> VideoFrame | None:
    """The frame shown at a time after the first frame's, to a tick of the file's clock."""
    first = next(container.decode(stream)).pts
    wanted = first + seconds / stream.time_base
    for start in (int(wanted), first):  # a keyframe may be stored before frames that are shown before it
        container.seek(start, stream=stream)
        frame = next((frame for frame in container.decode(stream) if frame.pts >= wanted - 1), None)
        if frame is not None and frame.pts <= wanted + 1:
            return frame
    return None


def probe(path: Path, scene_key: str, reference: dict[str, str], frames: tuple[int, int] | None = None) -> VideoRecord:
    """Decode a video once and describe its scene, the frames [start, stop) or all.

    Raises DfdmError when the file is not a video, is damaged or truncated, has fewer frames than the scene, changes
    its size, or its timestamps do not increase.
    """
    stamps: list[tuple[int | None, int | None]] = []
    first: VideoFrame | None = None
    interlaced = False
    for frame in _decode(path):
        first = first or frame
        interlaced |= frame.interlaced_frame
        stamps.append((frame.pts, frame.dts))
    if first is None:
        raise DfdmError(f"{path} contains no frame; replace the file")
    if int(first.color_trc) in HDR:
        raise DfdmError(
            f"{path} is HDR ({HDR[int(first.color_trc)]}), which 8 bits do not hold; convert it first: "
            f"{TONE_MAP.format(path)}"
        )
    with opened(path) as container:
        stream = picture(container, path)
        if (missing := _missing(path, stream)) is not None:
            raise DfdmError(f"{path} is truncated: it has {missing} of {stream.frames} frames; replace the file")
        aspect = stream.sample_aspect_ratio or Fraction(1)
        sounds = len(container.streams.audio)
        time_base, guessed = stream.time_base, stream.guessed_rate or stream.average_rate
        origin = Fraction(container.start_time or 0, av.time_base)  # what ffmpeg's -ss counts from
    heard = sound(path)
    if all(pts is None for pts, _ in stamps):  # a raw stream: the rate is all there is
        stamps, time_base, origin = [(index, None) for index in range(len(stamps))], 1 / guessed, Fraction(0)
    pts = _times(stamps, max(1, round(1 / guessed / time_base)) if guessed else 1)
    if pts is None:
        raise DfdmError(f"{path} has timestamps that do not increase; encode it again with ffmpeg")
    start, stop = frames or (0, len(pts))
    if stop > len(pts):
        raise DfdmError(f"scene {scene_key}: frames [{start}, {stop}) go beyond the {len(pts)} frames of {path}")
    rate, constant = _rate(pts, time_base, guessed)
    end = pts[stop] if stop < len(pts) else pts[-1] + round(1 / rate / time_base)
    upright, (turns, mirrored) = Upright(), orientation(first)
    planes, shown = upright.planes(first), upright.converted(first)
    aspect = 1 / aspect if turns % 2 else aspect
    special: dict[str, Any] = {
        "mirrored": mirrored,
        "interlaced": interlaced,
        "pixel_aspect": (aspect.numerator, aspect.denominator),
        "sound_lost": heard is None and sounds > 0,
    }
    frame_base = 1 / rate if constant else time_base
    return VideoRecord(
        scene_key=scene_key,
        reference=reference,
        sha256=sha256(path),
        start=start,
        stop=stop,
        width=planes.shape[1],
        height=planes.shape[0] * 2 // 3,
        stored_width=first.width,
        stored_height=first.height,
        pixel_format=first.format.name.replace("yuvj420p", "yuv420p"),
        rotation=90 * turns,
        rate=(rate.numerator, rate.denominator),
        time_base=(frame_base.numerator, frame_base.denominator),
        start_seconds=float(pts[start] * time_base - origin),
        duration_seconds=float((end - pts[start]) * time_base),
        pts=None if constant else tuple(value - pts[start] for value in pts[start:stop]),
        matrix=_tag(int(shown.colorspace)),
        full_range=full_range(shown),
        primaries=_tag(int(first.color_primaries)),
        transfer=_tag(int(first.color_trc)),
        audio=heard.codec if heard else None,
        **{name: value for name, value in special.items() if value not in (False, (1, 1))},
    )


def _missing(path: Path, stream: Any) -> int | None:
    """How many of the frames that a container lists are within the file; None where all are.

    What an edit list hides is listed and within it. Containers without a list of places are not judged.
    """
    size, entries = path.stat().st_size, stream.index_entries
    within = sum(entry.pos + entry.size <= size for entry in entries)
    return within if within < len(entries) else None


def _tag(number: int) -> int | None:
    return None if number in (UNSPECIFIED, 0) else number


def _times(stamps: list[tuple[int | None, int | None]], step: int) -> list[int] | None:
    """When frames are shown: by their own timestamps, else by those of decoding, as ffmpeg; None where neither rises.

    AVI stores no other than those of decoding. A frame without one is shown `step` after the one before it.
    """
    for column in zip(*stamps):
        times: list[int] = []
        for value in column:
            if value is None and not times:
                break
            times.append(times[-1] + step if value is None else value)
        if len(times) == len(stamps) and all(earlier < later for earlier, later in pairwise(times)):
            return times
    return None


def _rate(pts: list[int], time_base: Fraction, guessed: Fraction | None) -> tuple[Fraction, bool]:
    """The frame rate, and whether every timestamp is within half a tick of it; else the average rate."""
    if len(pts) < 2:
        return (guessed or Fraction(25)), True
    average = Fraction(len(pts) - 1) / ((pts[-1] - pts[0]) * time_base)
    for candidate in (guessed, average.limit_denominator(1001)):
        if candidate:
            step = 1 / candidate / time_base
            if all(2 * abs(value - pts[0] - index * step) <= 1 for index, value in enumerate(pts)):
                return candidate, True
    return average.limit_denominator(1_000_000), False


def of_encoded(record: VideoRecord) -> VideoRecord:
    """The record of a video made from a whole scene: same frames, counted from 0, upright yuv420p."""
    whole = {"start": 0, "stop": record.frames, "stored_width": record.width, "stored_height": record.height}
    plain = {"mirrored": False} if record.mirrored else {}
    return record.model_copy(update={**whole, **plain, "pixel_format": "yuv420p", "rotation": 0})
