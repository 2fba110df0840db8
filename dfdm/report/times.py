"""What each stage of a run took: Snakemake's benchmark files of its jobs, and the bytes that are on disk of it."""

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dfdm.base.files import reading
from dfdm.base.names import REAL
from dfdm.base.records import FOLDER
from dfdm.catalogue.layout import UNRECORDED, Layout


@dataclass(frozen=True)
class RuleTime:
    """One stage: jobs, seconds in all, the longest job, the most memory in MiB (NaN: not measured), bytes written."""

    rule: str
    jobs: int
    seconds: float
    longest: float
    memory: float
    bytes: int


def read_times(layout: Layout) -> list[RuleTime]:
    """Every stage that has benchmarks, the slowest first; each stage has the folder of its name."""
    tables = defaultdict(list)
    folder = Path(layout.benchmarks)
    for path in sorted(folder.rglob("*.tsv")):
        tables[path.relative_to(folder).parts[0]].append(_read(path))
    written, times = bytes_written(layout), []
    for rule, parts in tables.items():
        table = pd.concat(parts)
        memory = float(pd.to_numeric(table["max_rss"], errors="coerce").max()) if "max_rss" in table else float("nan")
        seconds = table["s"]
        times.append(RuleTime(rule, len(table), seconds.sum(), seconds.max(), memory, written.get(rule, 0)))
    return sorted(times, key=lambda time: -time.seconds)


def _read(path: Path) -> pd.DataFrame:
    with reading(path, "not a benchmark of Snakemake", "run its job"):
        table = pd.read_csv(path, sep="\t", na_values=["-", "NA"])
        table["s"] = table["s"].astype(float)
    return table


def bytes_written(layout: Layout) -> dict[str, int]:
    """Bytes of each stage's outputs that are in the results folder, without their records, by the stage's name."""
    found: dict[str, int] = defaultdict(int)
    root = Path(layout.results)
    for folder, _, names in os.walk(root, followlinks=True):  # a stage's folder may be on another disk
        inside = Path(folder).relative_to(root).parts
        for name in names if FOLDER not in inside else ():
            if stage := _stage((*inside, name)):
                found[stage] += Path(folder, name).stat().st_size
    return dict(found)


def _stage(parts: tuple[str, ...]) -> str | None:
    """The stage that writes a file of the results folder, by its path's parts; None for logs and the like."""
    match parts:
        case ("sources", "predictor.json" | "identity.json"):
            return "sources_" + parts[1].removesuffix(".json")
        case ("dataset", quality, model, _):
            if quality != "DFDM_crf0":
                return "encode"
            return "original" if model == REAL else "render"
        case ("report.html",) | ("report", _):
            return "report"
        case ("attribution", "comparison.json") | ("attribution", _, "tune.json"):
            return "attribution_" + parts[-1].removesuffix(".json")
        case ("attribution", "unseen.json" | "unseen.parquet"):
            return "attribution_unseen"
        case ("attribution", *_, folder, _) if folder.startswith("test_crf"):
            return "attribution_treated" if "_" in folder.removeprefix("test_crf") else "attribution_score"
        case ("attribution", _, _, *_):
            return "attribution_train"
        case (folder, _, *_) if folder not in UNRECORDED:
            return {"sources": "sources_probe", "manifests": "manifest", "regions": "region"}.get(folder, folder)
    return None
