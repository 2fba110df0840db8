"""GPUs that are pretended, locks and processes that are real."""

import json
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dfdm.base import devices

# A job: takes a device of those pretended, says which, and holds it until its standard input is closed.
JOB = """
import json, os, sys
from dfdm.base import devices
devices.installed = lambda: json.loads(sys.argv[1])
taken = devices.take(sys.argv[2])
assert devices.take(sys.argv[2]) == taken  # a second call changes nothing
assert "torch" not in sys.modules
print(json.dumps([taken, os.environ.get("CUDA_VISIBLE_DEVICES")]), flush=True)
sys.stdin.read()
"""
ROOT = Path(__file__).parent.parent
TWO = ["GPU-a", "GPU-b"]
Job = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    with ExitStack() as started:

        def start(there: list[str] = TWO, device: str = "auto", **environment: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-c", JOB, json.dumps(there), device],
                env={"PATH": "/usr/bin", "PYTHONPATH": str(Path(devices.__file__).parent.parent)}
                | {devices.LOCKS: str(tmp_path / "locks"), **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            started.enter_context(process)
            started.callback(process.kill)
            return process

        yield start


def taken(process: subprocess.Popen[str]) -> tuple[str | None, str | None]:
    assert process.stdout is not None
    device, visible = json.loads(process.stdout.readline())
    return device, visible


def test_two_jobs_never_share_a_device_and_each_sees_one(job: Job) -> None:
    found = [taken(job()), taken(job())]
    assert sorted(found) == [("GPU-a", "GPU-a"), ("GPU-b", "GPU-b")]


@pytest.mark.long
def test_a_third_job_says_that_it_waits_and_gets_the_device_of_one_that_was_killed(job: Job) -> None:
    first, second, third = job(), job(), None
    devices_of = {taken(first)[0]: first, taken(second)[0]: second}
    third = job()
    assert third.stderr is not None
    assert third.stderr.readline() == "waiting for a GPU: other jobs hold all 2 of them\n"
    time.sleep(1)
    assert third.poll() is None
    devices_of["GPU-b"].kill()
    assert taken(third)[0] == "GPU-b"


def test_many_jobs_at_once_share_the_devices_one_after_another(job: Job) -> None:
    jobs = [job() for _ in range(5)]
    order = []
    for _ in jobs:
        ready = None
        while ready is None:  # at most two have one; the line of the others comes when one ends
            ready = next((each for each in jobs if _says(each)), None)
        order.append(taken(ready)[0])
        ready.communicate("")
        jobs.remove(ready)
    assert set(order) == {"GPU-a", "GPU-b"}


def _says(process: subprocess.Popen[str]) -> bool:
    return bool(select.select([process.stdout], [], [], 0.05)[0])


def test_jobs_choose_among_the_devices_that_were_given_to_them(job: Job) -> None:
    assert taken(job(CUDA_VISIBLE_DEVICES="1")) == ("1", "1")
    other = job(CUDA_VISIBLE_DEVICES="GPU-b")  # the same device by its other name
    assert other.stderr is not None
    assert "waiting for a GPU: other jobs hold all 1" in other.stderr.readline()
    assert taken(job(CUDA_VISIBLE_DEVICES="1,0")) == ("0", "0")


def test_inside_a_slurm_job_the_assignment_counts_and_nothing_is_locked(job: Job) -> None:
    slurm = {"SLURM_JOB_ID": "7", "CUDA_VISIBLE_DEVICES": "0"}
    assert taken(job(**slurm)) == taken(job(**slurm)) == ("0", "0")  # each in its own control group
    assert taken(job(SLURM_JOB_ID="8", CUDA_VISIBLE_DEVICES="0,1")) == ("0", "0")  # one training never takes two


@pytest.mark.parametrize(
    ("there", "device", "visible"), [(TWO, "cpu", None), ([], "auto", None), (TWO, "auto", ""), (TWO, "auto", "-1")]
)
def test_without_a_device_or_on_the_cpu_nothing_is_changed(
    job: Job, there: list[str], device: str, visible: str | None
) -> None:
    given = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert taken(job(there, device, **given)) == (None, visible)


STAGE = """
import sys
from pathlib import Path
from dfdm.base import devices
from dfdm.catalogue import config
from dfdm.commands import attribution, autoencoders, dataset

def take(device):
    assert "torch" not in sys.modules
    raise SystemExit(f"asked for {device}")

devices.take = take
cfg, path = config.load(sys.argv[1]), Path("none")
CALL
"""


@pytest.mark.long
@pytest.mark.parametrize(
    "call",
    [
        "autoencoders.train(cfg, 'iae', ('id0', 'id1'), [path], path)",
        "dataset.render(cfg, path, path, Path('DFDM_crf0/iae/id0_id1_0000_iae.mp4'))",
        "attribution.train(cfg, '0', [path], path)",
        "attribution.score(cfg, path, 0, path, path)",
        "attribution.predict([path], cfg, path)",
    ],
)
def test_a_stage_that_computes_with_torch_takes_a_device_before_it_imports_it(call: str) -> None:
    command = [sys.executable, "-c", STAGE.replace("CALL", call), str(ROOT / "config.yaml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stderr.strip() == "asked for auto"
