"""Probing and decoding: the one decoder of every stage, each frame of a scene exactly once.

A frame is an I420 array, uint8 [height * 3 / 2, width]: the Y plane's rows, then U's and V's. Any other pixel
format becomes 8-bit yuv420p here, odd sizes are padded by repeating the edge, rotation is applied; the record
says so. Timestamps: a frame keeps its own. A video whose timestamps all lie within one tick of a constant rate
is constant and its frame i is shown at i / rate; otherwise the scene's timestamps are in the record and every
video made from the scene carries them unchanged.
"""

import json
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from dfdm.base.errors import DfdmError
from dfdm.base.files import sha256
from dfdm.base.stored import OPEN, Stored
from dfdm.media.streams import opened, picture, sound

HDR = {16: "PQ", 18: "HLG"}  # H.273's numbers of transfers that 8 bits do not hold
TONE_MAP = (
    "ffmpeg -i '{}' -vf zscale=t=linear:npl=100,tonemap=hable,zscale=p=bt709:t=bt709:m=bt709:r=tv,format=yuv420p "
    "-crf 0 sdr.mp4"
)
_TURNS = {(1.0, 0.0): 0, (0.0, -1.0): 1, (-1.0, 0.0): 2, (0.0, 1.0): 3}  # where a row of pixels goes: quarters
UNSPECIFIED = 2  # H.273's number for "not said", of matrix, primaries and transfer alike


class VideoRecord(Stored):
    """What is known of one scene's video after decoding it once.

    Sizes are those of the decoded frames (after rotation and padding, so even); `stored_*` those in the file.
    `matrix`, `primaries`, `transfer` are H.273 numbers, None where the file does not say (BT.601 is then used);
    `full_range` is None where it does not say (limited is then used). `pts` counts `time_base` units from the
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
        notes = {
            f"{self.pixel_format} converted to yuv420p": self.pixel_format != "yuv420p",
            f"padded from {stored} to {size}": stored != size,
            f"rotated by {self.rotation} degrees": self.rotation != 0,
            "mirrored": self.mirrored,
            "interlaced, both fields kept in a frame": self.interlaced,
            f"pixels of {self.pixel_aspect[0]}:{self.pixel_aspect[1]} taken as square": self.pixel_aspect != (1, 1),
            "variable frame rate, timestamps kept": self.pts is not None,
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
    """The frames in order of presentation; DfdmError for a damaged file, and for a frame unlike the first."""
    with opened(path) as container:
        stream, count, first = picture(container, path), 0, None
        stream.thread_type = "AUTO"
        try:
            for frame in container.decode(stream):
                if frame.is_corrupt:
                    raise DfdmError(f"{path} is damaged at frame {count}; replace the file")
                first = first or _kind(frame)
                if differing := [name for name, value in _kind(frame).items() if value != first[name]]:
                    raise DfdmError(f"{path} changes its {differing[0]} at frame {count}; cut it there into two files")
                count += 1
                yield frame
        except av.error.FFmpegError as error:
            raise DfdmError(f"{path} is damaged after frame {count} ({error}); replace the file") from None


def _kind(frame: VideoFrame) -> dict[str, Any]:
    """What all frames of a scene must have in common."""
    return {
        "size": (frame.width, frame.height),
        "range": frame.format.name.startswith("yuvj") or int(frame.color_range),
        "colour matrix": int(frame.colorspace),
        "transfer": int(frame.color_trc),
    }


def orientation(frame: VideoFrame) -> tuple[int, bool]:
    """How a decoded frame is brought upright: mirrored left to right first, then turned so many quarters, as np.rot90.

    DfdmError for a display matrix that is none of these eight.
    """
    beside: Any = frame.side_data
    found = beside.get(Type.DISPLAYMATRIX)
    if found is None:
        return 0, False
    a, b, _, c, d = (value / 65536 for value in np.frombuffer(found, "<i4")[:5].tolist())
    mirrored = a * d - b * c < 0
    across, down = (-a, -b) if mirrored else (a, b)
    if (across, down) not in _TURNS or (abs(c), abs(d)) != (abs(b), abs(a)):
        raise DfdmError(
            f"the frame's display matrix ({a:g}, {b:g}, {c:g}, {d:g}) is no turn by quarters; encode the video again"
        )
    return _TURNS[across, down], mirrored


def _planes(frame: VideoFrame) -> np.ndarray:
    """One decoded frame as upright, even-sized I420."""
    if frame.format.name not in ("yuv420p", "yuvj420p"):
        frame = frame.reformat(format="yuv420p")
    turns, mirrored = orientation(frame)
    planes = []
    for plane in frame.planes:
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        rows = rows[:, : plane.width]
        planes.append(np.rot90(rows[:, ::-1] if mirrored else rows, turns))
    luma = planes[0]
    luma = np.pad(luma, [(0, luma.shape[0] % 2), (0, luma.shape[1] % 2)], mode="edge")
    height, width = luma.shape
    out = np.empty((height * 3 // 2, width), np.uint8)
    for target, source in zip(split_planes(out), (luma, planes[1], planes[2])):
        target[:] = source
    return out


def split_planes(planes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Y [h, w], U [h / 2, w / 2] and V of an I420 array, as views of it."""
    height, width = planes.shape[0] * 2 // 3, planes.shape[1]
    flat = planes.reshape(-1)
    size = height * width
    half = (height // 2, width // 2)
    return planes[:height], flat[size : size * 5 // 4].reshape(half), flat[size * 5 // 4 :].reshape(half)


def read_planes(path: Path, record: VideoRecord, whole: bool = False) -> Iterator[np.ndarray]:
    """Decode a scene: I420 uint8 [height * 3 / 2, width], each of its frames once, in order of presentation.

    `whole`: the scene is all of the file, so a frame after it is an error too. Raises DfdmError when the file ends
    before the scene does or has another size than the record's.
    """
    given = 0
    for index, frame in enumerate(_decode(path)):
        if index >= record.stop:
            if whole:
                raise DfdmError(f"{path} has more than the {record.frames} frames of {record.scene_key}; make it again")
            break
        if index < record.start:
            continue
        planes = _planes(frame)
        if planes.shape != (record.height * 3 // 2, record.width):
            raise DfdmError(f"{path} changes its size at frame {index}; cut it there and list the parts as scenes")
        given += 1
        yield planes
    if given != record.frames:
        raise DfdmError(
            f"{path} gave {given} of the {record.frames} frames of {record.scene_key}; "
            "the file was changed or damaged: run the sources stage again"
        )


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
        planes = _planes(frame)
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
    pts: list[Any] = []
    first: VideoFrame | None = None
    for frame in _decode(path):
        first = first or frame
        pts.append(frame.pts)
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
        ratio = stream.sample_aspect_ratio or Fraction(1)
        aspect = (ratio.numerator, ratio.denominator) if ratio > 0 else (1, 1)
        time_base, guessed = stream.time_base, stream.guessed_rate or stream.average_rate
        origin = Fraction(container.start_time or 0, av.time_base)  # what ffmpeg's -ss counts from
    heard = sound(path)
    if None in pts:  # some containers (avi) keep no timestamps: the rate is all there is
        pts, time_base, origin = list(range(len(pts))), 1 / guessed, Fraction(0)
    start, stop = frames or (0, len(pts))
    if stop > len(pts):
        raise DfdmError(f"scene {scene_key}: frames [{start}, {stop}) go beyond the {len(pts)} frames of {path}")
    if any(later <= earlier for earlier, later in pairwise(pts)):
        raise DfdmError(f"{path} has timestamps that do not increase; remux it with ffmpeg")
    rate, constant = _rate(pts, time_base, guessed)
    end = pts[stop] if stop < len(pts) else pts[-1] + round(1 / rate / time_base)
    planes, (turns, mirrored) = _planes(first), orientation(first)
    special: dict[str, Any] = {"mirrored": mirrored, "interlaced": first.interlaced_frame, "pixel_aspect": aspect}
    full_range = first.format.name.startswith("yuvj") or {1: False, 2: True}.get(int(first.color_range))
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
        matrix=_tag(int(first.colorspace)),
        full_range=full_range,
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


def _rate(pts: list[int], time_base: Fraction, guessed: Fraction | None) -> tuple[Fraction, bool]:
    """The frame rate, and whether every timestamp is within one tick of it; else the average rate."""
    if len(pts) < 2:
        return (guessed or Fraction(25)), True
    average = Fraction(len(pts) - 1) / ((pts[-1] - pts[0]) * time_base)
    for candidate in (guessed, average.limit_denominator(1001)):
        if candidate:
            step = 1 / candidate / time_base
            if all(abs(value - pts[0] - index * step) <= 1 for index, value in enumerate(pts)):
                return candidate, True
    return average.limit_denominator(1_000_000), False


def of_encoded(record: VideoRecord) -> VideoRecord:
    """The record of a video made from a whole scene: same frames, counted from 0, upright yuv420p."""
    whole = {"start": 0, "stop": record.frames, "stored_width": record.width, "stored_height": record.height}
    plain = {"mirrored": False} if record.mirrored else {}
    return record.model_copy(update={**whole, **plain, "pixel_format": "yuv420p", "rotation": 0})
