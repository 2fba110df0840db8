"""Rates from a finished run, and a finished run compared with its forecast."""

import csv
import math
from collections import defaultdict
from pathlib import Path

from dfdm.base.errors import DfdmError
from dfdm.base.text import size_text, table
from dfdm.plan.estimate import Work
from dfdm.plan.graph import TARGET, Job
from dfdm.plan.rates import Rates, fit


def measured_seconds(job: Job) -> float | None:
    """A finished job's core seconds (CPU time, which other load changes little), None without a benchmark file."""
    file = Path(job.benchmark)
    if not file.is_file():
        return None
    with open(file, newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    try:
        return float(rows[-1]["cpu_time"]) or None
    except (IndexError, KeyError, ValueError):
        return None  # a job too short for a sample


def measure(work: Work, base: Rates) -> Rates:
    """Rates of a finished results folder, from its benchmark files and sizes; `base` fills what it does not give."""
    done: dict[str, list[tuple[dict[str, float], float]]] = defaultdict(list)
    encoded: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
    crops, raw, shown = 0.0, 0.0, 0.0  # bytes, bytes not packed, frames times pixels
    masks, masked = 0.0, 0.0  # bytes, frames times pixels
    for job in work.jobs:
        took, file = measured_seconds(job), Path(job.name)
        if took is not None:
            done[job.stage].append((work.features(job), took))
        if not file.is_file():
            continue
        if job.makes_video:
            frames, pixels = work.sizes[job.scene]
            encoded[job.crf or 0][0] += file.stat().st_size
            encoded[job.crf or 0][1] += frames * pixels
        if job.stage == "crops":
            crops += file.stat().st_size
            raw += work.sizes.crops(job.scene) or 0.0
            shown += work.sizes.kept(job.scene) * work.sizes[job.scene][1]
        if job.stage == "masks":
            masks += file.stat().st_size
            masked += math.prod(work.sizes[job.scene])
    if not done or not encoded:
        raise DfdmError(
            f"{work.cfg.results} contains no benchmark files of a finished run; run snakemake with this config first"
        )
    fitted = {
        stage: fit([one for one, _ in rows], [took for _, took in rows], base.seconds.get(stage, {}))
        for stage, rows in done.items()
    }
    found = {
        "source": f"measured on {work.cfg.results}",
        "seconds": {**base.seconds, **fitted},
        "bytes_pixel": {crf: float(f"{size / pixels:.4g}") for crf, (size, pixels) in sorted(encoded.items())},
        "crop_bytes_pixel": float(f"{raw / shown:.4g}") if raw else base.crop_bytes_pixel,
        "mask_bytes_pixel": float(f"{masks / masked:.4g}") if masked else base.mask_bytes_pixel,
        "crop_ratio": base.crop_ratio | ({work.cfg.crops.codec: float(f"{raw / crops:.4g}")} if raw else {}),
    }
    return base.model_copy(update=found)


def compare(work: Work, rates: Rates) -> str:
    """A finished run compared with the forecast of its jobs: core seconds and bytes by stage."""
    at: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0, 0.0])
    for job in work.jobs:
        took, made = measured_seconds(job), Path(job.name)
        row = at[job.stage]
        if took is not None:
            row[0] += work.core_seconds(job, rates)
            row[1] += took
        if made.is_file() and (job.makes_video or job.stage in ("train", "crops", "masks")):
            row[2] += work.disk(job, rates)
            row[3] += sum(Path(path).stat().st_size for path in job.outputs)
    at.pop(TARGET, None)
    at["together"] = [sum(row[place] for row in at.values()) for place in range(4)]
    head = ("stage", "forecast s", "core s", "off", "forecast", "disk", "off")

    def off(forecast: float, found: float) -> str:
        return f"{100 * (forecast / found - 1):+.0f} %" if found else ""

    rows: list[tuple[str, ...]] = [
        (stage, f"{a:.1f}", f"{b:.1f}", off(a, b), size_text(c), size_text(d), off(c, d))
        for stage, (a, b, c, d) in at.items()
    ]
    return table(head, rows)
