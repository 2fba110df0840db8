import itertools
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dfdm.base.errors import DfdmError
from dfdm.media import encoding
from dfdm.media import video as video_module
from dfdm.media.encoding import (
    ffmpeg_binary,
    planes_hash,
    provenance_tags,
    write_master,
    write_quality,
)
from dfdm.media.planes import split_planes
from dfdm.media.settings import EncodeConfig
from dfdm.media.video import VideoRecord, of_encoded, probe, read_one, read_planes

FAST = EncodeConfig(preset="ultrafast")
Short = tuple[Path, VideoRecord, list[np.ndarray]]


def ffmpeg(*arguments: object) -> None:
    subprocess.run([ffmpeg_binary(), "-y", "-v", "error", *map(str, arguments)], check=True)


def seconds(record: VideoRecord) -> list[Fraction]:
    return [Fraction(*record.time_base) * (record.pts[i] if record.pts else i) for i in range(record.frames)]


@pytest.mark.parametrize(
    ("name", "size", "frames", "variable", "audio"),
    [
        ("WolfgangLanger_Pexels.mp4", (640, 360), 472, False, "aac"),
        ("single_face.mp4", (640, 360), 72, False, "mp3float"),
        ("face_noface.mov", (960, 540), 169, True, "aac"),
    ],
)
def test_a_probed_video_has_its_size_frames_rate_and_sound(
    clips: Path, name: str, size: tuple[int, int], frames: int, variable: bool, audio: str
) -> None:
    record = probe(clips / name, "id0_0000", {"path": name})
    assert (record.width, record.height) == size
    assert record.frames == frames
    assert (record.pts is not None) == variable
    assert record.audio == audio
    assert VideoRecord.model_validate_json(record.to_json()) == record


def test_tags_are_those_of_the_file_and_none_where_it_has_none(clips: Path) -> None:
    woman = probe(clips / "WolfgangLanger_Pexels.mp4", "id0_0000", {})
    man = probe(clips / "single_face.mp4", "id1_0000", {})
    assert (woman.matrix, woman.full_range) == (6, False)
    assert (man.matrix, man.full_range) == (None, None)


@pytest.mark.long
def test_a_scene_is_a_range_of_frames_each_once(short: Short, clips: Path) -> None:
    path, _, planes = short
    every = list(read_planes(path, probe(path, "id0_0000", {})))
    assert [planes_hash(iter([frame])) for frame in planes] == [planes_hash(iter([frame])) for frame in every[5:15]]


@pytest.mark.long
def test_variable_rate_keeps_every_frame_and_its_timestamp(clips: Path, tmp_path: Path) -> None:
    path = clips / "face_noface.mov"
    record = probe(path, "id1_0001", {"path": path.name})
    master, low = tmp_path / "m.mp4", tmp_path / "q.mp4"
    write_master(master, read_planes(path, record), record, path, FAST, {})
    write_quality(low, master, 40, FAST, {})
    for made in (master, low):
        again = probe(made, "id1_0001", {})
        assert again.frames == 169
        assert seconds(again) == seconds(record)


@pytest.mark.long
@pytest.mark.parametrize("name", ["WolfgangLanger_Pexels.mp4", "face_noface.mov"])  # constant and variable rate
@pytest.mark.parametrize("crf", [0, 30])
def test_one_frame_is_the_one_that_decoding_all_gives(clips: Path, tmp_path: Path, name: str, crf: int) -> None:
    path = clips / name
    record = probe(path, "id0_0000", {}, (7, 167))
    video = tmp_path / "m.mp4"
    settings = EncodeConfig(preset="veryfast")  # with B-frames, so that frames are stored out of order
    write_master(video, read_planes(path, record), record, path, settings, {})
    if crf:
        video, master = tmp_path / "q.mp4", video
        write_quality(video, master, crf, settings, {})
    found = of_encoded(record)
    every = list(read_planes(video, found))
    assert (record.pts is not None) == (name == "face_noface.mov")
    for index in (0, 1, 2, 77, 78, 79, 158, 159):
        assert np.array_equal(read_one(video, found, index), every[index]), index


@pytest.mark.long
def test_one_frame_is_reached_from_a_keyframe_and_not_from_the_start(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = clips / "WolfgangLanger_Pexels.mp4"
    whole = probe(path, "id0_0000", {})
    video = tmp_path / "keys.mp4"
    ffmpeg(
        "-i",
        path,
        "-an",
        "-fps_mode",
        "passthrough",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-g",
        "20",
        "-bf",
        "2",
        video,
    )
    every = list(read_planes(video, of_encoded(whole)))
    decoded: list[int] = []
    convert = av.container.InputContainer.decode

    class Counted:
        """A container that notes what is decoded."""

        def __init__(self, container: av.container.InputContainer) -> None:
            self.container = container

        def __enter__(self) -> "Counted":
            return self

        def __exit__(self, *_: object) -> None:
            self.container.close()

        def __getattr__(self, name: str) -> object:
            return getattr(self.container, name)

        def decode(self, stream: object) -> Iterator[av.VideoFrame]:
            for frame in convert(self.container, stream):
                decoded.append(frame.pts)
                yield frame

    monkeypatch.setattr(video_module, "opened", lambda path: Counted(av.open(str(path))))
    for index in (0, 19, 20, 21, 255, 470, 471):
        decoded.clear()
        assert np.array_equal(read_one(video, of_encoded(whole), index), every[index]), index
        assert len(decoded) <= 1 + 20 + 20, index


def test_a_frame_at_no_time_of_the_file_is_an_error(short: Short, tmp_path: Path) -> None:
    path, record, planes = short
    video = tmp_path / "m.mp4"
    write_master(video, iter(planes), record, path, FAST, {})
    with pytest.raises(DfdmError, match="has no frame 10 of id0_0000; run the encode stage again"):
        read_one(video, of_encoded(record), 10)


@pytest.mark.long
def test_crf_0_is_lossless_and_later_qualities_are_smaller_in_order(short: Short, tmp_path: Path) -> None:
    path, record, planes = short
    master = tmp_path / "crf0.mp4"
    write_master(master, iter(planes), record, path, EncodeConfig(preset="medium"), {})
    assert planes_hash(read_planes(master, of_encoded(record))) == planes_hash(iter(planes))
    sizes = [master.stat().st_size]
    for crf in (10, 23):
        write_quality(tmp_path / f"crf{crf}.mp4", master, crf, EncodeConfig(preset="medium"), {})
        sizes.append((tmp_path / f"crf{crf}.mp4").stat().st_size)
        again = probe(tmp_path / f"crf{crf}.mp4", "id0_0000", {})
        assert (again.frames, again.matrix, again.full_range) == (10, record.matrix, record.full_range)
        assert again.audio == record.audio
    assert sizes[0] > sizes[1] > sizes[2]


def test_an_untagged_video_stays_untagged(clips: Path, tmp_path: Path) -> None:
    path = clips / "single_face.mp4"
    record = probe(path, "id1_0000", {}, (0, 4))
    write_master(tmp_path / "m.mp4", read_planes(path, record), record, path, FAST, {})
    again = probe(tmp_path / "m.mp4", "id1_0000", {})
    assert (again.matrix, again.full_range, again.primaries, again.transfer) == (None, None, None, None)


def test_provenance_is_read_back_from_the_file(short: Short, tmp_path: Path) -> None:
    path, record, planes = short
    tags = provenance_tags({"synthetic": True, "model": "iae", "video_id": "id0", "inputs": {"track": "ab"}})
    write_master(tmp_path / "m.mp4", iter(planes), record, path, FAST, tags)
    write_quality(tmp_path / "q.mp4", tmp_path / "m.mp4", 23, FAST, tags)
    for name in ("m.mp4", "q.mp4"):
        with av.open(str(tmp_path / name)) as container:
            found = container.metadata
        assert {key: found[key] for key in tags} == tags
        assert found["dfdm_synthetic"] == "true"


def test_a_missing_frame_fails_the_job_and_leaves_no_file(short: Short, tmp_path: Path) -> None:
    path, record, planes = short
    with pytest.raises(DfdmError, match="9 frames were rendered, the scene has 10"):
        write_master(tmp_path / "m.mp4", iter(planes[:9]), record, path, FAST, {})
    assert list(tmp_path.iterdir()) == []


def test_a_fault_while_rendering_leaves_no_file(short: Short, tmp_path: Path) -> None:
    path, record, planes = short

    def broken():
        yield planes[0]
        raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        write_master(tmp_path / "m.mp4", broken(), record, path, FAST, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt])
def test_a_fault_ends_an_ffmpeg_that_takes_no_more_frames(
    short: Short, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: type[BaseException]
) -> None:
    path, record, planes = short
    stuck, pid = tmp_path / "stuck", tmp_path / "pid"
    stuck.write_text(f"#!/bin/sh\necho $$ > {pid}\nexec sleep 600\n")
    stuck.chmod(0o755)
    monkeypatch.setattr(encoding, "ffmpeg_binary", lambda: str(stuck))

    def interrupted() -> Iterator[np.ndarray]:
        yield from planes[:5]
        while not (pid.exists() and pid.read_text()):  # the sending thread now waits for room in the pipe
            time.sleep(0.01)
        raise fault("planted")

    with pytest.raises(fault, match="planted"):
        write_master(tmp_path / "m.mp4", interrupted(), record, path, FAST, {})
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    assert not any(thread.name.startswith("ThreadPoolExecutor") for thread in threading.enumerate())
    assert sorted(tmp_path.iterdir()) == [pid, stuck]


def test_an_ffmpeg_that_fails_midway_stops_the_rendering_and_says_why(
    short: Short, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, record, planes = short
    full = tmp_path / "full"
    full.write_text("#!/bin/sh\nhead -c 1000 > /dev/null\necho no room is left >&2\nexit 1\n")
    full.chmod(0o755)
    monkeypatch.setattr(encoding, "ffmpeg_binary", lambda: str(full))
    monkeypatch.setattr(encoding, "_WAITING", 2 * planes[0].nbytes)
    with pytest.raises(DfdmError, match="ffmpeg failed: no room is left"):
        write_master(tmp_path / "m.mp4", itertools.cycle(planes), record, path, FAST, {})  # frames without end
    assert list(tmp_path.iterdir()) == [full]


def test_other_pixel_formats_and_odd_sizes_become_even_yuv420p_once(clips: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd.mkv"
    ffmpeg(
        "-i",
        clips / "single_face.mp4",
        "-frames:v",
        3,
        "-vf",
        "crop=101:75:0:0:exact=1,format=yuv444p10le",
        "-c:v",
        "ffv1",
        odd,
    )
    record = probe(odd, "id1_0000", {})
    assert (record.width, record.height) == (102, 76)
    assert record.pixel_format == "yuv444p10le"
    assert any("padded from 101x75" in note for note in record.notes)
    luma = split_planes(next(read_planes(odd, record)))[0]
    assert np.array_equal(luma[:, 101], luma[:, 100])
    assert np.array_equal(luma[75], luma[74])


def test_rotation_is_applied(clips: Path, tmp_path: Path) -> None:
    turned = tmp_path / "turned.mp4"
    ffmpeg("-display_rotation", 90, "-i", clips / "single_face.mp4", "-frames:v", 2, "-c", "copy", turned)
    upright = next(read_planes(clips / "single_face.mp4", probe(clips / "single_face.mp4", "id1_0000", {})))
    record = probe(turned, "id1_0000", {})
    assert (record.width, record.height, record.rotation) == (360, 640, 90)
    ffmpeg("-i", turned, "-frames:v", 1, "-f", "rawvideo", "-pix_fmt", "yuv420p", tmp_path / "raw")  # turns by itself
    expected = np.fromfile(tmp_path / "raw", np.uint8)
    assert np.array_equal(next(read_planes(turned, record)).ravel(), expected)
    assert upright.size == expected.size


def test_bad_videos_are_named_in_one_sentence(clips: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes((clips / "single_face.mp4").read_bytes()[:100_000])
    for path, sentence in [(text, "cannot be opened"), (cut, "cut.mp4"), (tmp_path / "none.mp4", "does not exist")]:
        with pytest.raises(DfdmError, match=sentence):
            probe(path, "id0_0000", {})
    with pytest.raises(DfdmError, match=r"go beyond the 72 frames"):
        probe(clips / "single_face.mp4", "id0_0000", {}, (0, 80))


def test_a_changed_file_is_noticed_when_decoding(short: Short, clips: Path) -> None:
    _, record, _ = short
    with pytest.raises(DfdmError, match=r"changes its size|frames of id0_0000"):
        list(read_planes(clips / "no_face.mp4", record))
