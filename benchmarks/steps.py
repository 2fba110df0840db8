"""Training: sgemm peak, steps with their data, ours against the plain way, the augmentation alone, a profile."""

import argparse
import multiprocessing
import statistics
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import count, islice
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.keras_models import KerasTrainer
from benchmarks.plain import PlainAugmenter, PlainTrainer
from benchmarks.timing import in_turn, ratio, seconds
from dfdm.base.compute import amp_dtype
from dfdm.base.machine import keep_freed_memory
from dfdm.catalogue.config import Config
from generators.augment import Augmenter
from generators.batches import Augment, Batches, prefetched
from generators.faces import FaceSet
from generators.models import build
from generators.settings import TrainConfig
from generators.trainer import Job, Trainer

CPU = torch.device("cpu")
FACES = 96  # a person
PRODUCT = 2048  # rows of the square matrices whose product is the peak
ROUND = 8  # augmented batches between two checks of the clock
_built: dict[str, Callable[[int], None]] = {}  # in a contender's process: what runs its steps


def full_size(args: argparse.Namespace) -> TrainConfig:
    """Full size: the defaults, in as many threads as the machine has cores."""
    return TrainConfig(width=args.width, batch=args.batch, threads=args.threads)


def peak(threads: int, dtype: torch.dtype) -> Callable[[], None]:
    """A call that multiplies two square matrices once."""
    a, b = (torch.rand(PRODUCT, PRODUCT).to(dtype) for _ in "ab")
    c = torch.empty_like(a)

    def run() -> None:
        torch.set_num_threads(threads)
        torch.mm(a, b, out=c)

    return run


def peak_rate(times: list[float]) -> float:
    """GFLOP/s of the fastest of some products: what the machine can do."""
    return 2 * PRODUCT**3 / min(times) / 1e9


def peak_rows(cfg: Config, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The fastest of some matrix products, by precision and threads."""
    for dtype in filter(None, (torch.float32, amp_dtype(CPU))):
        for threads in sorted({1, args.threads}):
            run = peak(threads, dtype)
            rate = peak_rate([seconds(run) for _ in range(12)])
            yield {"precision": str(dtype).removeprefix("torch."), "threads": threads, "gflops": rate}


def made_up_faces(person: str, size: int) -> FaceSet:
    """Smooth random pictures instead of faces: the time does not depend on what they show."""
    rng = np.random.default_rng(len(person))
    coarse = rng.integers(0, 256, (2 * FACES, 8, 8, 3), dtype=np.uint8)
    images = np.stack([cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC) for image in coarse])
    return FaceSet(person, images[:FACES], images[FACES:], images[:2])


def augmenters(name: str, settings: TrainConfig) -> tuple[Augmenter, PlainAugmenter]:
    """A model's augmentation, ours and face by face."""
    net = build(name, 1 / 64)
    sizes = (net.input_size, net.output_size)
    return Augmenter(settings, *sizes, CPU), PlainAugmenter(settings, *sizes)


def batches_of(name: str, settings: TrainConfig, plain: bool = False) -> Batches:
    """The batches of a training on made-up faces."""
    augmenter = augmenters(name, settings)[plain]
    sides = (made_up_faces("a", augmenter.size), made_up_faces("bb", augmenter.size))
    return Batches(sides, augmenter, settings, 0)


def our_steps(name: str, settings: TrainConfig) -> Callable[[int], None]:
    """Our training: a function that runs so many steps, batches prepared ahead from a cold start each time."""
    return _fed(Trainer(Job(name, ("a", "bb"), settings, 0), CPU), batches_of(name, settings))


def keras_steps(name: str, settings: TrainConfig) -> Callable[[int], None]:
    """The training in Keras, on our batches, prepared ahead too."""
    return _fed(KerasTrainer(name, settings), batches_of(name, settings))


def _fed(trainer: Trainer | KerasTrainer, batches: Batches) -> Callable[[int], None]:
    def run(steps: int) -> None:
        for batch in prefetched(batches, trainer.step, trainer.step + steps):
            trainer.train_step(batch)

    return run


def plain_steps(name: str, settings: TrainConfig) -> Callable[[int], None]:
    """The plain training, on the same faces: a function that runs so many steps, data included."""
    trainer, batches, iterations = PlainTrainer(name, settings), batches_of(name, settings, plain=True), count()

    def run(steps: int) -> None:
        for iteration in islice(iterations, steps):
            trainer.train_step(batches[iteration])

    return run


TRAININGS = {"ours": our_steps, "plain": plain_steps, "keras": keras_steps, "keras_kept": keras_steps}
KEEPING = ("ours", "keras_kept")  # keep freed memory, as dfdm train does


def _build(kind: str, name: str, settings: TrainConfig) -> None:
    """In a contender's process: make a training."""
    torch.set_num_threads(settings.threads)
    cv2.setNumThreads(settings.threads)
    if kind in KEEPING:
        keep_freed_memory()
    _built["run"] = TRAININGS[kind](name, settings)


def _run(steps: int) -> float:
    """In a contender's process: the seconds of so many steps."""
    return seconds(partial(_built["run"], steps))


def step_rows(cfg: Config, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Training steps with data, at full size and as the config has them, against the plain way."""
    for name in args.models:
        for settings, steps in ((full_size(args), 1), (cfg.settings(name), 10)):
            yield _raced(name, settings, ("ours", "plain"), args.seconds, steps)


def keras_rows(cfg: Config, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Training steps at full size against the same model in Keras, as it is and where it too keeps freed memory."""
    for name in args.models:
        yield _raced(name, full_size(args), ("ours", "keras", "keras_kept"), args.seconds, 1)


def _raced(name: str, settings: TrainConfig, kinds: Sequence[str], budget: float, steps: int) -> dict[str, Any]:
    """`step_row` of trainings in a process of their own each, so that no memory or threads touch another's."""
    spawn = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        contenders = {kind: stack.enter_context(ProcessPoolExecutor(1, spawn)) for kind in kinds}
        return step_row(name, settings, contenders, budget, steps)


def step_row(
    name: str, settings: TrainConfig, contenders: dict[str, ProcessPoolExecutor], budget: float, steps: int
) -> dict[str, Any]:
    """One model's step with data, ours and others in turn with the peak: ms, GFLOP/s, share of the peak, ratios."""
    settings = settings.model_copy(update={"iterations": 1_000_000})
    dtype = (settings.amp and amp_dtype(CPU)) or torch.float32
    multiply = peak(settings.threads, dtype)
    for kind, contender in contenders.items():
        contender.submit(_build, kind, name, settings).result()
        contender.submit(_run, max(1, steps // 2)).result()  # warm: buffers, the optimizer's state
    products: list[float] = []
    taken: dict[str, list[float]] = {kind: [] for kind in contenders}

    def turn(kind: str) -> None:
        products.extend(seconds(multiply) for _ in range(3))
        taken[kind].append(contenders[kind].submit(_run, steps).result() / steps)

    in_turn({kind: partial(turn, kind) for kind in contenders}, budget)
    work = 6 * build(name, settings.width).multiply_adds() * 2 * settings.batch
    step, best = statistics.median(taken["ours"]), peak_rate(products)
    return {
        "model": name,
        "width": settings.width,
        "batch": settings.batch,
        "threads": settings.threads,
        "precision": str(dtype).removeprefix("torch."),
        "step_ms": 1e3 * step,
        "gflops": work / step / 1e9,
        "peak_gflops": best,
        "share_of_peak": work / step / 1e9 / best,
        "rounds": len(taken["ours"]),
    } | {
        name: figure
        for kind, times in taken.items()
        if kind != "ours"
        for name, figure in (
            (f"{kind}_ms", 1e3 * statistics.median(times)),
            (f"times_{kind}", ratio(times, taken["ours"])),
        )
    }


def augment_rows(cfg: Config, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Augmented faces a second, at the two sizes and at the full and the config's batch."""
    for name in ("faceswap", "dfl_h128"):
        for settings in (full_size(args), cfg.settings(name)):
            yield augment_row(name, settings, args.seconds / 4)


def augment_row(name: str, settings: TrainConfig, budget: float) -> dict[str, Any]:
    """Augmented faces a second, ours and one by one with OpenCV, in turn, in one thread each."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    ours, opencv = augmenters(name, settings)
    people, faces = made_up_faces(name, ours.size), 2 * settings.batch
    chosen = np.arange(faces) % FACES

    def run(augment: Augment) -> None:
        for seed in range(ROUND):
            augment(people.faces[chosen], people.masks[chosen], np.random.default_rng(seed))

    runs = {"ours": partial(run, ours), "opencv": partial(run, opencv)}
    in_turn(runs, 0)  # warm
    taken = in_turn(runs, budget, least=3)
    rates = {kind: ROUND * faces / statistics.median(values) for kind, values in taken.items()}
    return {
        "model": name,
        "size": ours.size,
        "batch": settings.batch,
        "faces_per_second": rates["ours"],
        "opencv_faces_per_second": rates["opencv"],
        "times_opencv": ratio(taken["opencv"], taken["ours"]),
        "batch_ms": 1e3 * faces / rates["ours"],
    }


def profile_table(name: str, settings: TrainConfig, rows: int = 30) -> str:
    """Where a step's time goes, by torch's profiler."""
    keep_freed_memory()
    run = our_steps(name, settings.model_copy(update={"iterations": 1_000_000}))
    run(2)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        run(2 if settings.width == 1 else 20)
    return profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=rows, max_name_column_width=50)
