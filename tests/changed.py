"""Print what pytest is to run after a change: the test files that import a changed module, directly or not.

Changed: what `git status` shows; where that is nothing, every test file. Files that are no modules of the project
(rules, configs) are covered by the tests of the workflow, which `make check` leaves to `make test`.
"""

import ast
import subprocess
from pathlib import Path

import grimp

ROOT = Path(__file__).parent.parent
PACKAGES = ("dfdm", "generators", "attribution", "benchmarks", "snakemake_logger_plugin_dfdm")


def imported(path: Path) -> set[str]:
    """Every module that a file's imports may name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def affected(paths: list[str]) -> set[str]:
    """The modules of these paths, and those that import them, directly or not."""
    graph = grimp.build_graph(*PACKAGES)
    parts = [Path(path).with_suffix("").parts for path in paths if path.endswith(".py")]
    changed = {".".join(part[:-1] if part[-1] == "__init__" else part) for part in parts} & graph.modules
    by_name = graph.find_modules_that_directly_import("dfdm.base.registry")
    changed |= {module.rpartition(".")[0] for module in changed} & by_name
    return changed.union(*(graph.find_downstream_modules(module) for module in changed))


def main() -> None:
    """One test file a line; the whole folder where nothing is changed."""
    command = ["git", "status", "--porcelain", "--untracked-files=all", "--no-renames"]
    lines = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    paths = [line[3:].strip('"') for line in lines]
    modules = affected(paths)
    tests = {path.relative_to(ROOT): imported(path) for path in sorted((ROOT / "tests").rglob("test_*.py"))}
    chosen = [str(path) for path, names in tests.items() if names & modules or str(path) in paths]
    print("\n".join(chosen if paths else ["tests"]))


if __name__ == "__main__":
    main()
