"""A results folder of an earlier version: recognised, and given today's names without making anything again.

Snakemake's records of the outputs (.snakemake, in the folder in which it runs) name rules, inputs and logs too. They
are rewritten, not deleted, so that Snakemake still notices later changes. Checkpoints and states keep place and key.
"""

import json
import os
import re
import shutil
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dfdm.base.errors import DfdmError
from dfdm.catalogue.config import Config

STORE = Path(".snakemake")
# Below the results folder; `*` is a part of a name. A path takes the first one that it is or that contains it.
_MOVED = {
    "evaluation": "evaluate",
    "attribution/*/rate.json": "attribution/*/tune.json",
    "logs/attribution/rate_*.log": "logs/attribution_tune/*.log",
    "logs/attribution": "logs/attribution_train",
    "logs/score": "logs/attribution_score",
    "logs/comparison.log": "logs/attribution_comparison/comparison.log",
    "logs/report.log": "logs/report/report.log",
    "logs/sources/predictor.log": "logs/sources_predictor/predictor.log",
    "logs/sources/identity.log": "logs/sources_identity/identity.log",
    "logs/sources": "logs/sources_probe",
    "benchmarks/source": "benchmarks/sources_probe",
    "benchmarks/predictor": "benchmarks/sources_predictor",
    "benchmarks/identity": "benchmarks/sources_identity",
    "benchmarks/attribution_rate": "benchmarks/attribution_tune",
    "benchmarks/attribution": "benchmarks/attribution_train",
    "benchmarks/score": "benchmarks/attribution_score",
    "benchmarks/comparison": "benchmarks/attribution_comparison",
}
_PATTERNS = [
    (re.compile(re.escape(old).replace(r"\*", "([^/]+)") + "(?P<rest>/.*)?"), new) for old, new in _MOVED.items()
]
_RULES = {
    "source": "sources_probe",
    "predictor": "sources_predictor",
    "identity": "sources_identity",
    "track": "faces",
    "tune": "attribution_tune",
    "classify": "attribution_train",
    "score": "attribution_score",
    "compare": "attribution_comparison",
    "control": "controls",
    "page": "report",
}
_CODE = {"{params.rate}": "{params.tune}", "dfdm attribution compare ": "dfdm attribution comparison "}


def check_version(results: str | Path) -> None:
    """Raise DfdmError where a results folder contains files under names of an earlier version."""
    if found := _earlier(Path(results)):
        raise DfdmError(
            f"results '{results}' has files of an earlier version ({found[0]}{', ...' if len(found) > 1 else ''}); "
            "run 'dfdm migrate' with this config first"
        )


def migrate(cfg: Config) -> str:
    """Rename results, logs, benchmarks and Snakemake's records of them; what was done, in words.

    Run it in Snakemake's folder. It may be run again, also after an interruption: the records come first, so the folder
    counts as an earlier version's until the last file is renamed. Raises DfdmError, with nothing changed, while
    Snakemake works in the folder and where a file is under both names.
    """
    root = Path(cfg.results)
    if not (earlier := _earlier(root)):
        return f"{root} contains no files of an earlier version: nothing to do"
    if not STORE.is_dir():
        raise DfdmError(
            f"{Path.cwd()} has no {STORE}; run this where snakemake runs, so that its records are renamed too "
            f"('mkdir {STORE}' first if it never ran)"
        )
    if any((STORE / "locks").glob("*.lock")):
        raise DfdmError(
            f"snakemake works in {Path.cwd()}, or was killed in it; wait for its end, or remove {STORE}/locks "
            "if none runs now"
        )
    pairs = [(root / old, root / _new_name(old)) for old in earlier]
    for source, target in (move for pair in pairs for move in _moves(*pair)):
        if target.exists():
            raise DfdmError(f"{source} and {target} both exist; keep one of them, then run this again")
    records = _rewrite_records(cfg.results)
    for pair in pairs:  # in the table's order: the logs of tunings before the folder that contains them
        for source, target in _moves(*pair):
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)
        _remove_empty(pair[0])
    lines = [f"{old} -> {_new_name(old)}" for old in earlier]
    return "\n".join([*lines, f"{root}: {records} of Snakemake's records rewritten"])


def _earlier(root: Path) -> list[str]:
    """What is under an earlier version's name, in the order of the table."""
    return [str(path.relative_to(root)) for old in _MOVED for path in sorted(root.glob(old))]


def _new_name(path: str) -> str:
    """Today's name of a path below the results folder."""
    for pattern, new in _PATTERNS:
        if match := pattern.fullmatch(path):
            return new.replace("*", match[1] or "") + (match["rest"] or "")
    return path


def _moves(source: Path, target: Path) -> list[tuple[Path, Path]]:
    """The renames that bring `source` to `target`: one, or where both are folders those of what is inside."""
    if source.is_dir() and target.is_dir():
        return [move for inside in source.iterdir() for move in _moves(inside, target / inside.name)]
    return [(source, target)]


def _remove_empty(folder: Path) -> None:
    """Remove a folder whose files were moved into one that existed."""
    if folder.is_dir():
        for inside in list(folder.iterdir()):
            _remove_empty(inside)
        folder.rmdir()


def _rewrite_records(results: str) -> int:
    """Give the records of a results folder's files today's names; how many changed. Paths begin as the config's do."""
    head, changed, temporary = f"{results}/", 0, STORE / "dfdm_migrate.json"

    def new(path: str) -> str:
        return head + _new_name(path.removeprefix(head)) if path.startswith(head) else path

    for folder in (STORE / "metadata", STORE / "incomplete"):
        for path in [path for path in folder.rglob("*") if path.is_file()]:
            parts = path.relative_to(folder).parts
            try:
                name = urlsafe_b64decode("".join(part.removeprefix("@") for part in parts)).decode()
                record = json.loads(path.read_text())
            except ValueError:
                continue  # no record, or one half written: Snakemake ignores it too
            if not name.startswith(head):
                continue
            target, brought = _record_path(folder, new(name)), _brought_over(record, new)
            if (target, brought) == (path, record):
                continue
            temporary.write_text(json.dumps(brought))
            shutil.copymode(path, temporary)
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(target)
            if target != path:
                path.unlink()
            changed += 1
    return changed


def _record_path(folder: Path, name: str) -> Path:
    """Where Snakemake keeps the record of a file: its name in base64, in folders where that is long."""
    text, most = urlsafe_b64encode(name.encode()).decode(), os.pathconf(folder, "PC_NAME_MAX") - 1
    *heads, last = [text[start : start + most] for start in range(0, len(text), most)]
    return folder.joinpath(*(f"@{part}" for part in heads), last)


def _brought_over(record: dict[str, Any], new: Callable[[str], str]) -> dict[str, Any]:
    """A record with today's names; Snakemake compares inputs in sorted order."""
    found = dict(record)
    for key in ("input", "log"):
        if found.get(key):
            found[key] = sorted(map(new, found[key]))
    if found.get("input_checksums"):
        found["input_checksums"] = {new(path): value for path, value in found["input_checksums"].items()}
    if found.get("rule") in _RULES:
        found["rule"] = _RULES[found["rule"]]
    for old, text in _CODE.items():
        if found.get("code"):
            found["code"] = found["code"].replace(old, text)
    return found
