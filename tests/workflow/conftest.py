"""The whole line run once at its smallest (tests/configs/small.yaml), for every test of the workflow."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
SMALL = ROOT / "tests/configs/small.yaml"
Snakemake = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of its own with the workflow in it, so that nothing of the checkout is locked or changed."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "workflow", folder / "workflow")
    shutil.copytree(ROOT / "envs", folder / "envs")
    shutil.copy(ROOT / "config.yaml", folder)
    return folder


@pytest.fixture(scope="session")
def snakemake(project: Path) -> Snakemake:
    """Run snakemake in the project folder; status is not checked."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "snakemake", *map(str, arguments)]
        return subprocess.run(
            command, cwd=project, capture_output=True, text=True, env={**os.environ, "COLUMNS": "200"}
        )

    return run


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
def line(project: Path, snakemake: Snakemake, small: Callable[..., Path]) -> Path:
    """The results folder of the small config, everything made."""
    done = snakemake("--cores", 2, "--configfile", small())
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return project / "results-small"
