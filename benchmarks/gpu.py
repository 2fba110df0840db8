"""The check of a GPU: every computation of the line beside the CPU's, then the rates of two trainings; one JSON.

    make gpu-check                                   # in the project's environment
    python -m benchmarks.gpu --fetch                 # where there is a network: wheels of what an image lacks
    python3 -m benchmarks.gpu --wheels .wheels --json gpu.json   # on the machine with the GPU, without one

The image needs torch, torchvision, numpy, OpenCV, safetensors, pandas, scikit-learn and pytest. No video is read or
written. Status 1: a check failed; `--device cpu` runs all but the device at small size.
"""

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
CHECKS = ROOT / "tests/gpu"
CARRIED = (  # what an image may lack; at most 50 MB together
    *("pydantic", "pydantic-core", "annotated-types", "typing-inspection", "typing-extensions", "filelock"),
    *("av", "face-alignment", "tqdm", "tensorboard", "protobuf", "absl-py", "markdown"),
)
RATED = ("faceswap", "dfl_h128")
BATCH = 16  # faces of each person
SHOWN = 8  # kernels in the profile


def main() -> int:
    """Fetch the wheels, or check and measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto", help="cuda, cpu or auto")
    parser.add_argument("--seconds", type=float, default=30, help="how long each of the two models trains")
    parser.add_argument("--json", type=Path, default=Path("results/gpu.json"), help="the report")
    parser.add_argument("--wheels", type=Path, help="install the wheels of this folder for this run")
    parser.add_argument("--fetch", action="store_true", help="fill .wheels for --python and --platform, and stop")
    parser.add_argument("--python", default="3.12", help="Python of the machine with the GPU")
    parser.add_argument("--platform", default="manylinux_2_28_x86_64", help="its platform")
    given = parser.parse_args()
    if given.fetch:
        return fetch(ROOT / ".wheels", given.python, given.platform)
    if given.wheels:
        return with_wheels(given.wheels)
    return check(given.device, given.seconds, given.json)


def fetch(folder: Path, python: str, platform: str) -> int:
    """Download the wheels at the pinned versions, and write their hashes."""
    lines = [line.split() for line in (ROOT / "constraints.txt").read_text().splitlines()]
    pinned = {line[0].partition("==")[0].replace("_", "-").lower(): line[0] for line in lines if line}
    needed = [pinned[name] for name in CARRIED]
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.whl"):
        old.unlink()
    older = [f"--platform=manylinux_2_{minor}_x86_64" for minor in range(17, 28)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--implementation=cp", f"--python-version={python}", f"--platform={platform}", *older]
    environment = {key: value for key, value in os.environ.items() if key != "PIP_CONSTRAINT"}
    subprocess.run(
        [*command, "--platform=manylinux2014_x86_64", "--dest", str(folder), *needed], check=True, env=environment
    )
    wheels = sorted(folder.glob("*.whl"))
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in wheels)
    (folder / "SHA256SUMS").write_text(sums)
    print(f"{folder}: {len(wheels)} wheels, {sum(path.stat().st_size for path in wheels) / 1e6:.1f} MB")
    return 0


def with_wheels(folder: Path) -> int:
    """Run the check again with the wheels, their hashes compared, where the image's own packages come first."""
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        expected, name = line.split()
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != expected:
            print(f"{folder / name} is damaged; fetch the wheels again", file=sys.stderr)
            return 2
    with tempfile.TemporaryDirectory() as site:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile", "--target"]
        subprocess.run([*pip, site, *map(str, folder.glob("*.whl"))], check=True)
        rest = [word for word in sys.argv[1:] if word not in ("--wheels", str(folder))]
        path = os.pathsep.join([str(ROOT), site])
        command = [sys.executable, "-m", "benchmarks.gpu", *rest]
        return subprocess.run(command, env={**os.environ, "PYTHONPATH": path}).returncode


def check(name: str, seconds: float, out: Path) -> int:
    """Check, measure, and write the report, also when a check fails."""
    import torch

    device = torch.device(name if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu")
    report: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"cpu: {platform.processor()}",
        "untried": [] if device.type == "cuda" else ["the device: this ran on a CPU, at small size"],
        "torch": torch.__version__,
        "python": platform.python_version(),
        "checks": checks(device.type),
        "trainings": {},
    }
    write(out, report)
    for model in RATED:
        report["trainings"][model] = training(model, device, seconds)
        write(out, report)
    failed = [one["name"] for one in report["checks"] if one["outcome"] == "failed"]
    absent = [one["name"] for one in report["checks"] if one["outcome"] == "not run"]
    print(f"{len(report['checks'])} checks on {report['device']}: {len(failed)} failed, {len(absent)} not run: {out}")
    for name in failed:
        print(f"failed: {name}")
    return 1 if failed or not report["checks"] else 0


def write(out: Path, report: dict[str, Any]) -> None:
    """Write the report as it is."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(report, indent=1) + "\n")


def checks(device: str) -> list[dict[str, Any]]:
    """Run tests/gpu; each test's outcome, seconds and message. One that did not use CUDA there is "not run"."""
    import pytest

    found: list[dict[str, Any]] = []

    class Collect:
        def pytest_runtest_logreport(self, report: Any) -> None:
            if report.when == "call" or (report.when == "setup" and report.outcome != "passed"):
                message = str(report.longrepr)[-1500:] if report.outcome != "passed" else ""
                outcome = {"skipped": "not run"}.get(report.outcome, report.outcome)
                name = report.nodeid.partition("::")[2]
                found.append({"name": name, "outcome": outcome, "seconds": report.duration, "message": message})
            elif report.when == "teardown" and device == "cuda" and found[-1]["outcome"] == "passed":
                # the fixture's property is known once it has ended; processes of their own allocate nothing here
                used = dict(report.user_properties).get("allocations", 0) or "hold_one_device" in report.nodeid
                found[-1]["outcome"] = "passed" if used else "not run"

    os.environ["DFDM_CHECK_DEVICE"] = device
    own = ["-c", os.devnull, "--rootdir", str(CHECKS), "--confcutdir", str(CHECKS), "-p", "no:cacheprovider"]
    pytest.main([*own, "-q", "--no-header", "--tb=short", str(CHECKS)], plugins=[Collect()])
    return found


def training(name: str, device: Any, seconds: float) -> dict[str, Any]:
    """A model's training as it is at full scale (on a CPU small): rates, where the time goes, memory."""
    import torch

    from benchmarks.steps import made_up_faces
    from dfdm.base.compute import amp_dtype
    from generators import trainer
    from generators.augment import Augmenter
    from generators.batches import Batches, prefetched
    from generators.settings import TrainConfig

    full = device.type == "cuda"
    settings = TrainConfig(
        width=1.0 if full else 1 / 16, batch=BATCH if full else 2, amp=full, workers=(os.cpu_count() or 2) - 1
    )
    if full:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.cuda.reset_peak_memory_stats()
    one = trainer.Trainer(trainer.Job(name, ("id0", "id1"), settings, 0), device)
    augmenter = Augmenter(settings, one.model.input_size, one.model.output_size, device)
    sides = made_up_faces("a", augmenter.size), made_up_faces("bb", augmenter.size)
    batches = one.batches = Batches(sides, augmenter, settings, 0)

    def rate(step: Any, most: float) -> float:
        for index in range(5):
            step(index)
        synchronise(device)
        count, start = 0, time.perf_counter()
        while time.perf_counter() - start < most:
            step(count)
            count += 1
            if count % 20 == 0:
                synchronise(device)
        synchronise(device)
        return count / (time.perf_counter() - start)

    batch = batches[0]
    stream = prefetched(batches, 0, one.steps)
    operations = counted(one, batch)
    result: dict[str, Any] = {
        "iterations_s": rate(lambda _: one.train_step(next(stream)), seconds),
        "step_alone_s": rate(lambda _: one.train_step(batch), min(10, seconds)),
        "batches_alone_s": rate(lambda index: batches[index], min(5, seconds)),
        "half_precision": str(amp_dtype(device)) if settings.amp else "none",
        "workers": settings.workers,
        "operations": operations,
        "profile": profiled(one, batch, device),
    }
    if full:
        result["memory_gib"] = torch.cuda.max_memory_allocated() / 2**30
        result["peak_flops"] = measured_peak(device)
        result["share_of_peak"] = operations * result["step_alone_s"] / result["peak_flops"]
    shown = ", ".join(f"{key} {value:.3g}" for key, value in result.items() if isinstance(value, float))
    print(f"{name}: {shown}")
    for line in result["profile"]:
        print(f"  {line}")
    return result


def synchronise(device: Any) -> None:
    """Wait for the device's work."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize()


def counted(one: Any, batch: Any) -> int:
    """Floating-point operations of a step, forward and backward."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        one.train_step(batch)
    return int(counter.get_total_flops())


def measured_peak(device: Any) -> float:
    """Operations a second of a large matrix product in bfloat16 on this device."""
    import torch

    a = torch.randn(8192, 8192, device=device, dtype=torch.bfloat16)
    for _ in range(3):
        a @ a
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(10):
        a @ a
    torch.cuda.synchronize()
    return 2 * 8192**3 * 10 / (time.perf_counter() - start)


def profiled(one: Any, batch: Any, device: Any) -> list[str]:
    """Where 20 steps spend their time: the share of the device's idle time, and its slowest kernels."""
    from torch.profiler import ProfilerActivity, profile

    full = device.type == "cuda"
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if full else [])
    synchronise(device)
    start = time.perf_counter()
    with profile(activities=activities) as found:
        for _ in range(20 if full else 3):
            one.train_step(batch)
        synchronise(device)
    wall = time.perf_counter() - start
    key = "self_device_time_total" if full else "self_cpu_time_total"
    rows = sorted(found.key_averages(), key=lambda row: -getattr(row, key))
    total = sum(getattr(row, key) for row in rows) / 1e6
    lines = [f"{100 * total / wall:.0f} % of the time the device computes"] if full else []
    return lines + [f"{getattr(row, key) / 1e4 / total:5.1f} % {row.key[:90]} ({row.count})" for row in rows[:SHOWN]]


if __name__ == "__main__":
    sys.exit(main())
