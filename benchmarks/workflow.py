"""What the workflow costs beside the work itself: a process for every job, and Snakemake's bookkeeping."""

import argparse
import contextlib
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.timing import in_turn
from dfdm.base.errors import DfdmError
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout
from dfdm.catalogue.sources import placeholders
from dfdm.plan.estimate import FRAMES, SIZE, Sizes
from dfdm.plan.graph import build

ROOT = Path(__file__).resolve().parent.parent
SCHEDULING = 0.025  # seconds a job that Snakemake itself takes (part `workflow`)
IMPORTS = {  # what each command has imported before it begins
    "render": "dfdm.dataset.sidecar, dfdm.base.compute, generators.checkpoint, generators.swap",
    "encode": "dfdm.dataset.sidecar",
    "crops": "dfdm.dataset.crops",
}


def _run(*command: str) -> str:
    """What a command printed."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise DfdmError(f"'{' '.join(command)}' failed: {done.stdout[-500:]}{done.stderr[-500:]}")
    return done.stdout + done.stderr


def overhead_rows(cfg: Config, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Rendering, encoding and cutting of crops again, from the config's finished results into a scratch folder.

    `start`: the command's imports alone. What is left, by frames and pixels, is the job's own work for a video of full
    size. Of the first clip and the last model.
    """
    clip, model = cfg.clips[0], list(cfg.models)[-1]
    crf = max(cfg.qualities)
    frames, pixels = Sizes(cfg)[clip.scene_key]
    larger = FRAMES * SIZE[0] * SIZE[1] / (frames * pixels)
    with tempfile.TemporaryDirectory() as scratch:
        here, there, name = Layout(cfg.results), Layout(scratch), clip.clip
        weights, master = here.checkpoint("_".join(clip.pair or ()), model), here.video(name, model, 0)
        words = {
            "render": ["--checkpoint", weights, "--out", there.video(name, model, 0)],
            "encode": ["--master", master, "--out", there.video(name, model, crf)],
            "crops": ["--video", here.video(name, model, crf), "--out", there.crops(name, model, crf)],
        }
        for stage, imports in IMPORTS.items():
            track = ["--config", args.config, "--track", here.track(clip.scene_key)]
            start = [sys.executable, "-c", f"import dfdm.commands.cli, dfdm.commands.inputs, {imports}"]
            whole = [str(Path(sys.executable).with_name("dfdm")), stage, *track, *words[stage]]
            taken = in_turn({"start": partial(_run, *start), "whole": partial(_run, *whole)}, args.seconds, least=3)
            begun = median(taken["start"])
            own = max(median(taken["whole"]) - begun, 1e-3) * larger
            yield {"stage": stage, "start_s": begun, "own_work_s": own, "share": (begun + SCHEDULING) / own}


def workflow_rows(cfg: Config, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Dry runs of one model at one quality and of everything, and a second run that finds nothing to do.

    In a folder of its own, on empty files instead of videos and outputs: nothing is trained or rendered. The
    outputs are recorded by `snakemake --touch`, whose seconds a job are the cost of scheduling.
    """
    sources = cfg.sources.model_copy(update={"root": "videos"})
    cfg = cfg.model_copy(update={"sources": sources, "results": "results"})
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for name in ("workflow", "envs"):
            shutil.copytree(ROOT / name, name)
        plan = Path("plan.json")
        plan.write_text(cfg.model_dump_json())
        placeholders(cfg)
        for target in (f"{next(iter(cfg.models))}_crf{max(cfg.qualities)}", "all"):
            yield _snakemake(f"dry run of {target}", target, "--dry-run")
        jobs = [job for job in build(plan)[0] if job.outputs]  # in the order of the rules: inputs first
        for place, path in enumerate(Path(path) for job in jobs for path in job.outputs):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            os.utime(path, (time.time() - 10_000 + place / 10,) * 2)
        row = _snakemake("touch run", "all", "--touch")
        yield {**row, "jobs": len(jobs), "ms_a_job": 1000 * row["seconds"] / len(jobs)}
        yield _snakemake("second run, nothing to do", "all")


def _snakemake(what: str, *words: str) -> dict[str, Any]:
    """Seconds and jobs of a run of Snakemake, and the peak MB of the largest child so far."""
    start = time.perf_counter()
    text = _run(
        sys.executable, "-m", "snakemake", *words, *["--cores", "2", "--quiet", "rules", "--configfile", "plan.json"]
    )
    seconds, peak = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    jobs = re.search(r"^total +(\d+)$", text, re.MULTILINE)
    return {"what": what, "jobs": int(jobs[1]) if jobs else 0, "seconds": seconds, "peak_mb": peak}
