"""Real processes of `dfdm train` on real clips, killed and started again: the same bytes as one that ran through."""

import contextlib
import fcntl
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from dfdm.base.files import half_written, sha256
from dfdm.catalogue import config
from dfdm.commands import sources
from tests.commands import FORKS

pytestmark = pytest.mark.long

OUTPUTS = ("model.safetensors", "loss.csv", "preview.png")
DFDM = Path(sys.executable).with_name("dfdm")


def dfdm(arguments: list[str], errors: Path, largest: int = -1) -> None:
    """The command in a process of its own, its stderr added to a file; it may write no file beyond `largest` bytes."""
    sys.argv = ["dfdm", *arguments]
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    from dfdm.commands import cli

    cli.main()


class Project:
    """Two people, a scene of 24 frames each; trainings go to folders of their own."""

    def __init__(self, folder: Path, clips: Path, predictor: Path, **train: object) -> None:
        self.folder = folder
        person = {"licence": "package MIT", "consent": "not documented by the package; used for testing"}
        scenes = {"id0": "WolfgangLanger_Pexels.mp4", "id1": "single_face.mp4"}
        people = {
            name: {**person, "scenes": {"0000": {"path": file, "frames": [0, 24]}}} for name, file in scenes.items()
        }
        self.values = {
            "device": "cpu",
            "sources": {"root": str(clips), "people": people},
            "swaps": ["id0_id1"],
            "faces": {"predictor": {"path": str(predictor)}},
            "models": {"faceswap": {}},
            "train": {"width": 1 / 32, "batch": 2, "iterations": 42, "lr": 1e-3, "decay": 0.5, **train},
        }
        self.tracks = []
        cfg = config.load(self.values)
        for name in scenes:
            record, track = folder / f"{name}.json", folder / f"{name}.npz"
            sources.probe(cfg, f"{name}_0000", record)
            sources.faces(cfg, record, track)
            self.tracks.append(str(track))

    def command(self, run: Path) -> list[str]:
        """The arguments of a training whose state and outputs go to a folder."""
        run.mkdir(parents=True, exist_ok=True)
        path = run / "config.yaml"
        path.write_text(yaml.safe_dump({**self.values, "results": str(run / "results")}))
        out = str(run / "out" / "model.safetensors")
        start = ["train", "--config", str(path), "--model", "faceswap", "--pair", "id0", "id1", "--tracks"]
        return [*start, *self.tracks, "--out", out]

    def fork(self, run: Path, largest: int = -1) -> multiprocessing.context.ForkServerProcess:
        """Forked from a process that has imported torch already, so that it is killed while it trains."""
        process = FORKS.Process(target=dfdm, args=(self.command(run), run / "errors", largest))
        process.start()
        return process

    def start(self, run: Path) -> subprocess.Popen[str]:
        return subprocess.Popen([DFDM, *self.command(run)], stderr=subprocess.PIPE, text=True)

    def finish(self, run: Path) -> dict[str, str]:
        """Let a training end; its outputs' hashes."""
        process = self.fork(run)
        process.join()
        assert process.exitcode == 0, (run / "errors").read_text()
        assert not [path.name for path in run.rglob(".*.tmp*")]
        return {name: sha256(run / "out" / name) for name in OUTPUTS}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, clips: Path, predictor: Path) -> Project:
    return Project(tmp_path_factory.mktemp("project"), clips, predictor, save_every=7, preview_every=30)


@pytest.fixture(scope="module")
def whole(project: Project) -> tuple[dict[str, str], float]:
    """The outputs of a training that ran through, and the seconds it took."""
    start = time.monotonic()
    outputs = project.finish(project.folder / "whole")
    return outputs, time.monotonic() - start


Process = multiprocessing.context.ForkServerProcess | subprocess.Popen[str]


def alive(process: Process) -> bool:
    return process.poll() is None if isinstance(process, subprocess.Popen) else process.is_alive()


def ended(process: Process) -> None:
    process.communicate() if isinstance(process, subprocess.Popen) else process.join()


def wait_for(process: Process, run: Path, pattern: str) -> bool:
    """Wait until a file of the pattern is in the run's state or output folder; False if the process ends first."""
    prefix, _, suffix = pattern.partition("*")
    folders: list[Path] = []
    while alive(process):
        if len(folders) < 2:
            folders = [*run.glob("results/state/*"), *run.glob("out")]
        for folder in folders:
            if any(name.startswith(prefix) and name.endswith(suffix) for name in os.listdir(folder)):  # noqa: PTH208 (quick)
                return True
        time.sleep(0.001)
    return False


def kill_at_random(project, whole, folder, count, begin, most):
    """Kill `count` trainings, each up to `most` seconds after its start; whatever ends has the right bytes."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    moments, kills, ends, start = random.Random(seed), 0, 0, time.monotonic()
    while kills < count:
        process = begin(folder / str(ends))
        time.sleep(moments.uniform(0, most))
        if alive(process):
            process.kill()
            kills += 1
        elif project.finish(folder / str(ends)) == whole:
            ends, most = ends + 1, most / 2  # the machine has become less busy
        else:
            pytest.fail("other bytes")
        ended(process)
    assert project.finish(folder / str(ends)) == whole
    print(f"{kills} kills, {ends + 1} trainings ended, {time.monotonic() - start:.1f} s")


def test_killed_at_random_moments_it_ends_with_the_same_bytes(project, whole, tmp_path):
    kill_at_random(project, whole[0], tmp_path, 3, project.fork, 0.6 * whole[1])


@pytest.mark.slow
def test_killed_twenty_times_at_random_moments_it_ends_with_the_same_bytes(project, whole, tmp_path):
    start = time.monotonic()
    ended(project.start(tmp_path / "timed"))
    kill_at_random(project, whole[0], tmp_path, 20, project.start, time.monotonic() - start)


WRITES = {"state": ("results/state/*", "state_000000014.pt"), "model": ("out", "model.safetensors")}


@pytest.mark.parametrize(("folder", "name"), WRITES.values(), ids=WRITES)
def test_killed_within_a_write_it_ends_with_the_same_bytes(project, whole, tmp_path, folder, name):
    """The file it writes to is a pipe, so that it is surely writing when it is killed."""
    process = project.fork(tmp_path)
    assert wait_for(process, tmp_path, "tensorboard*")
    (tmp_path / "out").mkdir(exist_ok=True)
    pipe = half_written(next(tmp_path.glob(folder)) / name, process.pid)
    os.mkfifo(pipe)
    reader, written = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), b""
    while not written:
        assert alive(process)
        time.sleep(0.001)
        with contextlib.suppress(BlockingIOError):
            written = os.read(reader, 5000)
    process.kill()
    process.join()
    os.close(reader)
    pipe.unlink()
    pipe.write_bytes(written)  # what a file would hold
    assert not (tmp_path / "out" / "model.safetensors").exists()
    assert project.finish(tmp_path) == whole[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_stops_and_gives_its_status(project, whole, tmp_path, number):
    process = project.fork(tmp_path)
    assert wait_for(process, tmp_path, "state_*.pt")
    os.kill(process.pid, number)
    process.join()
    assert process.exitcode == 128 + number
    assert f"stopped by {number.name}, state saved; run again to continue" in (tmp_path / "errors").read_text()
    assert not (tmp_path / "out" / "model.safetensors").exists()
    assert project.finish(tmp_path) == whole[0]


def test_a_second_process_on_the_same_state_is_refused(project, whole, tmp_path):
    shutil.copytree(project.folder / "whole", tmp_path, dirs_exist_ok=True)
    lock = next(tmp_path.glob("results/state/*/lock"))
    with open(lock, "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        process = project.fork(tmp_path)
        process.join()
    assert process.exitcode == 2
    message = (tmp_path / "errors").read_text().splitlines()[-1]
    assert message == f"dfdm: another process is training in {lock.parent}; wait for it or stop it"


def test_a_state_that_cannot_be_written_is_one_sentence(project, whole, tmp_path):
    process = project.fork(tmp_path, largest=40_000)
    process.join()
    assert process.exitcode == 2
    told = (tmp_path / "errors").read_text()
    assert "Traceback" not in told
    assert told.splitlines()[-1].endswith(
        "/state_000000007.pt could not be written (File too large); what was there before is intact: free some space "
        "and run again"
    )
    assert not list(tmp_path.rglob(".*.tmp*"))
    assert project.finish(tmp_path) == whole[0]
