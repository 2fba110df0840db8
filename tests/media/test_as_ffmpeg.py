"""Any video is decoded as ffmpeg decodes it: every frame, its time, its pixel aspect, within 2 levels of 8 bits."""

import re
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest

from dfdm.base.errors import DfdmError
from dfdm.media.encoding import write_master
from dfdm.media.planes import split_planes
from dfdm.media.settings import EncodeConfig
from dfdm.media.video import VideoRecord, of_encoded, probe, read_planes

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
X264 = "-c:v libx264 -pix_fmt"
X265 = "-c:v libx265 -x265-params log-level=none"
VP9 = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -pix_fmt"
DROPPED = r"-vf select=not(eq(mod(n\,7)\,3)) -fps_mode passthrough -enc_time_base 1/25"
FIELDS = "-vf interlace -flags +ilme+ildct"
MADE = {  # name, size, rate: words for ffmpeg
    "h264.mp4 96x64 25": f"{X264} yuv420p -bf 3",
    "open_gop.mov 96x64 25": f"{X264} yuv420p -x264-params open-gop=1:keyint=8",
    "ten_bit.mp4 96x64 10": f"{X264} yuv420p10le",
    "422.mp4 96x64 10": f"{X264} yuv422p",
    "444.mp4 96x64 10": f"{X264} yuv444p",
    "422_ten_bit.mkv 96x64 10": f"{X264} yuv422p10le",
    "bt709_444.mp4 96x64 10": f"-vf scale=out_color_matrix=bt709,format=yuv444p {X264} yuv444p -colorspace bt709",
    "full_range.mp4 96x64 10": f"-vf scale=out_range=full {X264} yuvj420p -color_range pc",
    "full_range_444.webm 96x64 10": f"-vf scale=out_range=full,format=yuv444p {VP9} yuv444p -color_range pc",
    "full_range_422.mkv 96x64 10": "-vf scale=out_range=full,format=yuv422p -c:v ffv1 -color_range pc",
    "grey.mkv 96x64 10": "-c:v ffv1 -pix_fmt gray",
    "rgb.mkv 96x64 10": "-c:v libx264rgb",
    "rgb.avi 96x64 10": "-c:v rawvideo -pix_fmt bgr24",
    "sixteen_bit.mkv 96x64 10": "-c:v ffv1 -pix_fmt yuv444p16le",
    "alpha.mov 96x64 10": "-c:v qtrle -pix_fmt argb",
    "alpha.webm 96x64 10": f"{VP9} yuva420p",
    "palette.gif 96x64 10": "-c:v gif",
    "prores.mov 96x64 10": "-c:v prores_ks -pix_fmt yuv422p10le",
    "hevc.mp4 96x64 10": f"{X265} -pix_fmt yuv420p",
    "hevc_bt2020.mkv 96x64 10": f"-vf scale=out_color_matrix=bt2020 {X265} -pix_fmt yuv420p10le -colorspace bt2020nc",
    "av1.mp4 96x64 10": "-c:v libsvtav1 -preset 12",
    "vp8.webm 96x64 10": "-c:v libvpx -deadline realtime",
    "mjpeg.avi 96x64 10": "-c:v mjpeg -pix_fmt yuvj422p",
    "mjpeg.mov 96x64 10": "-c:v mjpeg -pix_fmt yuvj444p",
    "mpeg4_b_frames.avi 96x64 10": "-c:v mpeg4 -bf 2",
    "h264_b_frames.avi 96x64 10": f"{X264} yuv420p -bf 2",
    "null_frames.avi 96x64 25": f"{DROPPED} -c:v mpeg4",
    "h264_null_frames.avi 96x64 25": f"{DROPPED} {X264} yuv420p",
    "mpeg2.mpg 96x64 25": "-c:v mpeg2video -bf 2",
    "h264.ts 96x64 25": f"{X264} yuv420p -bf 3",
    "raw.h264 96x64 25": f"{X264} yuv420p",
    "h263.3gp 176x144 10": "-c:v h263",
    "wmv.wmv 96x64 25": "-c:v wmv2",
    "theora.ogv 96x64 25": "-c:v libtheora",
    "dv.mov 720x480 30000/1001": "-c:v dvvideo -pix_fmt yuv411p -frames:v 3",
    "odd.mkv 97x65 10": "-c:v ffv1",
    "odd_444.mp4 97x65 10": f"{X264} yuv444p",
    "wide_pixels.mp4 96x64 10": f"-vf setsar=16/11 {X264} yuv420p",
    "fields.mpg 96x64 50": f"{FIELDS} -c:v mpeg2video",
    "fields_422.mkv 96x64 50": f"{FIELDS} {X264} yuv422p",
    "ntsc.mkv 96x64 30000/1001": f"{X264} yuv420p",
    "variable.mkv 96x64 25": rf"-vf select=not(eq(mod(n\,7)\,3)) -fps_mode vfr {X264} yuv420p",
    "uneven.mp4 96x64 25": rf"-vf setpts=PTS+0.01/TB*mod(N\,3) -fps_mode passthrough {X264} yuv420p",
}
COPIED = {  # name: from, words before it
    "trimmed.mp4": ("h264.mp4 96x64 25", "-ss 0.33"),
    "trimmed_open.mov": ("open_gop.mov 96x64 25", "-ss 0.5"),
    "turned_422.mov": ("422.mp4 96x64 10", "-display_rotation:v:0 270"),
    "mirrored_444.mp4": ("444.mp4 96x64 10", "-display_rotation:v:0 90 -display_hflip:v:0"),
    "turned_wide.mp4": ("wide_pixels.mp4 96x64 10", "-display_rotation:v:0 90"),
    "turned_odd.mp4": ("odd_444.mp4 97x65 10", "-display_rotation:v:0 90"),
}


def run(*words: object) -> None:
    subprocess.run([FFMPEG, "-y", "-loglevel", "error", *map(str, words)], check=True)


def made(name: str, folder: Path) -> Path:
    """A clip of one second."""
    if name in COPIED:
        source, before = COPIED[name]
        path = folder / name
        run(*before.split(), "-i", made(source, folder), "-c", "copy", path)
        return path
    file, size, rate = name.split()
    path = folder / file
    run("-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}:duration=1", *MADE[name].split(), path)
    return path


class Shown:
    """What ffmpeg shows of a file: each frame's three planes, its time in seconds, the aspect of a pixel."""

    def __init__(self, path: Path) -> None:
        exact = "scale=flags=accurate_rnd+full_chroma_int,format=yuv420p,showinfo=checksum=0"
        words = ["-i", path, "-map", "0:v:0", "-fps_mode", "passthrough", "-vf", exact, "-f", "rawvideo", "-"]
        done = subprocess.run([FFMPEG, "-hide_banner", *map(str, words)], capture_output=True, check=True)
        text = done.stderr.decode()
        (base,) = re.findall(r"config in time_base: (\d+/\d+)", text)
        rows = re.findall(r" pts: *(-?\d+) .*? sar:(\d+/\d+) s:(\d+)x(\d+) ", text)
        self.tick, self.bytes = Fraction(base), done.stdout
        self.times = [(int(row[0]) - int(rows[0][0])) * self.tick for row in rows]
        ((aspect, width, height),) = {row[1:] for row in rows}
        self.aspect, self.size = Fraction(aspect) or Fraction(1), (int(height), int(width))  # 0: not said

    def __iter__(self) -> Iterator[list[np.ndarray]]:
        height, width = self.size
        half = (-(-height // 2), -(-width // 2))
        at = 0
        for _ in self.times:
            planes = []
            for shape in (self.size, half, half):
                planes.append(np.frombuffer(self.bytes, np.uint8, shape[0] * shape[1], at).reshape(shape))
                at += shape[0] * shape[1]
            yield planes


def assert_same(path: Path, record: VideoRecord, shown: Shown) -> None:
    base = Fraction(*record.time_base)
    times = [base * (record.pts[index] if record.pts else index) for index in range(record.frames)]
    assert len(times) == len(shown.times)
    assert all(abs(mine - theirs) <= shown.tick / 2 for mine, theirs in zip(times, shown.times))
    for mine, theirs in zip(read_planes(path, record), shown, strict=True):
        for plane, expected in zip(split_planes(mine), theirs):
            height, width = expected.shape  # ours may be padded to an even size
            assert np.abs(plane[:height, :width].astype(int) - expected).max() <= 2


@pytest.mark.parametrize("name", [*MADE, *COPIED])
def test_a_video_is_decoded_as_ffmpeg_decodes_it(name: str, tmp_path: Path) -> None:
    path = made(name, tmp_path)
    record, shown = probe(path, "id0_0000", {"path": name}), Shown(path)
    assert_same(path, record, shown)
    assert Fraction(*record.pixel_aspect) == shown.aspect


@pytest.mark.parametrize(
    "name",
    ["turned_wide.mp4", "full_range_444.webm 96x64 10", "rgb.mkv 96x64 10", "h264_null_frames.avi 96x64 25"],
)
def test_the_master_shows_what_the_source_shows(name: str, tmp_path: Path) -> None:
    source, master = made(name, tmp_path), tmp_path / "DFDM_crf0/real/id0_0000_real.mp4"
    record, before = probe(source, "id0_0000", {"path": name}), Shown(source)
    write_master(master, read_planes(source, record), record, source, EncodeConfig(preset="ultrafast"), {})
    assert_same(master, of_encoded(record), before)
    again, after = probe(master, "id0_0000", {"path": name}), Shown(master)
    assert_same(master, again, after)
    assert after.aspect == before.aspect
    assert (again.full_range or False, again.matrix) == (record.full_range or False, record.matrix)


def packed(path: Path) -> None:
    """Put each B-frame of an mpeg4 AVI beside the P-frame before it in one chunk, as DivX did."""
    content = bytearray(path.read_bytes())
    start, chunks, at = content.index(b"movi") + 4, [], content.index(b"movi") + 4
    while content[at : at + 4] == b"00dc":
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        chunks.append(bytes(content[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    kinds = [chunk[chunk.index(b"\0\0\1\xb6") + 4] >> 6 for chunk in chunks]  # 0 I, 1 P, 2 B
    chunks[0] = chunks[0].replace(b"\0\0\1\xb6", b"\0\0\1\xb2DivX503b1393p\0\0\1\xb6", 1)
    out: list[bytes] = []
    for kind, chunk in zip(kinds, chunks):
        if kind == 2:
            out[-1] += chunk
            out.append(b"\0\0\1\xb6\x51\x80\0")  # nothing coded: the place of the frame that went into the other chunk
        else:
            out.append(chunk)
    body = b"".join(b"00dc" + len(one).to_bytes(4, "little") + one + b"\0" * (len(one) % 2) for one in out)
    head = bytearray(content[:start])
    head[start - 8 : start - 4] = (4 + len(body)).to_bytes(4, "little")
    head[4:8] = (len(head) + len(body) - 8).to_bytes(4, "little")
    path.write_bytes(bytes(head) + body)


def test_packed_b_frames_are_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "packed.avi"
    source = "testsrc2=size=96x64:rate=10:duration=1"
    run("-f", "lavfi", "-i", source, "-c:v", "mpeg4", "-bf", 1, "-fflags", "+bitexact", "-flags", "+bitexact", path)
    packed(path)
    assert_same(path, probe(path, "id0_0000", {"path": path.name}), Shown(path))


@pytest.mark.parametrize(
    ("codec", "name"), [("libx264", "part.ts"), ("mpeg2video", "part.mpg"), ("libx265", "part.ts")]
)
def test_a_recording_may_begin_between_two_keyframes(codec: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    quiet = ["-x265-params", "log-level=none"] if codec == "libx265" else []
    source = "testsrc2=size=320x240:rate=25:duration=2"
    run("-f", "lavfi", "-i", source, "-c:v", codec, *quiet, "-g", 10, "-pix_fmt", "yuv420p", path)
    content, unit = path.read_bytes(), 188 if name.endswith("ts") else 2048
    head = content[: 3 * unit] if name.endswith("ts") else b""  # the tables that name the streams
    path.write_bytes(head + content[len(content) // 3 // unit * unit :])
    shown = Shown(path)
    assert 0 < len(shown.times) < 50
    assert_same(path, probe(path, "id0_0000", {"path": name}), shown)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg4"])
def test_what_ffmpeg_reports_as_damaged_is_refused(codec: str, tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    quiet = ["-x265-params", "log-level=none"] if codec == "libx265" else []
    source = "testsrc2=size=160x120:rate=25:duration=1"
    run("-f", "lavfi", "-i", source, "-c:v", codec, *quiet, "-pix_fmt", "yuv420p", "-g", 8, path)
    with av.open(str(path)) as container:
        places = [(packet.pos or 0) + 5 for packet in container.demux(video=0) if packet.size]
    content, reported = path.read_bytes(), 0
    for place in places[1::3]:  # the first chunk begins with the encoder's name
        broken = bytearray(content)
        broken[place : place + 6] = bytes(byte ^ 0x5A for byte in broken[place : place + 6])
        path.write_bytes(broken)
        words = [FFMPEG, "-v", "error", "-i", path, "-f", "null", "-"]
        if subprocess.run(words, capture_output=True, check=False).stderr:
            reported += 1
            with pytest.raises(DfdmError, match=r"is damaged (at|after) frame \d+"):
                probe(path, "id0_0000", {"path": path.name})
    assert reported
