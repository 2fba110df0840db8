"""Kill the whole run again and again, in every stage, and compare what comes out with an undisturbed run.

    python -m benchmarks.kills --times 100 --full 5 --config tests/configs/small.yaml

Each round runs the workflow in a folder of its own. Stage by stage it is killed (its whole process group, while the
stage runs, at a random moment), the folder is moved at times, and the plain command is given again. Every hash of the
records must be the undisturbed run's, but for files that hold times. Status 1 where one is not.

`--full N` (root) also lets the disk below the results run full N times, at random moments: the run must fail and say
so, and the plain command must end with the same bytes once there is room.
"""

import argparse
import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from dfdm.base import records

ROOT = Path(__file__).parent.parent
SIGNALS = {"KILL": signal.SIGKILL, "TERM": signal.SIGTERM, "INT": signal.SIGINT}
TIMED = ("report.html", "speed.json")  # they hold seconds
LONGEST = 600.0  # s of a run
FULL = os.strerror(errno.ENOSPC)


def main() -> int:
    """Run rounds until so many kills are done; print the table and say whether all bytes were equal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--full", type=int, default=0, help="times that a disk runs full; needs root")
    parser.add_argument("--config", type=Path, default=ROOT / "tests/configs/small.yaml")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = Rounds(Path(folder), given.config, given.cores, given.seed).run(given.times, given.full)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")
    for stage, row in found["stages"].items():
        print(f"{stage:24s} {row}")
    print(f"{found['kills']} kills in {found['rounds']} rounds: {found['equal']} rounds equal, {found['moved']} moves")
    for row in found["full"]:
        print(f"disk full at {row['bytes'] / 1e6:.1f} MB: {row['said']}; then equal: {row['equal']}")
    return 0 if found["equal"] == found["rounds"] and all(row["equal"] for row in found["full"]) else 1


class Rounds:
    """The undisturbed run, and the rounds beside it."""

    def __init__(self, folder: Path, config: Path, cores: int, seed: int) -> None:
        self.folder, self.config, self.cores = folder, config, cores
        self.random = random.Random(seed)
        self.results = yaml.safe_load(config.read_text()).get("results", "results")
        self.stages = Counter[tuple[str, str]]()
        self.moved = 0

    def run(self, times: int, full: int = 0) -> dict[str, Any]:
        """Rounds until `times` kills; what was killed where, and how many rounds ended with the first one's bytes."""
        whole = self.clone("undisturbed")
        order = self.first(whole)
        expected = self.hashes(whole)
        size = sum(path.stat().st_blocks * 512 for path in (whole / self.results).rglob("*"))
        shutil.rmtree(whole)
        filled = [self.fill(int(size * self.random.uniform(0.05, 0.95)), expected) for _ in range(full)]
        rounds = equal = 0
        while self.stages.total() < times:
            folder = self.clone(f"round{rounds}")
            left = set(order)
            while left and self.stages.total() < times and (killed := self.kill(left, folder)):
                stage, folder = killed
                left.discard(stage)
            status = self.start(folder).wait(LONGEST)
            found = self.hashes(folder)
            same = status == 0 and found == expected and not list(folder.rglob(".*.tmp*"))
            rounds, equal = rounds + 1, equal + same
            if not same:
                differing = sorted(
                    name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)
                )
                print(f"{folder}: status {status}, other bytes: {differing[:5]}", file=sys.stderr)
            shutil.rmtree(folder)
        table = {stage: {kind: self.stages[stage, kind] for kind in SIGNALS} for stage in order}
        kills = self.stages.total()
        return {"kills": kills, "rounds": rounds, "equal": equal, "moved": self.moved, "stages": table, "full": filled}

    def fill(self, size: int, expected: dict[str, str]) -> dict[str, Any]:
        """Run on a disk of `size` bytes for the results, and once more when it has grown; what the first one said."""
        folder = self.clone("full")
        results = folder / self.results
        results.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", results], check=True)
        try:
            status = self.start(folder).wait(LONGEST)
            log = (folder / "log").read_text()
            said = next((line for line in log.splitlines() if FULL in line), f"nothing of it; status {status}")
            subprocess.run(["mount", "-o", "remount,size=90%", results], check=True)
            again = self.start(folder).wait(LONGEST)
            equal = bool(status) and FULL in log and "Traceback" not in log
            equal = equal and again == 0 and self.hashes(folder) == expected and not list(folder.rglob(".*.tmp*"))
        finally:
            subprocess.run(["umount", "--lazy", results], check=True)
            shutil.rmtree(folder)
        return {"bytes": size, "said": said.strip(), "equal": equal}

    def clone(self, name: str) -> Path:
        """A folder with the workflow and the config."""
        folder = self.folder / name
        for part in ("workflow", "envs"):
            shutil.copytree(ROOT / part, folder / part)
        shutil.copy(self.config, folder / "config.yaml")
        return folder

    def start(self, folder: Path) -> subprocess.Popen[bytes]:
        """The plain command, in a process group of its own."""
        command = [sys.executable, "-m", "snakemake", "--cores", str(self.cores)]
        with open(folder / "log", "ab") as log:
            return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)

    def first(self, folder: Path) -> list[str]:
        """Run undisturbed; the stages in the order in which they began."""
        order: dict[str, None] = {}
        run = self.start(folder)
        while run.poll() is None:
            order |= dict.fromkeys(running(run.pid))
            time.sleep(0.02)
        if run.returncode:
            raise SystemExit(f"the undisturbed run failed:\n{(folder / 'log').read_text()[-3000:]}")
        return list(order)

    def kill(self, stages: set[str], folder: Path) -> tuple[str, Path] | None:
        """Run until a job of one of the stages works, then end the whole group; which it was, and where the folder is.

        None where the run ended before that.
        """
        run, end = self.start(folder), time.monotonic() + LONGEST
        while not (at_work := stages & running(run.pid)):
            if run.poll() is not None:
                return None
            if time.monotonic() > end:
                raise SystemExit(f"{folder}: none of {', '.join(sorted(stages))} ran for {LONGEST:g} s")
            time.sleep(0.01)
        stage = min(sorted(at_work), key=lambda name: sum(self.stages[name, kind] for kind in SIGNALS))
        end = time.monotonic() + self.random.random() * 1.5
        while time.monotonic() < end and stage in running(run.pid):
            time.sleep(0.01)
        kind = self.random.choices(list(SIGNALS), (8, 1, 1))[0]
        if run.poll() is None:
            self.stages[stage, kind] += 1
            os.killpg(run.pid, SIGNALS[kind])
        run.wait(LONGEST)
        while group(run.pid):  # its jobs, which may still save what they have
            time.sleep(0.02)
        print(f"kill {self.stages.total()}: {kind} in {stage}", file=sys.stderr, flush=True)
        if self.random.random() < 0.2:
            self.moved += 1
            folder = folder.rename(folder.with_name(f"{folder.name}m"))
        return stage, folder

    def hashes(self, folder: Path) -> dict[str, str]:
        """Each file that a stage wrote and its hash, read again."""
        results = folder / self.results
        return {
            str(path.relative_to(results)): made.sha256 if made.describes(path) else "other than its record"
            for path, made in records.every(results)
            if not path.name.endswith(TIMED) and path.exists()
        }


def group(leader: int) -> list[list[str]]:
    """The command lines of a process group."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                if int(fields[2]) == leader and fields[0] != "Z":
                    found.append((process / "cmdline").read_text().split("\0"))
            except (OSError, IndexError):  # it has ended
                continue
    return found


def running(leader: int) -> set[str]:
    """The stages that a run's processes work on: `dfdm attribution train ...` is attribution_train."""
    found = set()
    for words in group(leader):
        if len(words) > 2 and Path(words[1]).name == "dfdm":
            names = [word for word in words[2:4] if word and not word.startswith("-")]
            found.add("_".join(names[:2] if names[0] in ("sources", "attribution") else names[:1]))
    return found


if __name__ == "__main__":
    sys.exit(main())
