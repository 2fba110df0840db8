"""The floors: import-linter holds them, sees imports inside functions, and covers every package and the rules."""

import ast
import re
import shutil
import subprocess
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
from setuptools import find_packages

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LINTER = PROJECT["tool"]["importlinter"]
FLOORS = [floor.split(" | ") for floor in LINTER["contracts"][0]["layers"]]  # from the roof down
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}


def room_of(module: str) -> str | None:
    """The room that a module is in; None of code that is not ours, and of `dfdm` itself."""
    return next((room for room in LEVEL if f"{module}.".startswith(f"{room}.")), None)


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the linter on the checkout in a folder."""
    return subprocess.run(["lint-imports", "--no-logo", "--no-cache"], cwd=folder, capture_output=True, text=True)


def test_no_import_points_up():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(LINTER['contracts'])} kept, 0 broken" in done.stdout


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ("dfdm.base.text", "dfdm.catalogue.config"),
        ("dfdm.media.masks", "generators.swap"),
        ("generators.losses", "attribution.score"),
        ("dfdm.plan.rates", "dfdm.report.times"),
    ],
)
def test_an_import_up_or_sideways_inside_a_function_fails_the_lint(tmp_path, low, high):
    for package in LINTER["root_packages"]:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / f"{low.replace('.', '/')}.py").open("a") as file:
        file.write(f"\n\ndef _peek() -> object:\n    import {high}\n\n    return {high}\n")
    done = lint(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{low} -> {high}" in re.sub(r"\s+", " ", done.stdout)


def test_no_contract_ignores_an_import_and_the_rooms_of_dfdm_are_exhaustive():
    assert not any("ignore_imports" in contract for contract in LINTER["contracts"])
    rooms = [contract for contract in LINTER["contracts"] if contract.get("containers") == ["dfdm"]]
    assert [contract["exhaustive"] for contract in rooms] == [True]
    inside = [[room.removeprefix("dfdm.") for room in floor if room.startswith("dfdm.")] for floor in FLOORS]
    assert [floor.split(" | ") for floor in rooms[0]["layers"]] == [floor for floor in inside if floor]


def test_every_package_of_the_project_stands_on_a_floor():
    packages = find_packages(str(ROOT), **PROJECT["tool"]["setuptools"]["packages"]["find"])
    assert {name for name in packages if room_of(name) is None} == {"dfdm"}
    assert {name.partition(".")[0] for name in [*packages, "benchmarks"]} == set(LINTER["root_packages"])
    assert {room for room in LEVEL if room not in packages} == {"benchmarks"}


def test_the_rules_import_from_the_plan_downwards():
    found = set()
    for path in [ROOT / "workflow/Snakefile", *sorted((ROOT / "workflow/rules").glob("*.smk"))]:
        for source, names in re.findall(r"^\s*(?:from (\S+) )?import (\([^)]*\)|.+)", path.read_text(), re.M):
            parts = re.findall(r"[\w.]+", re.sub(r" as \w+", "", names))
            found.update(f"{source}.{name}" if source else name for name in parts)
    ours = {name: room_of(name) for name in found if name.partition(".")[0] in LINTER["root_packages"]}
    assert {"dfdm.base", "dfdm.catalogue", "attribution"} <= set(ours.values())
    assert [name for name, room in ours.items() if room is None or LEVEL[room] < LEVEL["dfdm.plan"]] == []


@pytest.mark.long
def test_only_the_registry_imports_by_a_name_in_a_string():
    found = set()
    for package in LINTER["root_packages"]:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                name = getattr(node, "id", getattr(node, "attr", getattr(node, "name", None)))
                if name in ("import_module", "__import__", "EntryPoint", "run_module", "run_path"):
                    found.add((str(path.relative_to(ROOT)), name))
    assert found == {("dfdm/base/registry.py", "import_module"), ("dfdm/base/registry.py", "EntryPoint")}


def test_the_picture_shows_the_floors_of_the_contract():
    text = (ROOT / "docs/house.md").read_text().partition("```mermaid")[2].partition("```")[0]
    floors = re.findall(r"subgraph (\w+) .*?\n(.*?)\n +end", text, re.S)
    drawn = [re.findall(r'^ +([\w.]+)\["<b>([\w.]+)</b><br>.+"\]$', rooms, re.M) for _, rooms in floors]
    assert [[name for name, _ in rooms] for rooms in drawn] == [[title for _, title in rooms] for rooms in drawn]
    assert [[name for name, _ in rooms] for rooms in drawn] == FLOORS
    arrows = re.findall(r"^ +(\w+(?: --> \w+)+)$", text, re.M)
    assert [pair for chain in arrows for pair in pairwise(chain.split(" --> "))] == list(
        pairwise(name for name, _ in floors)
    )
    assert text.count("-->") == len(FLOORS) - 1
