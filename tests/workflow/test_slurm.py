"""The small line through the shipped Slurm profile on a real Slurm: the same bytes as on this machine alone."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from dfdm.base.files import sha256
from dfdm.catalogue.config import load
from dfdm.catalogue.layout import Layout
from tests.workflow import slurm

pytestmark = [pytest.mark.slow, pytest.mark.enable_socket]  # free ports are found by binding them
PROFILE = [
    "--workflow-profile", "workflow/profiles/slurm", "--default-resources", "slurm_partition=main", "--jobs", "2",
    "--latency-wait", "5", "--slurm-no-account", "--slurm-status-command", "squeue",
    "--slurm-init-seconds-before-status-checks", "1", "--seconds-between-status-checks", "1",
]  # fmt: skip


@pytest.fixture(scope="module")
def on_slurm() -> None:
    """Skip where there can be no Slurm of our own, and install what is missing."""
    if os.environ.get("DFDM_TEST_SLURM") != "1":
        pytest.skip("starts a real Slurm and may install it: set DFDM_TEST_SLURM=1")
    if os.geteuid() != 0:
        pytest.skip("a Slurm of its own needs root")
    if others := slurm.running():
        pytest.skip(f"a Slurm runs here already ({', '.join(others)}), which this test leaves alone")
    if missing := slurm.missing():
        if not Path("/usr/bin/apt-get").exists():
            pytest.skip(f"{', '.join(missing)} not installed, and this is not Debian")
        slurm.install()


def cancel_one(environment: dict[str, str], rule: str, process: subprocess.Popen[bytes]) -> str:
    """Wait until a job of a rule runs, cancel it and give its number."""

    def slurm_says(*command: str) -> str:
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    while process.poll() is None:
        for line in slurm_says("squeue", "-h", "-t", "R", "-o", "%i %k").splitlines():
            number, _, comment = line.partition(" ")
            if rule in comment:
                slurm_says("scancel", number)
                return number
        time.sleep(0.2)
    raise AssertionError(f"no job of {rule} ran")


@pytest.mark.usefixtures("tidy")
def test_slurm_makes_the_same_bytes_and_repeats_a_killed_job(
    on_slurm: None, line: Path, project: Path, small: Callable[..., Path]
) -> None:
    config = small("slurm", results="results-slurm")
    layout = Layout(str(project / "results-slurm"))
    # two models and two qualities of one pair: 24 jobs, 18 of them on the cluster
    targets = [
        layout.manifest("faceswap"),
        layout.manifest("dfaker_crf0"),
        layout.crops("id0_id1_0000", "faceswap", 23),
    ]
    log = project / "slurm.log"
    command = [sys.executable, "-m", "snakemake", *(str(Path(path).relative_to(project)) for path in targets)]
    command += [*PROFILE, "--configfile", str(config)]
    with (
        tempfile.TemporaryDirectory(prefix="dfdm-slurm-") as folder,
        slurm.cluster(Path(folder)) as environment,
        open(log, "wb") as out,
        subprocess.Popen(command, cwd=project, env=environment, stdout=out, stderr=out) as process,
    ):
        try:
            cancelled = cancel_one(environment, "train_dfaker", process)
            process.wait(300)
        finally:
            process.terminate()
            print(log.read_text())  # shown where the test fails, or with pytest -s
    printed = log.read_text()
    assert process.returncode == 0, printed[-6000:]
    assert re.findall(r"(\d+) of (\d+) steps", printed)[-1] == ("24", "24")
    failed = re.search(r"FAILED train_dfaker:.*?Trying to restart job", printed, re.DOTALL)
    assert failed is not None, printed[-6000:]
    assert f"JOB {cancelled} ON" in failed[0]
    submitted = re.findall(r"submitted with SLURM jobid (\d+) \(log: \S*rule_train_dfaker/", printed)
    assert len(submitted) == 2
    assert submitted[0] == cancelled

    local = Layout(str(line))
    expected = pd.read_parquet(local.manifest("dataset"))
    for target, models, qualities in (("faceswap", ["faceswap"], [0, 23]), ("dfaker_crf0", ["dfaker"], [0])):
        same = expected[expected["model"].isin(models) & expected["crf"].isin(qualities)].reset_index(drop=True)
        made = pd.read_parquet(layout.manifest(target))
        assert len(made) == 3 * len(qualities)
        pd.testing.assert_frame_equal(made, same)  # paths, sha256, bytes, config_hash and all else
    assert sha256(targets[2]) == sha256(local.crops("id0_id1_0000", "faceswap", 23))
    for model in load(config).models:
        assert sha256(layout.checkpoint("id0_id1", model)) == sha256(local.checkpoint("id0_id1", model))
