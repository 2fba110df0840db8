"""A video says what made it, and the record whether it is the file that was written, or a copy of it."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import imageio_ffmpeg
import pytest

from dfdm.base import records
from dfdm.base.errors import DfdmError
from dfdm.base.files import sha256
from dfdm.dataset.provenance import trace
from dfdm.dataset.sidecar import ORIGINAL, Sidecar
from dfdm.media.encoding import provenance_tags

MARK = {
    **{"synthetic": False, "statement": ORIGINAL, "name": "id0_0000_real", "model": "real", "video_id": "id0"},
    **{"face_id": None, "scene": "0000", "crf": 23, "version": "0.1.0", "config_hash": "0" * 64},
    **{"inputs": {"video": "1", "track": "2", "master": "3"}, "origin": {"path": "walk.mp4"}},
}


def ffmpeg(*words: object) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error", *map(str, words)]
    subprocess.run(command, check=True)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A video of 5 frames as the line writes it, with its sidecar."""
    path = tmp_path / "id0_0000_real.mp4"
    tags = [word for key, value in provenance_tags(MARK).items() for word in ("-metadata", f"{key}={value}")]
    source = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=5:duration=1"]
    ffmpeg(*source, "-c:v", "libx264", "-movflags", "+use_metadata_tags", *tags, path)
    facts = {"file": path.name, "sha256": sha256(path), "bytes": path.stat().st_size, "frames": 5, "face_frames": 5}
    Sidecar(
        **MARK, **facts, width=64, height=48, fps=5.0, variable_rate=False, audio=None, decoding=[], ffmpeg="", cpu=""
    ).write(path.with_suffix(".json"))
    return path


def test_the_file_that_was_written_is_known(video: Path, tmp_path: Path) -> None:
    lines, whole = trace(video, tmp_path)
    assert whole
    assert lines[-1] == "the file is byte for byte the one that was written"
    assert "source: walk.mp4" in lines[2]


def test_the_programs_that_made_it_are_shown(video: Path, tmp_path: Path) -> None:
    records.keep("encode", video)
    made = records.read(video)
    assert made is not None
    records.write(video, replace(made, job=records.Job(1, {}, {}, {"av": "18.1.0", "torch": "2.14.1"})))
    sidecar = Sidecar.read(video.with_suffix(".json"))
    sidecar.model_copy(update={"ffmpeg": "ffmpeg version 9.0"}).write(video.with_suffix(".json"))
    lines, whole = trace(video, tmp_path)
    assert whole
    assert "made with: av 18.1.0, torch 2.14.1, ffmpeg version 9.0" in lines


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_a_copy_in_another_container_or_encoded_again_is_named_as_one(video: Path, tmp_path: Path, suffix: str) -> None:
    record = tmp_path / "results/dataset/DFDM_crf23/real/id0_0000_real.json"
    record.parent.mkdir(parents=True)
    video.with_suffix(".json").rename(record)
    remuxed, again = tmp_path / f"remuxed{suffix}", tmp_path / f"again{suffix}"
    ffmpeg("-i", video, "-c", "copy", remuxed)
    ffmpeg("-i", video, "-vf", "scale=32:24", "-frames:v", 4, again)
    lines, whole = trace(remuxed, tmp_path / "results")
    assert not whole
    assert lines[-1] == "a copy, not the bytes that were written: its 5 frames are as many and as large"
    assert "4 frames, not 5 and 32x24, not 64x48" in trace(again, tmp_path / "results")[0][-1]


def test_a_mark_that_disagrees_with_the_record_is_told(video: Path, tmp_path: Path) -> None:
    sidecar = video.with_suffix(".json")
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "frames": 99, "crf": 10, "config_hash": "1"}))
    lines, whole = trace(video, tmp_path)
    assert not whole
    assert lines[-1] == "the file and its record disagree on config_hash and crf"


def test_a_video_without_a_record_or_a_mark_is_told(video: Path, tmp_path: Path) -> None:
    video.with_suffix(".json").unlink()
    assert "no record next to it" in trace(video, tmp_path)[0][-1]
    bare = tmp_path / "bare.mp4"
    ffmpeg("-i", video, "-map_metadata", -1, "-c", "copy", bare)
    with pytest.raises(DfdmError, match="has no mark of this project"):
        trace(bare, tmp_path)
    bare.write_bytes(b"no video")
    with pytest.raises(DfdmError, match="is not a readable video"):
        trace(bare, tmp_path)
