"""The check of a GPU, where there is none: all but the device runs, at small size, and the report says so."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_check_of_a_gpu_runs_on_a_cpu_and_says_that_the_device_is_untried(tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    command = [sys.executable, "-m", "benchmarks.gpu", "--device", "cpu", "--seconds", "1", "--json", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
    report = json.loads(out.read_text())
    assert report["untried"] == ["the device: this ran on a CPU, at small size"]
    assert len(report["checks"]) >= 40
    outcomes = {one["name"]: one["outcome"] for one in report["checks"]}
    assert {name for name, outcome in outcomes.items() if outcome == "not run"} == {
        "test_the_scaler_leaves_out_a_step_that_overflows",
        "test_two_jobs_never_hold_one_device",
    }
    assert all(one["iterations_s"] > 0 for one in report["trainings"].values())
