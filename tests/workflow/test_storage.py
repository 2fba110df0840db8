"""The small line with its results in a storage (another folder, through the fs plugin): the same as in place."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from dfdm.base.files import read_json, sha256
from dfdm.catalogue.layout import Layout


@pytest.mark.slow
@pytest.mark.usefixtures("tidy")
def test_results_in_a_storage_are_the_same_and_a_second_run_does_nothing(
    line: Path, project: Path, snakemake: Callable, small: Callable[..., Path], tmp_path: Path
) -> None:
    if shutil.which("rsync") is None:
        pytest.skip("the storage plugin fs copies with rsync, which is not installed (apt-get install rsync)")
    storage = ["--default-storage-provider", "fs", "--default-storage-prefix", tmp_path / "remote"]
    # nothing of an earlier run can stand in for what the storage should have brought
    call = ["--cores", 2, *storage, "--configfile", small("stored", results="results-stored")]
    done = snakemake(*call)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    remote, local = Layout(str(tmp_path / "remote/results-stored")), Layout(str(line))
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
    assert left <= {"config", "state"}
    again = snakemake(*call, "--dry-run")
    assert "Nothing to be done" in again.stdout + again.stderr
