"""`python -m benchmarks`: the speed and memory figures of the project, measured in one run of some eight minutes."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks import classifiers, memory, rendering, steps
from benchmarks.timing import Others, seconds
from dfdm.base import compute
from dfdm.base.errors import DfdmError
from dfdm.base.files import atomic
from dfdm.base.machine import cpu_model
from dfdm.catalogue import config
from dfdm.catalogue.config import Config
from generators.settings import TrainConfig

PARTS = ("peak", "step", "augment", "render", "memory", "loop")


def full(cfg: Config, args: argparse.Namespace) -> TrainConfig:
    """Full size: the defaults, in as many threads as the machine has cores."""
    return TrainConfig(width=args.width or 1.0, batch=args.batch or 16, threads=args.threads)


def peak(cfg: Config, args: argparse.Namespace) -> list[dict[str, Any]]:
    """The fastest of some matrix products, by precision and threads."""
    half = compute.amp_dtype(torch.device("cpu"))
    rows = []
    for dtype in (torch.float32, half) if half else (torch.float32,):
        for threads in sorted({1, args.threads}):
            run = steps.peak(threads, dtype)
            rate = steps.peak_rate([seconds(run) for _ in range(12)])
            rows.append({"precision": str(dtype).removeprefix("torch."), "threads": threads, "gflops": rate})
    return rows


def step(cfg: Config, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Training steps with data, at full size and as the config has them, against the plain way."""
    contenders = {kind: steps.Contender(kind) for kind in ("ours", "plain")}
    rows = []
    try:
        for name in args.models:
            for settings, count in ((full(cfg, args), 1), (cfg.settings(name), 10)):
                rows.append(steps.step_row(name, settings, contenders, args.seconds, count))
                note(f"{name}, width {settings.width:g}: {rows[-1]['step_ms']:.1f} ms a step")
    finally:
        for contender in contenders.values():
            contender.close()
    return rows


def augment(cfg: Config, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Augmented faces a second, at the two sizes and at the full and the config's batch."""
    rows = []
    for name in ("faceswap", "dfl_h128"):
        for settings in (full(cfg, args), cfg.settings(name)):
            rows.append(steps.augment_row(name, settings, args.seconds / 4))
    return rows


def render(cfg: Config, args: argparse.Namespace) -> list[dict[str, Any]]:
    """A real clip through each model, at full size and at the config's width."""
    clip = rendering.real_clip(cfg, args.frames)
    rows = []
    for name in args.models:
        for width in dict.fromkeys((args.width or 1.0, cfg.settings(name).width)):
            rows.append(rendering.render_row(name, width, cfg, clip, args.seconds / 2))
            note(
                f"{name}, width {width:g}: {rows[-1]['frames_per_second']:.1f} frames/s, "
                f"{rows[-1]['times_parts']:.2f} times its parts"
            )
    return rows


def memory_part(cfg: Config, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Memory of each model's training at full size."""
    rows = []
    for name in args.models:
        rows.append(memory.memory_row(name, full(cfg, args)))
        note(f"{name}: {rows[-1]['cpu_peak_gb']:.2f} GB")
    return rows


def loop(cfg: Config, args: argparse.Namespace) -> list[dict[str, Any]]:
    """DMA-STA in training and inference against the same network run one frame at a time."""
    rows = []
    device = compute.resolve_device(cfg.device)
    torch.set_num_threads(args.threads)
    for setup in classifiers.LOOPS[: 1 if args.quick else None]:
        rows += classifiers.loop_rows(*setup, classifiers.CHUNKS, args.seconds, device)
        note(f"{rows[-1]['DMA-STA']}: training {rows[-1]['times_loop']:.2f} times as fast as the loop")
    return rows


RUN: dict[str, Callable[[Config, argparse.Namespace], list[dict[str, Any]]]] = {
    "peak": peak,
    "step": step,
    "augment": augment,
    "render": render,
    "memory": memory_part,
    "loop": loop,
}


def note(text: str) -> None:
    """Progress, beside the tables."""
    print(f"  {text}", file=sys.stderr, flush=True)


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as a Markdown table; three figures of a fraction."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, ["---"] * len(names)]
    lines += [[_cell(row.get(name, "")) for name in names] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def parse(words: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__.split(":", 1)[1].strip())
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; all by default")
    parser.add_argument("--config", default="config.yaml", help="whose demo settings and clip are used")
    parser.add_argument("--models", nargs="+", default=list(config.MODELS), choices=config.MODELS, metavar="MODEL")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="at full size; default: every core")
    parser.add_argument("--seconds", type=float, default=6.0, help="for a measurement's repeats, after the first round")
    parser.add_argument("--frames", type=int, default=80, help="of the clip that is rendered")
    parser.add_argument("--width", type=float, help="in the place of full width, 1")
    parser.add_argument("--batch", type=int, help="in the place of full size's 16 faces a side")
    parser.add_argument("--quick", action="store_true", help="loop: depth 18 at 96 pixels alone")
    parser.add_argument("--json", type=Path, help="write the results here too; parts not run stay as they are")
    parser.add_argument(
        "--profile", metavar="MODEL", choices=config.MODELS, help="show where a step's time goes instead"
    )
    parser.add_argument("--demo", action="store_true", help="with --profile: the config's settings, not full size")
    args = parser.parse_args(words)
    if unknown := sorted(set(args.parts) - set(PARTS)):
        parser.error(f"there is no part {unknown[0]}; known are {', '.join(PARTS)}")
    return args


def main(words: list[str] | None = None) -> int:
    """Measure, print, write."""
    args = parse(words)
    try:
        cfg = config.load(args.config)
        if args.profile:
            print(steps.profile_table(args.profile, cfg.settings(args.profile) if args.demo else full(cfg, args)))
            return 0
        results = json.loads(args.json.read_text()) if args.json and args.json.exists() else {}
        results["machine"] = {"cpu": cpu_model(), "cores": os.cpu_count(), "torch": torch.__version__}
        print(f"{cpu_model()}, {os.cpu_count()} cores, torch {torch.__version__}", flush=True)
        for part in args.parts or PARTS:
            with Others() as others:
                rows = RUN[part](cfg, args)
            results[part] = {"rows": rows, "other_processes": round(others.share, 2)}
            print(f"\n## {part}\n\n{table(rows)}", flush=True)
            if part != "memory" and others.share > 0.1:
                print(f"(other processes kept {others.share:.1f} CPUs busy meanwhile: repeat on a quiet machine)")
            if args.json:
                with atomic(args.json) as temporary:
                    temporary.write_text(json.dumps(results, indent=1) + "\n")
    except DfdmError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
