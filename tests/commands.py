"""Commands as the shell runs them, without a new process's first two seconds, which go on imports.

`dfdm` runs within the test's process. `snakemake`, which leaves threads and global settings behind, runs in a process
of its own, forked from one that has everything imported, and so do its jobs (tests/forked.py).
"""

import atexit
import contextlib
import io
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest.mock import patch

from dfdm.commands import cli
from tests.forked import serve

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["snakemake.cli", "dfdm.commands.cli", "dfdm.commands.inputs", "generators.trainer"])


@dataclass(frozen=True)
class Done:
    """What a command did: its exit status, what it printed, and the exception that it should not have let out."""

    status: int
    out: str
    err: str
    escaped: BaseException | None = None


def dfdm(*words: object) -> Done:
    """Run a command in the current folder; its handlers of signals and threads are not for the tests that follow."""
    out, err, status, escaped = io.StringIO(), io.StringIO(), 0, None
    with (
        patch.object(sys, "argv", ["dfdm", *map(str, words)]),
        patch("signal.signal"),
        patch.object(threading, "excepthook", threading.excepthook),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            cli.main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        except Exception as error:
            status, escaped = 1, error
    return Done(status, out.getvalue(), err.getvalue(), escaped)


def ran(*words: object) -> str:
    """Run a command that must end well; what it printed on stdout."""
    done = dfdm(*words)
    if done.escaped is not None:
        raise done.escaped
    assert done.status == 0, done
    return done.out


def snakemake(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """Run snakemake in a folder; its status is not checked."""
    command = ["snakemake", *map(str, words)]
    environment = {**os.environ, "COLUMNS": "200", "PATH": f"{_jobs()}{os.pathsep}{os.environ['PATH']}"}
    with tempfile.TemporaryDirectory() as streams:
        out, err = Path(streams, "out"), Path(streams, "err")
        process = FORKS.Process(target=_snakemake, args=(command, folder, environment, out, err))
        process.start()
        process.join()
        assert process.exitcode is not None
        printed = [path.read_text() if path.exists() else "" for path in (out, err)]
    return subprocess.CompletedProcess(command, process.exitcode, *printed)


@cache
def _jobs() -> str:
    """The folder with the jobs' `dfdm`."""
    folder = tempfile.TemporaryDirectory()  # a socket's path must be short
    atexit.register(folder.cleanup)
    server = FORKS.Process(target=serve, args=(Path(folder.name),), daemon=True)
    server.start()
    while not Path(folder.name, "dfdm").exists():
        assert server.is_alive()
        time.sleep(0.02)
    return folder.name


def _snakemake(command: list[str], folder: Path, environment: Mapping[str, str], *streams: Path) -> None:
    """What the forked process does."""
    for number, path in enumerate(streams, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = command
    from snakemake.cli import main

    try:
        main()
    finally:
        atexit._run_exitfuncs()  # which a forked process leaves out
