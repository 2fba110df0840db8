"""The picture and the sound of a file: what strangers' files have beside them, and what is refused."""

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from dfdm.base.errors import DfdmError
from dfdm.media import streams
from dfdm.media.encoding import write_master
from dfdm.media.settings import EncodeConfig
from dfdm.media.video import VideoRecord, probe, read_planes

MOVING = ["-f", "lavfi", "-i", "testsrc2=size=96x64:rate=10:duration=1"]
TONE = ["-f", "lavfi", "-i", "sine=duration=1"]
COVER = ["-f", "lavfi", "-i", "color=red:size=320x320:duration=0.1"]


def ffmpeg(*words: object) -> None:
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", *map(str, words)], check=True)


def probed(path: Path) -> VideoRecord:
    return probe(path, "id0_0000", {"path": path.name})


def boxes(content: bytes) -> Iterator[bytes]:
    """The boxes of an mp4 file, or of one of its boxes."""
    while content:
        size = int.from_bytes(content[:4])
        yield content[:size]
        content = content[size:]


def test_a_cover_before_the_video_is_not_the_video(tmp_path: Path) -> None:
    plain, path = tmp_path / "plain.mp4", tmp_path / "cover.mp4"
    ffmpeg(*MOVING, plain)
    ffmpeg(*COVER, "-frames:v", 1, tmp_path / "cover.jpg")
    maps = ["-map", 0, "-map", 1, "-c", "copy", "-disposition:v:1", "attached_pic"]
    ffmpeg("-i", plain, "-i", tmp_path / "cover.jpg", *maps, path)
    top = list(boxes(path.read_bytes()))
    (place,) = (place for place, box in enumerate(top) if box[4:8] == b"moov")
    first = {b"mvhd": 0, b"udta": 1}
    inside = sorted(boxes(top[place][8:]), key=lambda box: first.get(box[4:8], 2))
    top[place] = top[place][:8] + b"".join(inside)  # as some programs write it: the cover's box before the tracks
    path.write_bytes(b"".join(top))
    with streams.opened(path) as container:
        assert container.streams.video[0].width == 320
    record = probed(path)
    assert (record.width, record.height, record.frames) == (96, 64, 10)
    assert len(list(read_planes(path, record))) == 10


def test_of_two_videos_the_default_one_counts_and_else_the_larger(tmp_path: Path) -> None:
    small = ["-f", "lavfi", "-i", "testsrc2=size=32x32:rate=10:duration=1"]
    both = [*small, *MOVING, "-map", 0, "-map", 1, "-c:v", "libx264"]
    ffmpeg(*both, "-disposition:v:0", 0, "-disposition:v:1", 0, tmp_path / "two.mkv")
    assert probed(tmp_path / "two.mkv").width == 96
    ffmpeg(*both, "-disposition:v:0", "default", "-disposition:v:1", 0, tmp_path / "first.mkv")
    assert probed(tmp_path / "first.mkv").width == 32


def test_a_file_with_a_cover_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "song.mp4"
    ffmpeg(*COVER, *TONE, "-map", 1, "-map", 0, "-c:v", "mjpeg", "-frames:v", 1, "-disposition:v", "attached_pic", path)
    with pytest.raises(DfdmError, match="contains only a still picture, such as a cover; name another file"):
        probed(path)


def test_a_sound_track_that_does_not_decode_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "sound.mkv"
    ffmpeg(*MOVING, *TONE, *TONE, "-map", 0, "-map", 1, "-map", 2, "-c:a:0", "pcm_s16le", "-c:a:1", "aac", path)
    content = path.read_bytes()
    assert content.count(b"A_PCM/INT/LIT") == 1
    path.write_bytes(content.replace(b"A_PCM/INT/LIT", b"A_QUX/INT/LIT"))  # a codec that nobody knows
    assert streams.sound(path) == streams.Sound(1, "aac", 1, 1024 / 44100)
    record = probed(path)
    assert record.audio == "aac"
    out = tmp_path / "DFDM_crf0/real/id0_0000_real.mp4"
    write_master(out, read_planes(path, record), record, path, EncodeConfig(preset="ultrafast"), {})
    assert streams.sound(out) == streams.Sound(0, "aac", 1, 1024 / 44100)


def test_sixteen_channels_are_mixed_down(tmp_path: Path) -> None:
    path, out = tmp_path / "many.mov", tmp_path / "DFDM_crf0/real/id0_0000_real.mp4"
    many = ["-f", "lavfi", "-i", "anullsrc=channel_layout=16c:sample_rate=48000:duration=1"]
    ffmpeg(*MOVING, *many, "-map", 0, "-map", 1, "-c:a", "pcm_s16le", "-shortest", path)
    record = probed(path)
    write_master(out, read_planes(path, record), record, path, EncodeConfig(preset="ultrafast"), {})
    assert streams.sound(out) == streams.Sound(0, "aac", 2, 1024 / 48000)


def test_sound_that_nothing_decodes_is_left_out_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "sound.mkv"
    ffmpeg(*MOVING, *TONE, "-map", 0, "-map", 1, "-c:a", "pcm_s16le", path)
    assert probed(path).sound_lost is False
    path.write_bytes(path.read_bytes().replace(b"A_PCM/INT/LIT", b"A_QUX/INT/LIT"))
    assert probed(path).audio is None
    assert "its sound does not decode, left out" in probed(path).notes


@pytest.mark.parametrize("codec", ["aac", "mp3", "flac", "pcm_s16le"])  # copied, and made into AAC
def test_sound_from_outside_the_scene_is_not_in_the_master(codec: str, tmp_path: Path) -> None:
    path, out = tmp_path / "whole.mov", tmp_path / "DFDM_crf0/real/id0_0000_real.mp4"
    if codec == "flac":
        path = tmp_path / "whole.mkv"
    each_second = "aevalsrc='0.5*sin(2*PI*t*300*(1+floor(t)))':s=44100:d=5"  # 300 Hz, then 600, 900, ...
    video = ["-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25:duration=5"]
    ffmpeg(*video, "-f", "lavfi", "-i", each_second, "-c:a", codec, "-strict", "-2", path)
    record = probe(path, "id0_0000", {"path": path.name}, (50, 75))
    write_master(out, read_planes(path, record), record, path, EncodeConfig(preset="ultrafast"), {})
    shown = tmp_path / "sound.raw"
    ffmpeg("-ignore_editlist", 1, "-i", out, "-map", "0:a", "-f", "f32le", "-ac", 1, shown)
    samples = np.fromfile(shown, np.float32)
    assert 0.85 < len(samples) / 44100 < 1.03
    pieces = samples[4096 : len(samples) // 1024 * 1024 - 2048].reshape(-1, 1024) * np.hanning(1024)
    pitch = np.abs(np.fft.rfft(pieces)).argmax(axis=1) * 44100 / 1024
    assert (abs(pitch - 900) < 50).all()


@pytest.mark.parametrize("name", ["2024-01-01T12:30:15.mp4", "quo'te %05d [0-9].mp4", "a{x}b<c>.mp4"])
def test_a_name_is_a_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    ffmpeg(*MOVING, f"file:{tmp_path}/plain.mp4")
    (tmp_path / "plain.mp4").rename(path)
    assert probed(path).frames == 10


def test_a_title_that_is_not_utf_8_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "titled.mkv"
    ffmpeg(*MOVING, *TONE, "-metadata", "title=naive", "-metadata:s:v", "title=naive", path)
    path.write_bytes(path.read_bytes().replace(b"naive", b"na\xefve"))  # Latin-1
    assert probed(path).frames == 10
    assert streams.sound(path) is not None


def test_a_list_of_other_files_is_no_video(tmp_path: Path) -> None:
    ffmpeg(*MOVING, "-f", "hls", "-hls_segment_filename", tmp_path / "part%d.ts", tmp_path / "list.m3u8")
    path = (tmp_path / "list.m3u8").rename(tmp_path / "list.mp4")
    with pytest.raises(DfdmError, match=r"list that names other files; give the video itself|cannot be opened"):
        probed(path)


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_hdr_is_refused_with_a_command_that_converts_it(transfer: str, tmp_path: Path) -> None:
    path = tmp_path / "hdr.mp4"
    tags = ["-color_trc", transfer, "-color_primaries", "bt2020", "-colorspace", "bt2020nc"]
    filtered = f"format=yuv420p10le,setparams=color_trc={transfer}:color_primaries=bt2020:colorspace=bt2020nc:range=tv"
    ffmpeg(*MOVING, "-vf", filtered, "-c:v", "libx265", "-x265-params", "log-level=none", *tags, path)
    with pytest.raises(DfdmError, match="is HDR") as caught:
        probed(path)
    command = shlex.split(str(caught.value).partition("convert it first: ")[2])
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *command[1:]], check=True, cwd=tmp_path)
    assert probed(tmp_path / "sdr.mp4").frames == 10


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        ("setparams=colorspace=bt709", "setparams=colorspace=smpte170m", "colour matrix"),
        ("setparams=range=tv", "setparams=range=pc", "range"),
        ("null", "scale=48:32", "size"),
    ],
)
def test_a_clip_that_changes_on_the_way_is_refused_with_the_place(
    first: str, second: str, what: str, tmp_path: Path
) -> None:
    for number, change in enumerate((first, second)):
        ffmpeg(*MOVING, "-vf", change, "-c:v", "libx264", "-bf", 0, "-f", "h264", tmp_path / f"{number}.h264")
    joined = tmp_path / "joined.h264"
    joined.write_bytes((tmp_path / "0.h264").read_bytes() + (tmp_path / "1.h264").read_bytes())
    timed = ["-bsf:v", "setts=ts=N/10/TB"]
    ffmpeg("-r", 10, "-i", joined, "-c", "copy", *timed, tmp_path / "joined.mp4")
    with pytest.raises(DfdmError, match=rf"changes its {what} at frame 10; cut it there into two files"):
        probed(tmp_path / "joined.mp4")


ORIENTATIONS = [(turn, flip) for turn in (0, 90, 180, 270) for flip in ([], ["-display_hflip"])]


@pytest.mark.parametrize(("turn", "flip"), ORIENTATIONS)
def test_all_eight_orientations_are_those_that_ffmpeg_shows(turn: int, flip: list[str], tmp_path: Path) -> None:
    plain, turned, shown = (tmp_path / name for name in ("plain.mp4", "turned.mp4", "shown.yuv"))
    ffmpeg(*MOVING, "-pix_fmt", "yuv420p", "-frames:v", 2, plain)
    ffmpeg("-display_rotation:v:0", turn, *(f"{word}:v:0" for word in flip), "-i", plain, "-c", "copy", turned)
    ffmpeg("-i", turned, "-fps_mode", "passthrough", "-pix_fmt", "yuv420p", "-f", "rawvideo", shown)
    record = probed(turned)
    expected = np.fromfile(shown, np.uint8).reshape(2, record.height * 3 // 2, record.width)
    for mine, theirs in zip(read_planes(turned, record), expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert record.mirrored == bool(flip)
    assert ("mirrored" in record.notes) == bool(flip)
    assert ("mirrored" in record.to_json()) == bool(flip)  # the record of a plain video is as it was


def test_another_display_matrix_is_refused(tmp_path: Path) -> None:
    ffmpeg(*MOVING, tmp_path / "plain.mp4")
    ffmpeg("-display_rotation:v:0", 30, "-i", tmp_path / "plain.mp4", "-c", "copy", tmp_path / "tilted.mp4")
    with pytest.raises(DfdmError, match="is no turn by quarters; encode the video again"):
        probed(tmp_path / "tilted.mp4")


def test_pixels_that_are_not_square_and_interlacing_are_noted(tmp_path: Path) -> None:
    ffmpeg(*MOVING, "-vf", "setsar=16/11", tmp_path / "wide.mp4")
    assert "pixels of 16:11 kept, faces swapped as stored" in probed(tmp_path / "wide.mp4").notes
    ffmpeg(*MOVING, "-vf", "interlace", "-flags", "+ilme+ildct", "-c:v", "mpeg2video", tmp_path / "fields.ts")
    assert "interlaced, both fields kept in a frame" in probed(tmp_path / "fields.ts").notes


def test_a_lossless_trim_has_the_frames_that_ffmpeg_shows(tmp_path: Path) -> None:
    plain, trimmed, shown = (tmp_path / name for name in ("plain.mp4", "trimmed.mp4", "shown.yuv"))
    ffmpeg(*MOVING, "-pix_fmt", "yuv420p", "-g", 10, plain)
    ffmpeg("-ss", 0.65, "-i", plain, "-c", "copy", trimmed)
    ffmpeg("-i", trimmed, "-fps_mode", "passthrough", "-pix_fmt", "yuv420p", "-f", "rawvideo", shown)
    record = probed(trimmed)
    expected = np.fromfile(shown, np.uint8).reshape(-1, record.height * 3 // 2, record.width)
    assert 0 < record.frames == len(expected) < 10
    for mine, theirs in zip(read_planes(trimmed, record), expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.995])
def test_a_file_that_is_not_wholly_there_is_refused(share: float, tmp_path: Path) -> None:
    whole = tmp_path / "whole.mp4"
    ffmpeg(*MOVING, "-movflags", "+faststart", whole)
    part = tmp_path / "part.mp4"
    part.write_bytes(whole.read_bytes()[: int(share * whole.stat().st_size)])
    with pytest.raises(DfdmError, match=r"is truncated: it has \d of 10 frames|is damaged"):
        probed(part)
