"""Signs in the names of videos and of the results folder, through the workflow and its commands."""

import re
import subprocess
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pytest
import yaml

from tests.commands import dfdm
from tests.test_config import FIT
from tests.workflow.conftest import SMALL

Snakemake = Callable[..., subprocess.CompletedProcess[str]]
RESULTS = 're sults 100% "it\'s" é日 $(touch ran) `touch ran` #;&|\\ '


@pytest.fixture
def odd(project: Path, clips: Path) -> Path:
    """A config whose results folder and videos have every sign that a name may have; the man's clip under each name."""
    values = yaml.safe_load(SMALL.read_text())
    folder = project / "vid eos 100% [x]"
    scenes = {}
    for number, name in enumerate(FIT):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if not (folder / name).exists():
            (folder / name).symlink_to(clips / "single_face.mp4")
        scenes[f"{number:04d}"] = {"path": name, "frames": [2 * number, 2 * number + 2]}
    values["sources"]["root"] = folder.name
    values["sources"]["people"]["id1"]["scenes"] = scenes
    values["results"] = RESULTS
    path = project / "odd.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_signs_in_names_pass_the_check_and_a_dry_run(project: Path, snakemake: Snakemake, odd: Path) -> None:
    with chdir(project):
        checked = dfdm("check", "--config", odd)
    assert (checked.status, checked.err) == (0, "")
    done = snakemake("all_faces", "--cores", 1, "--dry-run", "--configfile", odd)
    assert done.returncode == 0, done.stderr[-4000:]
    assert re.search(rf"^sources_probe +{3 + len(FIT)}$", done.stdout + done.stderr, re.MULTILINE)  # and id0's three


@pytest.mark.slow
@pytest.mark.usefixtures("tidy")
def test_signs_in_names_pass_the_stages(project: Path, snakemake: Snakemake, odd: Path) -> None:
    records = [f"{RESULTS}/sources/id1_{number:04d}.json" for number in range(len(FIT))]
    masters = [f"{RESULTS}/dataset/DFDM_crf0/real/id1_{number:04d}_real.mp4" for number in (0, 7)]
    done = snakemake(*records, *masters, "--cores", 2, "--configfile", odd)
    assert done.returncode == 0, done.stderr[-4000:]
    assert all((project / path).is_file() for path in (*records, *masters))
    assert not (project / "ran").exists()
    again = snakemake(*records, *masters, "--cores", 2, "--dry-run", "--configfile", odd)
    assert "Nothing to be done" in again.stdout + again.stderr
