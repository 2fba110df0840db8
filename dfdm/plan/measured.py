"""Rates from a finished run, and a finished run beside what rates foretell of it."""

import csv
from collections import defaultdict
from pathlib import Path

from dfdm.base.errors import DfdmError
from dfdm.base.names import REAL, encoded_of
from dfdm.base.text import table
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout
from dfdm.plan import rates as costs
from dfdm.plan.estimate import Assumed, Sizes, core_seconds, features, job_bytes, stage_of
from dfdm.plan.jobs import Job, jobs_of
from dfdm.plan.rates import Rates
from dfdm.plan.tables import amount


def _benchmark_of(at: Layout, job: Job) -> str:
    """Where Snakemake wrote a job's seconds."""
    name, run = Path(job.makes[0]).stem, job.run.replace("/", "_")
    return {
        "sources_probe": at.benchmark("sources_probe", job.scene),
        "sources_predictor": at.benchmark("sources_predictor", "predictor"),
        "sources_identity": at.benchmark("sources_identity", "identity"),
        "faces": at.benchmark("faces", job.scene),
        "train": at.benchmark("train", f"{job.pair}_{job.model}"),
        "render": at.benchmark("render", name),
        "original": at.benchmark("original", name.removesuffix(f"_{REAL}")),
        "encode": at.benchmark("encode", f"crf{job.crf}_{name}"),
        "crops": at.benchmark("crops", f"crf{job.crf}_{name}"),
        "evaluate": at.benchmark("evaluate", f"{job.pair}_{job.model}"),
        "manifest": at.benchmark("manifest", name),
        "attribution_tune": at.benchmark("attribution_tune", job.classifier),
        "attribution_train": at.benchmark("attribution_train", run),
        "attribution_score": at.benchmark("attribution_score", f"{run}_test_crf{job.crf}"),
        "region": at.benchmark("region", name),
        "controls": at.benchmark("controls", f"{job.classifier}_crf{job.crf}"),
        "attribution_comparison": at.benchmark("attribution_comparison", "comparison"),
        "report": at.benchmark("report", "report"),
    }[stage_of(job)]


def measured_seconds(cfg: Config, job: Job) -> float | None:
    """A finished job's core seconds (CPU time, which other load changes little), None where no benchmark file tells."""
    file = Path(_benchmark_of(Layout(cfg.results), job))
    if not file.is_file():
        return None
    with open(file, newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    try:
        return float(rows[-1]["cpu_time"]) or None
    except (IndexError, KeyError, ValueError):
        return None  # a job too short for a sample


def measure(cfg: Config, base: Rates) -> Rates:
    """Rates of a finished results folder, from its benchmark files and sizes; `base` fills what it does not tell."""
    sizes = Sizes(cfg, Assumed())
    done: dict[str, list[tuple[dict[str, float], float]]] = defaultdict(list)
    encoded: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
    crops = [0.0, 0.0]
    for job in jobs_of(cfg)[:-1]:
        took = measured_seconds(cfg, job)
        if took is not None:
            done[stage_of(job)].append((features(cfg, job, sizes), took))
        file = Path(job.makes[0])
        if not job.scene or not file.is_file():
            continue
        frames, pixels = sizes[job.scene]
        if job.rule == "crops":
            crops = [crops[0] + file.stat().st_size, crops[1] + frames * pixels]
        elif job.model:
            both = encoded[encoded_of(file).crf]
            both[0] += file.stat().st_size
            both[1] += frames * pixels
    if not done or not encoded:
        raise DfdmError(
            f"{cfg.results} holds no benchmark files of a finished run; run snakemake with this config first"
        )
    seconds = dict(base.seconds)
    for stage, rows in done.items():
        seconds[stage] = costs.fit([work for work, _ in rows], [took for _, took in rows], base.seconds.get(stage, {}))
    return costs.with_measured(
        base,
        f"measured on {cfg.results}",
        seconds=seconds,
        bytes_pixel={crf: float(f"{size / amount:.4g}") for crf, (size, amount) in sorted(encoded.items())},
        crop_bytes_pixel=float(f"{crops[0] / crops[1]:.4g}") if crops[1] else base.crop_bytes_pixel,
    )


def compare(cfg: Config, rates: Rates) -> str:
    """A finished run beside what these rates foretell of its jobs: core seconds and bytes by stage."""
    sizes = Sizes(cfg, Assumed())
    at: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0, 0.0])
    for job in jobs_of(cfg)[:-1]:
        took, made = measured_seconds(cfg, job), Path(job.makes[0])
        row = at[stage_of(job)]
        if took is not None:
            row[0] += core_seconds(stage_of(job), features(cfg, job, sizes), rates)
            row[1] += took
        if made.is_file() and stage_of(job) in ("train", "render", "original", "encode", "crops"):
            row[2] += job_bytes(cfg, job, sizes, rates)
            row[3] += sum(Path(path).stat().st_size for path in job.makes)
    at["together"] = [sum(row[place] for row in at.values()) for place in range(4)]
    head = ("stage", "foretold s", "core s", "off", "foretold", "disk", "off")

    def off(told: float, found: float) -> str:
        return f"{100 * (told / found - 1):+.0f} %" if found else ""

    rows: list[tuple[str, ...]] = [
        (stage, f"{a:.1f}", f"{b:.1f}", off(a, b), amount(c), amount(d), off(c, d))
        for stage, (a, b, c, d) in at.items()
    ]
    return table(head, rows)
