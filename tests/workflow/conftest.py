"""The whole line run once at its smallest (tests/configs/small.yaml), for every test of the workflow."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

ROOT = Path(__file__).parent.parent.parent
SMALL = ROOT / "tests/configs/small.yaml"
Snakemake = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of its own with the workflow in it, so that nothing of the checkout is locked or changed."""
    return copy_project(tmp_path_factory.mktemp("project"))


def copy_project(folder: Path) -> Path:
    """Put the workflow into a folder."""
    for name in ("workflow", "envs"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "config.yaml", folder)
    return folder


def run_snakemake(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run snakemake in a project folder; status is not checked."""
    command = [sys.executable, "-m", "snakemake", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"})


@pytest.fixture(scope="session")
def snakemake(project: Path) -> Snakemake:
    """Run snakemake in the project folder; status is not checked."""
    return partial(run_snakemake, project)


@pytest.fixture(scope="session")
def small(project: Path) -> Callable[..., Path]:
    """Write a copy of the small config with changed keys (`render__mask_blur=5`) and give its path."""

    def write(name: str = "small", **changes: object) -> Path:
        values = yaml.safe_load(SMALL.read_text())
        for key, value in changes.items():
            section, _, inner = key.partition("__")
            if inner:
                values.setdefault(section, {})[inner] = value
            else:
                values[section] = value
        path = project / f"{name}.yaml"
        path.write_text(yaml.safe_dump(values, sort_keys=False))
        return path

    return write


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder in which the small config ran to its end: made once for all workers of a test run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "finished"
    with FileLock(f"{folder}.lock"):
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            copy_project(folder)
            shutil.copy(SMALL, folder / "small.yaml")
            done = run_snakemake(folder, "--cores", 2, "--configfile", "small.yaml")
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
            (folder / "done").touch()
    return folder


@pytest.fixture(scope="session")
def line(project: Path, finished: Path) -> Path:
    """The results folder of the small config, everything made: a copy in this worker's project folder."""
    for name in (".snakemake", "results-small"):
        shutil.copytree(finished / name, project / name, dirs_exist_ok=True)  # keeps every file's time of change
    return project / "results-small"
