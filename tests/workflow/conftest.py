"""The whole line run once at its smallest (tests/configs/small.yaml), for every test of the workflow."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

from tests import commands

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


LARGE = 10 * 2**20


def copy_run(source: Path, target: Path, *left_out: str) -> Path:
    """Copy a finished run, every file's time of change kept; weights and states, which are never edited, as links."""

    def copy(one: str, other: str) -> None:
        if Path(one).stat().st_size > LARGE:
            os.link(one, other)
        else:
            shutil.copy2(one, other)

    ignore = shutil.ignore_patterns(*left_out)
    return shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, copy_function=copy, ignore=ignore)


@pytest.fixture
def tidy(project: Path) -> Iterator[None]:
    """What a test adds to the project folder is removed after it."""
    before = set(project.iterdir())
    yield
    for path in set(project.iterdir()) - before:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture(scope="session")
def snakemake(project: Path) -> Snakemake:
    """Run snakemake in the project folder; status is not checked."""
    return partial(commands.snakemake, project)


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
            done = commands.snakemake(folder, "--cores", 2, "--configfile", "small.yaml")
            assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
            (folder / "done").touch()
    return folder


@pytest.fixture(scope="session")
def line(project: Path, finished: Path) -> Path:
    """The results folder of the small config, everything made: a copy in this worker's project folder."""
    for name in (".snakemake", "results-small"):
        copy_run(finished / name, project / name)
    return project / "results-small"
