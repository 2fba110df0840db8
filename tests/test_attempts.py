import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "results/config/abc.json"
    path.parent.mkdir(parents=True)
    path.write_text((ROOT / "config.yaml").read_text())
    return path


def faces(config: Path, record: Path, attempt: str | None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DFDM_CONFIG": str(config)} | ({} if attempt is None else {"DFDM_ATTEMPT": attempt})
    command = ["dfdm", "faces", "--record", str(record), "--out", str(record.with_suffix(".npz"))]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_bad_input_is_not_tried_a_second_time_but_again_in_the_next_run(config: Path, tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    record.write_text("not JSON")
    first = faces(config, record, "1")
    assert first.returncode == 2
    assert "is not readable JSON" in first.stderr
    record.write_text("[]")  # would now fail with another sentence: so the second attempt does not look
    second = faces(config, record, "2")
    assert second.returncode == 2
    assert "is not readable JSON" in second.stderr
    assert "found by the first attempt; bad input is not tried again" in second.stderr
    next_run = faces(config, record, "1")
    assert next_run.returncode == 2
    assert "is no record of a video" in next_run.stderr


def test_what_failed_by_chance_is_tried_again(config: Path, tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    record.write_text("[]")
    done = faces(config, record, "2")  # the first attempt was killed: it left no note
    assert "is no record of a video" in done.stderr
    assert "not tried again" not in done.stderr


def test_a_command_of_ones_own_leaves_no_note(config: Path, tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    record.write_text("[]")
    assert faces(config, record, None).returncode == 2
    assert [path.name for path in config.parent.iterdir()] == ["abc.json"]
