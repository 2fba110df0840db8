"""Writing H.264: the lossless crf 0 master from frames, every other quality from the master.

Frames go to ffmpeg as raw video in NUT, which carries timestamps, so a variable rate survives; the master's
planes are then decoded and compared with what was sent, bit for bit.
"""

import contextlib
import hashlib
import json
import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import ffmpeg
import imageio_ffmpeg
import numpy as np

from dfdm.base.errors import DfdmError
from dfdm.base.files import atomic
from dfdm.media.planes import UNSPECIFIED
from dfdm.media.settings import EncodeConfig
from dfdm.media.streams import as_file, opened, picture, sound
from dfdm.media.video import VideoRecord, of_encoded, read_planes

# Sound that mp4 can hold is copied as it is; any other becomes AAC.
_MOST_CHANNELS = 8  # of ffmpeg's aac; more are mixed down to two
_MP4_AUDIO = {"aac", "mp3", "mp3float", "ac3", "eac3", "opus", "flac", "alac"}
_BROKEN = (BrokenPipeError, av.error.FFmpegError)  # what sending meets when ffmpeg has ended: its message says why
_WAITING = 2**26  # bytes of frames that may wait for ffmpeg: two batches of 16 at 1280 x 720


@cache
def ffmpeg_binary() -> str:
    """The ffmpeg to use: the one on the PATH, else the one inside imageio-ffmpeg's wheel."""
    return shutil.which("ffmpeg") or imageio_ffmpeg.get_ffmpeg_exe()


@cache
def ffmpeg_version() -> str:
    """The first line of `ffmpeg -version`, which names the build."""
    text = subprocess.run([ffmpeg_binary(), "-version"], capture_output=True, text=True, check=True).stdout
    return text.splitlines()[0].split(" Copyright")[0]


def write_master(
    path: Path,
    frames: Iterator[np.ndarray],
    record: VideoRecord,
    audio_from: Path,
    settings: EncodeConfig,
    metadata: dict[str, str],
) -> None:
    """Write a scene's frames (I420 arrays, one for each of the record's) as lossless H.264, crf 0, with its sound.

    Raises DfdmError when the number of frames is not the record's, when ffmpeg fails, or when the decoded file is
    not bit for bit what was sent; the file then does not appear.
    """
    with atomic(path) as temporary:
        with _running(_master(temporary, record, audio_from, settings, metadata)) as process:
            count, sent = _feed(process, frames, record)
        if count != record.frames:
            raise DfdmError(f"{path}: {count} frames were rendered, the scene has {record.frames}")
        if planes_hash(read_planes(temporary, of_encoded(record), whole=True)) != sent:
            raise DfdmError(f"{path}: crf 0 did not come back bit for bit from {ffmpeg_version()}; use another build")


def write_quality(
    path: Path,
    master: Path,
    crf: int,
    settings: EncodeConfig,
    metadata: dict[str, str],
    keyframes: int | None = None,
    filters: str | None = None,
    below: Path | None = None,
) -> None:
    """Encode a master at another crf, sound copied, timestamps and colour tags kept.

    `keyframes`: at most so many frames from one keyframe to the next; None: as x264 does it. `filters`: what ffmpeg
    does to the frames first; `below`: a picture of the video's width and an even height, which is put below every
    frame; None: nothing, of the two at most one.
    Raises DfdmError when ffmpeg fails or the frame count differs; the file then does not appear.
    """
    with atomic(path) as temporary:
        source = ffmpeg.input(as_file(master))
        with opened(master) as container:
            heard = bool(container.streams.audio)
        video = source.video
        if below:
            with opened(below) as container:
                height = container.streams.video[0].height
            padded = video.filter("pad", "iw", f"ih+{height}")
            video = padded.overlay(ffmpeg.input(as_file(below)), y=f"H-{height}")
        streams = [video, source.audio] if heard else [video]
        to = _codec(settings, crf) | _container(metadata) | {"acodec": "copy"} | ({"g": keyframes} if keyframes else {})
        to |= {"vf": filters} if filters else {}
        output = ffmpeg.output(*streams, as_file(temporary), **to)
        with _running(output) as process:
            process.wait()
        expected, given = count_packets(master), count_packets(temporary)
        if expected != given:
            raise DfdmError(f"{path}: {given} frames were encoded, {master.name} has {expected}")


def write_tags(path: Path, video: Path, metadata: dict[str, str]) -> None:
    """Copy a video's streams as they are into a file with other tags; DfdmError when ffmpeg fails."""
    with atomic(path) as temporary:
        copied = {"c": "copy", "map": 0, "copyts": None, **_container(metadata)}
        with _running(ffmpeg.output(ffmpeg.input(as_file(video)), as_file(temporary), **copied)) as process:
            process.wait()


def count_packets(path: Path) -> int:
    """Frames in an encoded file, counted without decoding."""
    with opened(path) as container:
        return sum(packet.size > 0 for packet in container.demux(picture(container, path)))


def planes_hash(frames: Iterator[np.ndarray]) -> str:
    """Hash of a sequence of frames' planes."""
    digest = hashlib.sha256()
    for planes in frames:
        digest.update(planes.data)
    return digest.hexdigest()


def _codec(settings: EncodeConfig, crf: int) -> dict[str, Any]:
    times = {"fps_mode": "passthrough", "enc_time_base": "demux"}
    return {"vcodec": "libx264", "pix_fmt": "yuv420p", "crf": crf, **settings.model_dump(), **times}


def _container(metadata: dict[str, str]) -> dict[str, Any]:
    tags = {f"metadata:g:{index}": f"{key}={value}" for index, (key, value) in enumerate(sorted(metadata.items()))}
    # use_metadata_tags: mp4 drops keys it does not know without it; bitexact: no encoder version or date.
    return {"movflags": "use_metadata_tags+faststart", "map_metadata": -1, "fflags": "+bitexact", **tags}


def _master(path: Path, record: VideoRecord, audio_from: Path, settings: EncodeConfig, metadata: dict[str, str]) -> Any:
    """ffmpeg's crf 0 of frames from the pipe and, where there is sound, of the scene's part of the original's."""
    video = ffmpeg.input("pipe:", format="nut")["v"].filter(
        "setparams",  # tags only, converts nothing
        range={None: "unknown", False: "limited", True: "full"}[record.full_range],
        colorspace=record.matrix or UNSPECIFIED,
        color_primaries=record.primaries or UNSPECIFIED,
        color_trc=record.transfer or UNSPECIFIED,
    )
    if record.pixel_aspect != (1, 1):
        video = video.filter("setsar", "/".join(map(str, record.pixel_aspect)))
    streams, audio = [video], {}
    if record.audio and (heard := sound(audio_from)):
        copied = heard.codec in _MP4_AUDIO
        # A packet is copied whole, so the last one begins early enough to end within the scene; those before the
        # scene would be hidden by an edit list, yet be there.
        seconds = max(record.duration_seconds - copied * heard.packet_seconds, heard.packet_seconds)
        source = ffmpeg.input(as_file(audio_from), ss=f"{record.start_seconds:.6f}", t=f"{seconds:.6f}")
        streams.append(source[f"a:{heard.place}"])
        audio = {"acodec": "copy", "copypriorss:a": "0"} if copied else {"acodec": "aac"}
        if audio["acodec"] == "aac" and heard.channels > _MOST_CHANNELS:
            audio["ac"] = "2"
    return ffmpeg.output(*streams, as_file(path), **_codec(settings, 0), **_container(metadata), **audio)


@contextlib.contextmanager
def _running(output: Any) -> Iterator[subprocess.Popen[bytes]]:
    """ffmpeg at work on an output, its messages going to a file, so that a full pipe never blocks it.

    A fault in the block ends it and overrides ffmpeg's own, unless it is only the pipe that ffmpeg left. Raises
    DfdmError with ffmpeg's last words where it fails.
    """
    quiet = output.global_args("-y", "-hide_banner", "-nostats", "-loglevel", "error")
    command = ffmpeg.compile(quiet, cmd=ffmpeg_binary())
    command = [part.partition(":g:")[0] if part.startswith("-metadata:g:") else part for part in command]
    broken = False
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=log)
        assert process.stdin is not None
        try:
            yield process
        except _BROKEN:
            broken = True
        except BaseException:  # told to stop as well: ffmpeg must not run on alone
            process.kill()
            raise
        finally:
            with contextlib.suppress(BrokenPipeError):  # ffmpeg ended first; its own message follows
                process.stdin.close()
            process.wait()
        log.seek(0)
        lines = log.read().decode(errors="replace").strip().splitlines()
    if process.returncode or broken:
        raise DfdmError(f"ffmpeg failed: {' / '.join(lines[-3:]) or f'no message, status {process.returncode}'}")


def _feed(process: subprocess.Popen[bytes], frames: Iterator[np.ndarray], record: VideoRecord) -> tuple[int, str]:
    """Send frames with their timestamps through NUT; how many they were, and the hash of their planes.

    A thread of its own sends, so that ffmpeg encodes while the next frames are made: `frames` is asked for more as
    long as those that wait take up less than `_WAITING`.
    """
    assert process.stdin is not None
    digest, count = hashlib.sha256(), 0
    pipe = av.open(process.stdin, "w", format="nut")
    stream = pipe.add_stream("rawvideo", rate=Fraction(*record.rate).limit_denominator(65535))
    stream.width, stream.height, stream.pix_fmt = record.width, record.height, "yuv420p"
    stream.codec_context.time_base = stream.time_base = Fraction(*record.time_base)

    def send(index: int, planes: np.ndarray) -> None:
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts = record.pts[index] if record.pts and index < len(record.pts) else index
        frame.time_base = Fraction(*record.time_base)
        pipe.mux(stream.encode(frame))
        digest.update(planes.data)

    waiting: deque[Future[None]] = deque()
    with ThreadPoolExecutor(1) as thread:
        try:
            for planes in frames:
                if (len(waiting) + 1) * planes.nbytes > _WAITING and waiting:
                    waiting.popleft().result()
                waiting.append(thread.submit(send, count, planes))
                count += 1
            for sending in waiting:
                sending.result()
        except BaseException as error:
            thread.shutdown(wait=False, cancel_futures=True)
            if not isinstance(error, _BROKEN):
                process.kill()  # else the thread could wait for it without end
            raise
    pipe.mux(stream.encode())
    pipe.close()
    return count, digest.hexdigest()


def provenance_tags(provenance: dict[str, Any]) -> dict[str, str]:
    """The tags of a video file: the whole provenance as JSON in `comment`, its plain values one by one."""
    plain = {key: value for key, value in provenance.items() if isinstance(value, str | int)}
    tags = {f"dfdm_{key}": json.dumps(value).strip('"') for key, value in plain.items()}
    return {"comment": json.dumps(provenance, sort_keys=True, ensure_ascii=False), **tags}
