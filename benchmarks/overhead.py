"""What a job costs beside its own work at full size: the start of its process, and Snakemake's scheduling.

    python benchmarks/overhead.py [--config config.yaml] [--schedule-ms 25]

Runs one rendering, one encoding and one cutting of crops again, from a finished results folder into a scratch folder,
and each command's imports alone. What is left of a job after its imports, by frames and pixels, gives its own time for
a video of full size. `--schedule-ms`: Snakemake's time a job, as benchmarks/full_size.py measures it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from dfdm.catalogue.config import Config, load
from dfdm.catalogue.layout import Layout
from dfdm.plan.estimate import FRAMES, SIZE, Sizes

IMPORTS = {  # what each command has imported before it begins
    "render": "dfdm.dataset.sidecar, torch, dfdm.base.compute, generators.checkpoint, generators.swap",
    "encode": "dfdm.dataset.sidecar",
    "crops": "dfdm.dataset.crops",
}


def commands(cfg: Config, scratch: Path) -> dict[str, list[str]]:
    """The three commands, on the config's first clip and last model."""
    clip, model = cfg.clips[0], list(cfg.models)[-1]
    assert clip.pair is not None
    crf = next(crf for crf in reversed(cfg.qualities) if crf)
    here, there = Layout(cfg.results), Layout(str(scratch))
    name, track = clip.clip, ["--track", here.track(clip.scene_key)]
    weights, master = here.checkpoint("_".join(clip.pair), model), here.video(name, model, 0)
    return {
        "render": ["render", *track, "--checkpoint", weights, "--out", there.video(name, model, 0)],
        "encode": ["encode", *track, "--master", master, "--out", there.video(name, model, crf)],
        "crops": ["crops", *track, "--video", here.video(name, model, crf), "--out", there.crops(name, model, crf)],
    }


def seconds(command: list[str], repeats: int = 5) -> float:
    """Median wall seconds of a command."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        taken.append(time.perf_counter() - start)
        if done.returncode:
            sys.exit(f"{' '.join(command)}: {done.stderr[-500:]}")
    return median(taken)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("config.yaml"))
    parser.add_argument("--schedule-ms", type=float, default=25.0, help="Snakemake's milliseconds a job; default: 25")
    a = parser.parse_args()
    os.environ["DFDM_CONFIG"] = str(a.config)
    cfg = load(a.config)
    frames, pixels = Sizes(cfg)[cfg.clips[0].scene_key]
    larger = FRAMES * SIZE[0] * SIZE[1] / (frames * pixels)
    print(
        f"a video of {FRAMES} frames at {SIZE[0]}x{SIZE[1]}, by one of {frames} frames that is {larger:.1f} times less"
    )
    print("stage     start s  scheduling s  own work s    share")
    with tempfile.TemporaryDirectory() as scratch:
        for stage, words in commands(cfg, Path(scratch)).items():
            start = seconds([sys.executable, "-c", f"import dfdm.commands.cli, dfdm.commands.inputs, {IMPORTS[stage]}"])
            whole = seconds([str(Path(sys.executable).parent / "dfdm"), *words])
            own = max(whole - start, 0.0) * larger
            beside = start + a.schedule_ms / 1000
            row = f"{stage:8} {start:8.2f} {a.schedule_ms / 1000:13.3f} {own:11.2f} {beside / own:8.1%}"
            print(row, flush=True)


if __name__ == "__main__":
    main()
