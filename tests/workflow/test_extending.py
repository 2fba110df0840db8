"""docs/extending.md does what it says: its code is taken from the page and run, in a package outside the repository."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import SMALL

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs/extending.md").read_text()
Run = Callable[..., subprocess.CompletedProcess[str]]


def section(title: str) -> str:
    """The text below one of the page's titles."""
    return re.split(r"^## ", PAGE.partition(f"\n## {title}")[2], maxsplit=1, flags=re.M)[0]


def block(title: str, language: str) -> str:
    """The one piece of code of a language below a title."""
    (code,) = re.findall(rf"^```{language}\n(.*?)^```$", section(title), re.S | re.M)
    return code


def runner(folder: Path, *path: Path) -> Run:
    """A function that runs a command in a folder, with `path` before other code; the command must succeed."""

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), "DFDM_CONFIG": "small.yaml"}
        done = subprocess.run(list(map(str, words)), cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done

    return run


@pytest.fixture(scope="module")
def extras(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip installed the page's package."""
    source, target = tmp_path_factory.mktemp("extras"), tmp_path_factory.mktemp("installed")
    (source / "dfdm_extras").mkdir()
    (source / "pyproject.toml").write_text(block("In a package", "toml"))
    (source / "dfdm_extras/__init__.py").touch()
    (source / "dfdm_extras/slim.py").write_text(block("An autoencoder", "python"))
    (source / "dfdm_extras/flicker.py").write_text(block("A classifier", "python"))
    install = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", target, source]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True)
    return target


@pytest.fixture
def run(extras: Path, tmp_path: Path) -> Run:
    """Run commands of this checkout in a new folder whose config asks for the package's two models."""
    values = yaml.safe_load(SMALL.read_text())
    values |= {"models": {"slim": {}}, "crf": [0]}
    values["evaluate"]["identity"] = None
    values["attribution"] |= {"model": "flicker", "options": {"gain": 2.0}, "real": True}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    return runner(tmp_path, extras, ROOT)


def test_an_installed_autoencoder_and_classifier_are_checked_and_planned(run: Run, tmp_path: Path) -> None:
    assert "3 swapped videos and 3 originals, 1 models" in run("dfdm", "check").stdout
    planned = json.loads(run("dfdm", "plan", "--json").stdout)["parts"]
    costs = {part["stage"]: part for part in planned if part["model"] == "slim"}
    assert (costs["train"]["jobs"], costs["render"]["videos"]) == (1, 3)
    assert costs["train"]["cpu_hours"] > 0
    assert [part["cpu_hours"] > 0 for part in planned if part["stage"] == "attribution_train"] == [True]


@pytest.mark.slow
def test_an_installed_autoencoder_and_classifier_go_through_the_pipeline_and_the_benchmarks(
    run: Run, tmp_path: Path, finished: Path
) -> None:
    results = tmp_path / "results-small"
    for name in ("sources", "faces"):
        shutil.copytree(finished / "results-small" / name, results / name)  # keeps every file's time of change
    run("snakemake", "--snakefile", ROOT / "workflow/Snakefile", "--configfile", "small.yaml", "--cores", 2)
    trained = json.loads((results / "attribution/flicker/scene/crf0/seed0/training.json").read_text())
    assert (trained["classes"], trained["settings"]["options"]) == (["slim", "real"], {"gain": 2.0})
    videos = pd.read_parquet(results / "manifests/dataset.parquet")
    assert videos.groupby("model").size().to_dict() == {"real": 3, "slim": 3}
    page = (results / "report.html").read_text()
    assert all(word in page for word in ("slim", "flicker", "dfdm-extras"))
    words = ["step", "render", "memory", "models", "--models", "slim", "--classifiers", "flicker", "--frames", 8]
    words += ["--width", 0.02, "--batch", 1, "--threads", 1, "--seconds", 0, "--config", "small.yaml"]
    run(sys.executable, "-m", "benchmarks", *words, "--json", "found.json")
    measured = json.loads((tmp_path / "found.json").read_text())
    assert {part: measured[part]["rows"][0]["model"] for part in words[:4]} == dict(
        zip(words[:4], ["slim", "slim", "slim", "flicker"])
    )


def edits() -> list[tuple[str, str, str]]:
    """What the page says of a stage: a file of the repository, where in it (a line, or "end"), and the code."""
    pieces = re.findall(r"^\*\*\d\. .+?\*\* (.+?)\n```python\n(.*?)^```$", section("A stage"), re.S | re.M)
    found = []
    for words, code in pieces:
        (path,) = re.findall(r"`(\S+\.(?:py|smk))`", words)
        line = re.search(r"(above|below) the line\s`(.+?)`", words)
        found.append((path, f"{line[1]} {line[2]}" if line else "end" if "end of" in words else "new", code))
    return found


def apply(folder: Path, path: str, where: str, code: str) -> None:
    """Make one of the page's edits in a copy of the repository."""
    file = folder / path
    assert file.exists() == (where != "new"), path
    old = file.read_text() if file.exists() else ""
    if found := re.fullmatch(r"(above|below) (.+)", where):
        line = f"{found[2]}\n"
        assert old.count(line) == 1, where
        file.write_text(old.replace(line, code + "\n\n" + line if found[1] == "above" else line + code))
    else:
        file.write_text(f"{old}\n\n{code}".lstrip())


def test_the_pages_stage_runs_after_its_six_edits_and_no_other(tmp_path: Path, finished: Path) -> None:
    for name in ("dfdm", "generators", "attribution", "benchmarks", "snakemake_logger_plugin_dfdm", "workflow", "envs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (ROOT / "pyproject.toml", ROOT / "config.yaml", SMALL):
        shutil.copy(path, tmp_path)
    for name in (".snakemake", "results-small"):
        shutil.copytree(finished / name, tmp_path / name)
    for edit in edits():
        apply(tmp_path, *edit)
    assert len({path for path, _, _ in edits()}) == len(edits()) == 6
    run = runner(tmp_path, tmp_path)
    run("ruff", "format", "--quiet", ".")
    run("ruff", "check", "--quiet", ".")
    run("lint-imports", "--no-cache")
    assert "jitter" in run("dfdm", "--help").stdout

    def left() -> dict[str, int]:
        parts = json.loads(run("dfdm", "plan", "--json").stdout)["parts"]
        return {part["stage"]: part["left"] for part in parts if part["left"]}

    assert left() == {"jitter": 4, "target": 1}
    run("snakemake", "--configfile", "small.yaml", "--cores", 2)
    found = [json.loads(path.read_text()) for path in sorted((tmp_path / "results-small/jitter").glob("*.json"))]
    assert [one["scene"] for one in found] == ["id0_0000", "id0_0001", "id0_0002", "id1_0000"]
    assert all(0 < one["mean"] < 0.05 and one["frames"] > 5 for one in found)
    code = "from dfdm.report.times import *; print(*((t.rule, t.jobs, t.bytes > 0) for t in read_times(Layout('{}'))))"
    assert "('jitter', 4, True)" in run(sys.executable, "-c", code.format("results-small")).stdout
    changed = yaml.safe_load(SMALL.read_text())
    changed["render"]["smooth"] = 2.0
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(changed, sort_keys=False))
    assert left()["jitter"] == 4


def test_the_page_counts_its_places_and_names_files_that_exist() -> None:
    counted = dict(re.findall(r"^\| an? (\w+).*? \| (\d) \|", PAGE, re.M))
    assert counted == {"autoencoder": "1", "classifier": "1", "layout": "2", "control": "2", "stage": "6"}
    new = {path for path, where, _ in edits() if where == "new"}
    named = set(re.findall(r"`([\w/]+/[\w/]*\.(?:py|smk|html))`", PAGE)) - new
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []
