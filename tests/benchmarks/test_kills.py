"""The plain command goes on after any kill: in every stage, at random moments, in a folder that moves."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_twenty_kills_in_all_stages_end_with_the_undisturbed_runs_bytes(tmp_path: Path) -> None:
    out = tmp_path / "kills.json"
    command = [sys.executable, "-m", "benchmarks.kills", "--times", "20", "--json", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    found = json.loads(out.read_text())
    assert found["kills"] == 20
    assert found["equal"] == found["rounds"] >= 2
    assert sum(any(row.values()) for row in found["stages"].values()) >= 10
