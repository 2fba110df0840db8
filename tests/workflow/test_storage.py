"""The small line with its results in a storage, another folder or an S3 bucket: the same as in place."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from dfdm.base.files import read_json, sha256
from dfdm.catalogue.layout import Layout
from tests import commands

pytestmark = pytest.mark.slow


@pytest.fixture
def fs(tmp_path: Path) -> tuple[Path, list[object]]:
    """Where results lie in the end, and Snakemake's words for a folder as storage."""
    if shutil.which("rsync") is None:
        pytest.skip("the storage plugin fs copies with rsync, which is not installed (apt-get install rsync)")
    remote = tmp_path / "remote"
    return remote, ["--default-storage-provider", "fs", "--default-storage-prefix", remote]


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[tuple[Path, list[object]]]:
    """Where the objects of a bucket lie, and Snakemake's words for the S3 server of rclone that serves it."""
    bucket, log = tmp_path / "buckets/dfdm", tmp_path / "rclone.log"
    bucket.mkdir(parents=True)
    words = ["rclone", "serve", "s3", "--auth-key", "key,secretsecret", "--addr", "127.0.0.1:0", bucket.parent]
    with open(log, "wb") as out, subprocess.Popen(words, stdout=out, stderr=out) as server:
        try:
            while not (found := re.search(r"server on \[(http://\S+?)/?\]", log.read_text())):
                assert server.poll() is None, log.read_text()
                time.sleep(0.05)
            words = ["--storage-s3-endpoint-url", found[1], "--storage-s3-access-key", "key"]
            words += ["--storage-s3-secret-key", "secretsecret", "--shared-fs-usage", "none"]
            yield bucket, ["--default-storage-provider", "s3", "--default-storage-prefix", "s3://dfdm", *words]
        finally:
            server.kill()


@pytest.mark.usefixtures("tidy")
@pytest.mark.parametrize("kind", ["fs", "s3"])
def test_results_in_a_storage_are_the_same_also_after_a_kill_and_a_second_run_does_nothing(
    kind: str,
    request: pytest.FixtureRequest,
    line: Path,
    project: Path,
    snakemake: Callable,
    small: Callable[..., Path],
    tmp_path: Path,
) -> None:
    folder, storage = request.getfixturevalue(kind)
    # nothing of an earlier run can stand in for what the storage should have brought
    call = ["--cores", 2, *storage, "--configfile", small("stored", results="results-stored")]
    command = [sys.executable, "-m", "snakemake", *map(str, call)]
    with open(os.devnull, "wb") as nothing:
        run = subprocess.Popen(command, cwd=project, stdout=nothing, stderr=nothing, start_new_session=True)
    while not list(folder.rglob("model.safetensors")):
        assert run.poll() is None
        time.sleep(0.1)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    done = snakemake(*call)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    remote, local = Layout(str(folder / "results-stored")), Layout(str(line))
    for target in ("dataset", "crf0", "crf23"):
        pd.testing.assert_frame_equal(pd.read_parquet(remote.manifest(target)), pd.read_parquet(local.manifest(target)))
    for row in pd.read_parquet(remote.manifest("dataset")).itertuples():
        assert sha256(Path(remote.dataset) / str(row.path)) == row.sha256
        assert sha256(Path(remote.crops_root) / str(row.crops)) == sha256(Path(local.crops_root) / str(row.crops))
    for model in ("faceswap", "dfaker"):
        assert sha256(remote.checkpoint("id0_id1", model)) == sha256(local.checkpoint("id0_id1", model))
    for crf in (0, 23):
        scores = f"dma_sta/scene/crf{crf}/seed0", crf
        assert read_json(remote.scores(*scores)) == read_json(local.scores(*scores))
    page = Path(remote.report).read_text()
    assert "SYNTHETIC" in page
    # only the configs that the run was given, and states that no rule declares, lie in the working folder
    left = {path.relative_to(project / "results-stored").parts[0] for path in (project / "results-stored").rglob("*")}
    assert left <= {"config", "state", ".lock"}
    brought = small("brought", results=str(folder / "results-stored"))
    assert "dma_sta" in commands.ran("scores", "--config", brought)
    why = ("--include", "id0", "id1", "--because", "a test")
    commands.ran("release", tmp_path / "out", "--config", brought, *why)
    commands.ran("verify", tmp_path / "out")
    again = snakemake(*call, "--dry-run")
    assert "Nothing to be done" in again.stdout + again.stderr
