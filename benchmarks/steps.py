"""Training: sgemm peak, steps with their data, ours against the plain way, the augmentation alone, a profile."""

import multiprocessing
import statistics
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks import plain
from benchmarks.timing import in_turn, ratio, seconds
from dfdm.base import compute
from dfdm.base.machine import keep_freed_memory
from generators.augment import Augmenter
from generators.batches import Batches, prefetched
from generators.faces import FaceSet
from generators.models import build
from generators.settings import TrainConfig
from generators.trainer import Job, Trainer

CPU = torch.device("cpu")
FACES = 96  # a person


def peak(threads: int, dtype: torch.dtype, size: int = 2048) -> Callable[[], None]:
    """A call that multiplies two square matrices once."""
    a, b = torch.rand(size, size).to(dtype), torch.rand(size, size).to(dtype)
    c = torch.empty_like(a)

    def run() -> None:
        torch.set_num_threads(threads)
        torch.mm(a, b, out=c)

    return run


def peak_rate(times: list[float], size: int = 2048) -> float:
    """GFLOP/s of the fastest of some products: what the machine can do."""
    return 2 * size**3 / min(times) / 1e9


def made_up_faces(person: str, size: int) -> FaceSet:
    """Smooth random pictures in the place of faces: the time does not depend on what they show."""
    rng = np.random.default_rng(len(person))
    coarse = rng.integers(0, 256, (2 * FACES, 8, 8, 3), dtype=np.uint8)
    images = np.stack([cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC) for image in coarse])
    return FaceSet(person, images[:FACES], images[FACES:], images[:2])


def batches_of(name: str, settings: TrainConfig) -> Batches:
    """The batches of a training on made-up faces."""
    net = build(name, 1 / 64)
    size = max(net.input_size, net.output_size)
    augmenter = Augmenter(settings, net.input_size, net.output_size, CPU)
    return Batches((made_up_faces("a", size), made_up_faces("bb", size)), augmenter, settings, 0)


def our_steps(name: str, settings: TrainConfig) -> Callable[[int], None]:
    """Our training: a function that runs so many steps, batches prepared ahead from a cold start each time."""
    trainer = Trainer(Job(name, ("a", "bb"), settings, 0), CPU)
    batches = batches_of(name, settings)

    def run(steps: int) -> None:
        for batch in prefetched(batches, trainer.step, trainer.step + steps):
            trainer.train_step(batch)

    return run


def _serve(pipe: Connection, kind: str) -> None:
    """A contender's process: builds trainings and runs steps as it is told."""
    if kind == "ours":
        keep_freed_memory()  # as dfdm train does
    run: Callable[[int], None] = lambda steps: None  # noqa: E731
    while (order := pipe.recv()) is not None:
        what, *values = order
        if what == "build":
            name, settings = values
            torch.set_num_threads(settings.threads)
            cv2.setNumThreads(settings.threads)
            run = (
                our_steps(name, settings)
                if kind == "ours"
                else plain.plain_steps(name, settings, batches_of(name, settings))
            )
            pipe.send(None)
        else:
            pipe.send(seconds(partial(run, values[0])))


class Contender:
    """A training in a process of its own, so that neither's memory or threads touch the other's."""

    def __init__(self, kind: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, kind), daemon=True)
        self.process.start()

    def ask(self, *order: Any) -> Any:
        """Send an order and wait for its answer."""
        self.pipe.send(order)
        return self.pipe.recv()

    def close(self) -> None:
        """End the process."""
        self.pipe.send(None)
        self.process.join()


def step_row(
    name: str, settings: TrainConfig, contenders: dict[str, Contender], budget: float, steps: int
) -> dict[str, Any]:
    """One model's step with data, ours and plain in turn with the peak: seconds, GFLOP/s, share of the peak, ratio."""
    settings = settings.model_copy(update={"iterations": 1_000_000})
    half = compute.amp_dtype(CPU) if settings.amp else None
    multiply = peak(settings.threads, half or torch.float32)
    for contender in contenders.values():
        contender.ask("build", name, settings)
        contender.ask("run", 1 if steps == 1 else steps // 2)  # warm: buffers, the optimizer's state
    products: list[float] = []
    taken: dict[str, list[float]] = {kind: [] for kind in contenders}

    def turn(kind: str) -> Callable[[], None]:
        def run() -> None:
            products.extend(seconds(multiply) for _ in range(3))
            taken[kind].append(contenders[kind].ask("run", steps) / steps)

        return run

    in_turn({kind: turn(kind) for kind in contenders}, budget)
    work = 6 * build(name, settings.width).multiply_adds() * 2 * settings.batch
    step, best = statistics.median(taken["ours"]), peak_rate(products)
    row = {
        "model": name,
        "width": settings.width,
        "batch": settings.batch,
        "threads": settings.threads,
        "precision": str(half or torch.float32).removeprefix("torch."),
        "step_ms": 1e3 * step,
        "gflops": work / step / 1e9,
        "peak_gflops": best,
        "share_of_peak": work / step / 1e9 / best,
        "rounds": len(taken["ours"]),
    }
    if "plain" in taken:
        row |= {
            "plain_ms": 1e3 * statistics.median(taken["plain"]),
            "times_plain": ratio(taken["plain"], taken["ours"]),
        }
    return row


def augment_row(name: str, settings: TrainConfig, budget: float) -> dict[str, Any]:
    """Augmented faces a second, ours and one by one with OpenCV, in turn, in one thread each."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    batches = batches_of(name, settings)
    net, iteration = batches.augmenter, 0
    one_by_one = plain.PlainAugmenter(settings, net.input_size, net.output_size)
    faces, masks = (np.concatenate([getattr(side, part) for side in batches.sides]) for part in ("faces", "masks"))
    count = 2 * settings.batch

    def ours() -> None:
        nonlocal iteration
        for _ in range(8):
            iteration += 1
            net(faces[:count], masks[:count], np.random.default_rng(iteration))

    def theirs() -> None:
        for offset in range(8):
            one_by_one(faces[:count], masks[:count], np.random.default_rng(iteration + offset))

    ours()
    theirs()
    taken = in_turn({"ours": ours, "opencv": theirs}, budget, least=3)
    per = {kind: statistics.median(values) / 8 for kind, values in taken.items()}
    return {
        "model": name,
        "size": net.size,
        "batch": settings.batch,
        "faces_per_second": count / per["ours"],
        "opencv_faces_per_second": count / per["opencv"],
        "times_opencv": ratio(taken["opencv"], taken["ours"]),
        "batch_ms": 1e3 * per["ours"],
    }


def profile_table(name: str, settings: TrainConfig, rows: int = 30) -> str:
    """Where a step's time goes, by torch's profiler."""
    keep_freed_memory()
    run = our_steps(name, settings.model_copy(update={"iterations": 1_000_000}))
    run(2)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        run(2 if settings.width == 1 else 20)
    return profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=rows, max_name_column_width=50)
