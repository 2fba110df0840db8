"""What the plugin says: the summary as a line, a paragraph for each failure, a sentence for a wrong command line."""

import re
import shlex
import shutil
import sys
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path

from dfdm.base.progress import duration
from snakemake_logger_plugin_dfdm.board import Board, Failure, Job

MOST_RUNNING = 6  # jobs shown by name
TAIL = 12  # lines of a failed job's log
MOST_FAILURES = 20  # shown in full at the end
ROOM = 1_000_000  # bytes free, below which a disk is called full
GO_ON = "Run the same command again to continue: finished jobs stay, trainings resume from their last saved state."


def totals(board: Board, now: float, ended: bool = False) -> str:
    """All stages together: `45 of 99 jobs done, 2 failed, 8.3 jobs/min, 4 min 10 s so far, about 6 min left`."""
    total, done, failed = (sum(getattr(row, key) for row in board.rows()) for key in ("total", "done", "failed"))
    parts = [f"{done} of {total} jobs done"]
    if failed:
        parts.append(f"{failed} failed")
    if (rate := board.rate(now)) is not None:
        parts.append(f"{rate:.1f} jobs/min")
    if board.started is not None:
        parts.append(f"{duration(now - board.started)}{'' if ended else ' so far'}")
    if done + failed < total and not ended and (left := board.left(now)):
        beside = f" and {left.untimed} jobs of stages not timed yet" if left.untimed else ""
        parts.append(f"{'at least' if left.at_least else 'about'} {duration(left.seconds)} left{beside}")
    return ", ".join(parts)


def line(board: Board, now: float, ended: bool = False) -> str:
    """The summary as one line: totals, then each stage's done/total with what runs and failed."""
    stages = []
    for row in board.rows():
        notes = [f"{row.running} running"] if row.running else []
        notes += [f"{row.failed} failed"] if row.failed else []
        stages.append(f"{row.stage} {row.done}/{row.total}" + (f" ({', '.join(notes)})" if notes else ""))
    return f"summary: {totals(board, now, ended)} | " + " | ".join(stages)


def running(jobs: Collection[Job], now: float) -> list[str]:
    """The jobs that have run longest, each with the last line of its log."""
    lines = []
    for job in sorted(jobs, key=lambda job: job.started)[:MOST_RUNNING]:
        said = tail(job.log, 1)
        lines.append(f"{job.name}, {duration(now - job.started)}" + (f": {said[0]}" if said else ""))
    hidden = len(jobs) - len(lines)
    return [*lines, f"and {hidden} more"] if hidden > 0 else lines


def tail(logs: tuple[Path, ...], most: int) -> list[str]:
    """The last lines that say something; a log that does not exist (yet) says nothing."""
    for path in logs:
        try:
            with open(path, "rb") as file:
                file.seek(max(0, path.stat().st_size - 64 * 1024))
                text = file.read().decode(errors="replace")
        except OSError:
            continue
        if lines := [shown for part in text.split("\n") if (shown := part.rsplit("\r", 1)[-1].rstrip())]:
            return lines[-most:]
    return []


def failure(failed: Failure, config: str | None, lines: int = TAIL) -> str:
    """A failed job: which, the end of its log, the log's path, and the command that repeats it alone."""
    job = failed.job
    attempt = f", attempt {failed.attempt}" if failed.attempt > 1 else ""
    parts = [f"FAILED {job.name} (rule {job.rule}, job {job.id}{attempt}, after {duration(failed.seconds)})"]
    said = tail(job.log, lines)
    parts += [f"    | {part}" for part in said]
    if not said and failed.hint:
        parts.append(f"    {failed.hint}")
    if job.log:
        parts.append(f"    log: {', '.join(map(str, job.log))}" + ("" if said else " (empty)"))
    # the log itself could not say this
    full = [path.parent for path in job.log if path.parent.exists() and shutil.disk_usage(path.parent).free < ROOM]
    parts += [f"    the disk that contains {folder} is full: free some space" for folder in full[:1]]
    if failed.environment:
        parts.append(f"    in the conda environment {failed.environment}")
    if job.command:
        parts += ["    to run it alone:", f"      {alone(job, config)}"]
    return "\n".join(parts)


def alone(job: Job, config: str | None) -> str:
    """A job's command for any shell: in its folder, with its config, its output on the screen instead of the log."""
    command = (job.command or "").strip()
    for log in map(str, job.log):
        path = re.escape(shlex.quote(log))
        command = re.sub(rf"\s*(?:&?>\s*{path}(?:\s+2>&1)?|2>&1 \| tee (?:-\w+ )*{path})\s*$", "", command)
    beside = Path(sys.executable).with_name("dfdm")
    if command.startswith("dfdm ") and shutil.which("dfdm") is None and beside.exists():
        command = shlex.quote(str(beside)) + command.removeprefix("dfdm")
    environment = f"export DFDM_CONFIG={shlex.quote(config)} && " if config else ""
    return f"(cd {shlex.quote(str(Path.cwd()))} && {environment}{command})"


def ending(board: Board, config: str | None, now: float) -> str:
    """What is printed last: the failures again, what is left and how to continue."""
    failures = list(board.failures.values())
    parts = []
    if failures:
        parts += ["", f"{len(failures)} {'job' if len(failures) == 1 else 'jobs'} failed:"]
        parts += [failure(failed, config, lines=3) for failed in failures[:MOST_FAILURES]]
        if len(failures) > MOST_FAILURES:
            logs = [str(path) for failed in failures[MOST_FAILURES:] for path in failed.job.log]
            parts.append(f"and {len(failures) - MOST_FAILURES} more; their logs: {', '.join(logs)}")
        parts.append("")
    parts.append(line(board, now, ended=True))
    left = sum(row.total - row.done for row in board.rows())
    if failures:
        waiting = left - sum(row.failed for row in board.rows())
        after = f" Jobs that did not run because of it: {waiting}." if waiting > 0 else ""
        parts.append(f"Correct what failed.{after} {GO_ON}")
    elif left:
        parts.append(f"{'Stopped before the end' if board.stopped else 'Some jobs did not run'}. {GO_ON}")
    return "\n".join(parts)


def meant(said: str, targets: list[str]) -> str | None:
    """What to add to an error: similar targets where one is unknown, which video where one is missing; else None."""
    absent = re.search(r"MissingInputException in rule sources_probe .*affected files:\s*(.+?)\s*$", said, re.S)
    if absent:
        lost = ", ".join(part.strip() for part in absent[1].splitlines())
        return f"{lost} does not exist; put the video back, or correct the scene's path or sources.root in the config"
    found = re.search(r"No rule to produce (\S+)", said)
    if not targets or (found is None and "Target rules may not contain wildcards" not in said):
        return None
    shown = f"Named targets are {', '.join(targets[:12])}{' ...' if len(targets) > 12 else ''}."
    if found is None:
        return f"This rule makes many jobs and is not a target. {shown}"
    near = get_close_matches(found[1], targets, n=4, cutoff=0.6)
    return f"'{found[1]}' is not a target of this config. " + (f"Did you mean {' or '.join(near)}?" if near else shown)


def plainly(kind: str, said: str) -> str | None:
    """Our own sentence without its place in the rules, or one for a missing --configfile; None for any other error."""
    ours = re.fullmatch(
        r'WorkflowError(?: in file "[^"]*common\.smk", line \d+)?:\n(.*?)((?:\n +File "[^\n]*)*)\s*', said, re.S
    )
    if kind == "WorkflowError" and ours and ("common.smk" in said or "dfdm/plan/" in ours[2]):
        return ours[1]
    missing = re.search(r"in load_configfile.*FileNotFoundError: .*: '([^']*)'\s*$", said, re.S)
    if kind != "FileNotFoundError" or missing is None:
        return None
    return (
        f"config '{missing[1]}' does not exist; correct the path after --configfile "
        "(it takes every word that follows it, so name targets before it)"
    )
