"""docs/extending.md does what it says: its code is taken from the page and run, in a package outside the repository."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml
from safetensors import safe_open

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/extending.md").read_text()
Run = Callable[..., subprocess.CompletedProcess[str]]


def block(title: str, language: str) -> str:
    """The code of a language below one of the page's titles."""
    section = re.split(r"^## ", PAGE.partition(f"\n## {title}")[2], maxsplit=1, flags=re.M)[0]
    (code,) = re.findall(rf"^```{language}\n(.*?)^```$", section, re.S | re.M)
    return code


@pytest.fixture(scope="module")
def extras(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the page's package was installed by pip."""
    source, target = tmp_path_factory.mktemp("extras"), tmp_path_factory.mktemp("installed")
    (source / "dfdm_extras").mkdir()
    (source / "pyproject.toml").write_text(block("In a package", "toml"))
    (source / "dfdm_extras/__init__.py").touch()
    (source / "dfdm_extras/slim.py").write_text(block("An autoencoder", "python"))
    (source / "dfdm_extras/flicker.py").write_text(block("A classifier", "python"))
    install = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", target, source]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True)
    return target


@pytest.fixture(scope="module")
def run(extras: Path, finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run a command beside the small run's videos, with the package on the path; it must succeed."""
    values = yaml.safe_load((ROOT / "tests/configs/small.yaml").read_text())
    values |= {"models": {"slim": {}}, "crf": [23]}
    values["evaluate"]["identity"] = None
    values["attribution"] |= {"model": "flicker", "options": {"gain": 2.0}, "real": True}
    folder = tmp_path_factory.mktemp("run")
    (folder / "mine.yaml").write_text(yaml.safe_dump(values))

    def command(*words: object) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join(map(str, (extras, ROOT)))
        environment = {**os.environ, "PYTHONPATH": path, "DFDM_CONFIG": "mine.yaml"}
        done = subprocess.run(list(map(str, words)), cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done

    return command


def test_a_package_outside_the_repository_adds_an_autoencoder_and_a_classifier(run: Run, finished: Path) -> None:
    """Planned, trained, swapped, classified and on the page; nothing in the repository is edited."""
    planned = json.loads(run("dfdm", "plan", "--json").stdout)
    costs = {part["stage"]: part for part in planned["parts"] if part["model"] == "slim"}
    assert costs["train"]["jobs"] == 1
    assert costs["train"]["cpu_hours"] > 0
    assert costs["render"]["videos"] == 3
    run("cp", "-a", finished / "results-small", ".")
    run("snakemake", "--snakefile", ROOT / "workflow/Snakefile", "--configfile", "mine.yaml", "--cores", 2)
    results = Path(run("readlink", "-f", "results-small").stdout.strip())
    with safe_open(results / "train/id0_id1/slim/model.safetensors", "np") as file:
        assert json.loads(file.metadata()["dfdm"])["model"] == "slim"
    videos = pd.read_parquet(results / "manifests/dataset.parquet")
    assert videos.groupby("model").size().to_dict() == {"real": 3, "slim": 3}
    scores = json.loads((results / "attribution/flicker/scene/crf0/seed0/test_crf0/scores.json").read_text())
    assert scores["training"]["classes"] == ["slim", "real"]
    assert scores["training"]["settings"]["options"] == {"gain": 2.0}
    page = (results / "report.html").read_text()
    for words in ("slim", "flicker", "dfdm-extras"):
        assert words in page
    assert run("snakemake", "--snakefile", ROOT / "workflow/Snakefile", "--configfile", "mine.yaml", "--cores", 2)
