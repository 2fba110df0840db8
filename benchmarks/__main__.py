"""`python -m benchmarks`: the speed and memory figures of the project, measured in one run of some eight minutes."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks import classifiers, detection, memory, rendering, steps, workflow
from benchmarks.timing import Others
from dfdm.base.errors import DfdmError
from dfdm.base.files import write_json
from dfdm.base.machine import cpu_model
from dfdm.catalogue import config
from dfdm.catalogue.config import Config
from generators.models import names

Rows = Callable[[Config, argparse.Namespace], Iterator[dict[str, Any]]]
PARTS: dict[str, Rows] = {
    "peak": steps.peak_rows,
    "step": steps.step_rows,
    "augment": steps.augment_rows,
    "render": rendering.render_rows,
    "memory": memory.memory_rows,
    "loop": classifiers.loops,
}
MORE: dict[str, Rows] = {  # only where named; `loader` and `overhead` need the config's finished results
    "faces": detection.faces_rows,
    "keras": steps.keras_rows,
    "models": classifiers.model_rows,
    "loader": classifiers.loader_rows,
    "overhead": workflow.overhead_rows,
    "workflow": workflow.workflow_rows,
}


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as a Markdown table."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, ["---"] * len(names)]
    lines += [[_cell(row.get(name, "")) for name in names] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: Any) -> str:
    """Three figures of a fraction."""
    if not isinstance(value, float):
        return "-" if value is None else str(value)
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def measure(part: str, cfg: Config, args: argparse.Namespace) -> dict[str, Any]:
    """Measure and print one part; each row is also printed on stderr as soon as it is known."""
    rows = []
    with Others() as others:
        for row in (PARTS | MORE)[part](cfg, args):
            rows.append(row)
            told = ", ".join(f"{name} {_cell(value)}" for name, value in row.items())
            print(f"  {told}", file=sys.stderr, flush=True)
    print(f"\n## {part}\n\n{table(rows)}", flush=True)
    if part != "memory" and others.share > 0.1:
        print(f"(other processes kept {others.share:.1f} CPUs busy meanwhile: repeat on a quiet machine)")
    return {"rows": rows, "other_processes": round(others.share, 2)}


def parse(words: list[str] | None) -> argparse.Namespace:
    """The command line."""
    known = f"{', '.join(PARTS)}; and {', '.join(MORE)}"
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__.split(":", 1)[1].strip())
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{known}, which run only where they are named")
    parser.add_argument("--config", default="config.yaml", help="whose settings, clip and results are used")
    parser.add_argument("--models", nargs="+", default=list(config.MODELS), choices=names(), metavar="MODEL")
    every = classifiers.models.names()
    parser.add_argument(
        "--classifiers", nargs="+", default=every, choices=every, metavar="NAME", help="models: of which"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="at full size; default: every core")
    parser.add_argument("--seconds", type=float, default=6.0, help="for a measurement's repeats, after the first round")
    parser.add_argument("--frames", type=int, default=80, help="of the clip that is rendered")
    parser.add_argument("--width", type=float, default=1.0, help="instead of full width, 1")
    parser.add_argument("--batch", type=int, default=16, help="instead of full size's 16 faces a side")
    parser.add_argument("--quick", action="store_true", help="loop: only depth 18 at 96 pixels")
    parser.add_argument("--json", type=Path, help="write the results here too; parts not run stay as they are")
    parser.add_argument("--profile", metavar="MODEL", choices=names(), help="show where a step's time goes instead")
    parser.add_argument("--demo", action="store_true", help="with --profile: the config's settings, not full size")
    args = parser.parse_args(words)
    if unknown := sorted(set(args.parts) - set(PARTS | MORE)):
        parser.error(f"there is no part {unknown[0]}; known are {known}")
    return args


def main(words: list[str] | None = None) -> int:
    """Measure, print, write."""
    args = parse(words)
    try:
        cfg = config.load(args.config)
        if args.profile:
            print(steps.profile_table(args.profile, cfg.settings(args.profile) if args.demo else steps.full_size(args)))
            return 0
        results = json.loads(args.json.read_text()) if args.json and args.json.exists() else {}
        results["machine"] = {"cpu": cpu_model(), "cores": os.cpu_count(), "torch": torch.__version__}
        print(f"{cpu_model()}, {os.cpu_count()} cores, torch {torch.__version__}", flush=True)
        for part in args.parts or PARTS:
            results[part] = measure(part, cfg, args)
            if args.json:
                write_json(args.json, results)
    except DfdmError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
