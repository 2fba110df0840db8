"""A results folder of tiny videos, and a release of it; both are made once for the tests of a file."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands import Done, dfdm

BECAUSE = "noise | <b>nobody</b> is shown\n# and `so` on"
INCLUDED = ("--include", "id0", "id1", "--because", BECAUSE)
Release = Callable[..., Done]


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it that a test may change, as the working folder; its path has a person's name in it."""
    shutil.copytree(made, tmp_path / "zaphod/made")
    monkeypatch.chdir(tmp_path / "zaphod/made")
    return tmp_path / "zaphod/made"


@pytest.fixture
def release(here: Path) -> Release:
    """Run the command with both people included; status is 0."""

    def run(*words: object) -> Done:
        done = dfdm("release", *words, *INCLUDED)
        assert done.status == 0, done.err
        return done

    return run


@pytest.fixture(scope="module")
def released(made: Path) -> Path:
    """A whole release of it."""
    before = Path.cwd()
    os.chdir(made)
    try:
        done = dfdm("release", "../released", *INCLUDED)
    finally:
        os.chdir(before)
    assert done.status == 0, done.err
    return made.parent / "released"
