"""What the workflow's own bookkeeping costs at full size, on empty placeholder files: nothing is trained or rendered.

    python benchmarks/full_size.py FOLDER [--people-times 10] [--swaps 30] [--skip-second]

Prints wall seconds and peak memory of the full dry run, of `iae_crf23`, and of a second run that finds nothing to
do (every output an empty file, recorded by `snakemake --touch`; that run's seconds a job are the scheduling cost).
FOLDER is made and must not exist; remove it afterwards.
"""

import argparse
import copy
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import yaml

from dfdm.catalogue.config import load
from dfdm.catalogue.sources import placeholders
from dfdm.plan.graph import build

ROOT = Path(__file__).resolve().parent.parent


def enlarged(values: dict, times: int) -> dict:
    """A config with its people, pairs and scenes repeated under new numbers."""
    found = copy.deepcopy(values)
    people = values["sources"]["people"]
    step = 1 + max(int(person[2:]) for person in people)
    for copy_number in range(1, times):

        def moved(person: str, by: int = copy_number * step) -> str:
            return f"id{int(person[2:]) + by}"

        for person, entry in people.items():
            scenes = {n: {"path": f"Celeb-real/{moved(person)}_{n}.mp4"} for n in entry["scenes"]}
            found["sources"]["people"][moved(person)] = {**entry, "scenes": scenes}
        for swap in values["swaps"]:
            one, two, scene = swap.split("_")
            found["swaps"].append(f"{moved(one)}_{moved(two)}_{scene}")
    return found


def timed(folder: Path, *arguments: str) -> tuple[float, int, str]:
    """Run snakemake; wall seconds, peak MB of the largest child so far, and what it printed."""
    command = [
        sys.executable,
        "-m",
        "snakemake",
        *arguments,
        "--cores",
        "2",
        "--quiet",
        "rules",
        "--configfile",
        "plan.yaml",
    ]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(done.stdout[-2000:] + done.stderr[-3000:])
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024, done.stdout + done.stderr


def main() -> None:
    """Make the folder, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--people-times", type=int, default=1)
    parser.add_argument("--swaps", type=int, help="the first so many of the 430 swaps, for a short look")
    parser.add_argument("--skip-second", action="store_true")
    a = parser.parse_args()
    a.folder.mkdir(parents=True)
    for name in ("workflow", "envs"):
        shutil.copytree(ROOT / name, a.folder / name)
    values = enlarged(yaml.safe_load((ROOT / "workflow/configs/dfdm.yaml").read_text()), a.people_times)
    values["sources"]["root"] = "celeb"
    values["swaps"] = values["swaps"][: a.swaps]
    (a.folder / "plan.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    os.chdir(a.folder)
    cfg = load(Path("plan.yaml"))
    placeholders(cfg)
    for name in ("iae_crf23", "all"):  # the smaller first: the peak is that of the largest so far
        seconds, peak, text = timed(Path(), name, "--dry-run")
        (jobs,) = re.findall(r"^total +(\d+)$", text, re.MULTILINE)[:1]
        print(f"dry run of {name:10}: {int(jobs):7,} jobs, {seconds:6.1f} s, {peak} MB", flush=True)
    if a.skip_second:
        return
    jobs = [job for job in build(Path("plan.yaml"))[0] if job.outputs]  # in the order of the rules: inputs first
    now = time.time() - 10_000
    for place, job in enumerate(jobs):
        for path in job.outputs:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).touch()
            os.utime(path, (now + place / 10, now + place / 10))
    seconds, peak, _ = timed(Path(), "all", "--touch")
    print(
        f"touch run          : {len(jobs):7,} jobs, {seconds:6.1f} s, {1000 * seconds / len(jobs):.1f} ms a job",
        flush=True,
    )
    seconds, peak, text = timed(Path(), "all")
    assert "Nothing to be done" in text, text[-2000:]
    print(f"second run         : nothing to do, {seconds:6.1f} s, {peak} MB", flush=True)


if __name__ == "__main__":
    main()
