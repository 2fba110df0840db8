"""Train one pair's autoencoder: resumable, repeatable, from face tracks to a finished model.

A batch depends on (seed, iteration) alone, so a state needs no random number generator and no place in the data:
killed at any moment and started again, a training on CPU ends with the same bytes as one that ran through
(docs/training.md).
"""

import csv
import math
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from dfdm.base.compute import autocast, resolve_device, set_deterministic
from dfdm.base.errors import DfdmError
from dfdm.base.files import atomic, remove_leftovers, writing
from dfdm.base.machine import keep_freed_memory
from dfdm.base.progress import Progress
from dfdm.base.states import StateFolder
from dfdm.base.trainer import BaseTrainer, DivergedError, Interrupt, check_finite
from dfdm.media.tracks import FaceTrack
from generators import checkpoint, preview
from generators.augment import Augmenter, Batch
from generators.batches import Batches, prefetched
from generators.faces import check_different, check_sources, load_faces
from generators.losses import face_loss
from generators.models import build
from generators.models.blocks import Autoencoder
from generators.optimizer import Adam
from generators.settings import TrainConfig

CHECK = 16  # iterations between two checks of the losses
TREND = 64  # iterations whose mean loss shows an explosion
CSV_ROWS = 1000  # of the loss log, at most
LOOK = 5.0  # seconds after which a slow training checks its losses in any case


@dataclass(frozen=True)
class Job:
    """What is trained, with which settings and seed."""

    model: str
    pair: tuple[str, str]
    settings: TrainConfig
    seed: int

    @property
    def title(self) -> str:
        """The job in words."""
        return f"{self.model} {self.pair[0]}-{self.pair[1]}"


class Trainer(BaseTrainer):
    """One training of an autoencoder: its weights from the seed, or from the file that `start_from` names."""

    unit = "iteration"
    model: Autoencoder
    batches: Batches  # of the faces, which are read once it is known that the training can continue

    def __init__(self, job: Job, device: torch.device) -> None:
        self.job, self.settings = job, job.settings
        settings = job.settings
        set_deterministic(job.seed, settings.threads)
        model = build(job.model, settings.width).to(device)
        if settings.channels_last:
            model = model.to(memory_format=torch.channels_last)
        if start := settings.start_file(job.model, job.pair):
            model.load_state_dict(checkpoint.start_weights(start, job.model, settings.width))
        optimizer = Adam(
            model.parameters(), settings.lr, (settings.beta1, settings.beta2), settings.epsilon, fused=True
        )
        super().__init__(job.title, model, optimizer, device, settings.iterations, settings.amp, settings.on_nan)
        self.autocast = autocast(device, settings.amp)
        self.losses = torch.zeros(settings.iterations, 2, device=device)  # a, b of each iteration
        self.forward = compiled(model) if settings.compile else model

    def scheduled(self, step: int) -> float:
        """Constant, then falling linearly to 0 over the last `decay` share of the iterations."""
        falling = self.settings.decay * self.steps
        return self.settings.lr * min(1.0, (self.steps - step) / falling if falling else 1.0)

    def train_step(self, batch: Batch) -> None:
        """One optimizer step on both sides."""
        for group in self.optimizer.param_groups:
            group["eps"] = adam_epsilon(self.settings, self.step)
        half = len(batch.inputs) // 2
        with self.autocast:
            predicted = torch.cat(self.forward(batch.inputs[:half], batch.inputs[half:]))
        weights = (1.0, self.settings.eye_weight, self.settings.mouth_weight)
        losses = face_loss(predicted.float(), batch.targets, batch.masks, weights, self.settings.gradient)
        losses = losses.view(2, half).mean(1)  # [2]: a, b
        self.losses[self.step] = losses.detach()
        self.descend(losses.sum())

    def check(self) -> list[float]:
        """The mean of the newest losses, [a, b]; a loss that is not a number is a DivergedError."""
        newest = self.losses[max(0, self.step - CHECK) : self.step].mean(0).tolist()
        check_finite(newest, self.where)
        return newest

    def check_trend(self) -> None:
        """A loss that explodes is a DivergedError: 1.5 times the first ones, or 3 times the best, 64 at a time."""
        if self.step < 2 * TREND or self.step - max(self.rollbacks, default=0) < TREND:
            return
        means = self.losses[: self.step // TREND * TREND].view(-1, 2 * TREND).mean(1)
        best, last = float(means.min()), float(self.losses[self.step - TREND : self.step].mean())
        if last > min(1.5 * float(means[0]), 3 * best):
            raise DivergedError(f"{self.where}: the loss grew from {best:.3f} to {last:.3f}", "a lower lr")

    def state(self) -> dict[str, Any]:
        """What resuming needs, and what `start_from` must know of it."""
        return {
            "of": {"model": self.job.model, "width": self.settings.width},
            **super().state(),
            "losses": self.losses[: self.step].clone(),
            "rollbacks": self.rollbacks,
        }

    def restore(self, state: dict[str, Any], folder: Path) -> None:
        """Go on from a state; one that does not fit, or has more iterations, is a DfdmError."""
        super().restore(state, folder)
        if self.step > self.steps:
            raise DfdmError(
                f"{self.title} is trained for {self.step} iterations in {folder}, the config asks for {self.steps}; "
                "raise train.iterations or give another state_dir"
            )
        self.losses[: self.step] = state["losses"]

    def fresh(self) -> dict[str, Any]:
        """The state before the first iteration."""
        return Trainer(self.job, self.device).state()

    def advance(self, states: StateFolder, interrupt: Interrupt) -> None:
        """Steps, progress, states and previews until the last iteration, or a signal.

        What is checked when depends on the iteration alone, so that a resumed training takes the same course.
        """
        settings, events = self.settings, states.folder / "tensorboard"
        first = seen = self.step
        bar = Progress(self.steps, self.title, "iterations", initial=first)
        with writing(events), bar, SummaryWriter(str(events), purge_step=first, flush_secs=10) as writer:
            clock = time.perf_counter()
            for batch in prefetched(self.batches, first, self.steps):
                self.train_step(batch)
                step, note = self.step, ""
                saved = step % settings.save_every == 0
                if step % CHECK == 0 or saved:
                    self.check_trend()
                if step % CHECK == 0 or step == first + 1 or time.perf_counter() - clock > LOOK:
                    (loss_a, loss_b), now = self.check(), time.perf_counter()
                    faces = 2 * settings.batch * (step - seen) / (now - clock)
                    clock, seen = now, step
                    note = f"loss {loss_a:.4f} {loss_b:.4f}, {faces:.0f} faces/s"
                    for name, value in (("loss_a", loss_a), ("loss_b", loss_b), ("faces_per_second", faces)):
                        writer.add_scalar(name, value, step)
                    writer.add_scalar("lr", self.rate(step - 1), step)
                bar.update(1, note)
                if saved or step == self.steps or interrupt.signal:
                    self.check()
                    states.save(step, self.state(), regular=saved)
                if step % settings.preview_every == 0:
                    picture = preview.sheet(self.model, *self.batches.sides, self.device)
                    of = self.job.model, self.job.pair, states.folder.name
                    preview.write(states.folder / f"preview_{step:09d}.png", picture, *of)
                    writer.add_image("preview", picture, step, dataformats="HWC")
                if interrupt.signal:
                    break


def train(
    model: str,
    pair: tuple[str, str],
    tracks_a: list[tuple[Path, FaceTrack]],
    tracks_b: list[tuple[Path, FaceTrack]],
    settings: TrainConfig,
    seed: int,
    device: str,
    key: str,
    state_dir: Path,
    out: Path,
) -> None:
    """Train a pair's autoencoder, or continue with it, and write the model, and loss.csv and preview.png next to it.

    `tracks_a`, `tracks_b`: the video file and face track of each scene of the two people. States, previews and
    TensorBoard events go to `state_dir`/`key`; `key` is the hash of everything that changes the result.
    Stopped by SIGTERM or Ctrl-C it saves and exits with the signal's status; a loss that is not a number or explodes
    stops it, or rolls it back (`on_nan`).
    """
    where = resolve_device(device)
    cv2.setNumThreads(settings.threads)
    keep_freed_memory()
    start = settings.start_file(model, pair)
    if start and out.exists() and out.samefile(start):
        raise DfdmError(f"train.start_from: {start} is also the output file; copy it to another place first")
    with StateFolder(state_dir / key, key, settings.keep) as states:
        for name in (out.name, "loss.csv", "preview.png"):
            remove_leftovers(out.with_name(name))
        training = Trainer(Job(model, pair, settings, seed), where)
        training.resume(states)
        net = training.model
        size = max(net.input_size, net.output_size)
        check_sources(pair, tracks_a, tracks_b, settings, size)
        sides = (load_faces(pair[0], tracks_a, settings, size), load_faces(pair[1], tracks_b, settings, size))
        check_different(*sides)
        augmenter = Augmenter(settings, net.input_size, net.output_size, where)
        training.batches = Batches(sides, augmenter, settings, seed)
        training.run(states)
        preview.write(out.with_name("preview.png"), preview.sheet(net, *sides, where), model, pair, key)
        write_losses(out.with_name("loss.csv"), training)
        meta = checkpoint.describe(net, model, pair, settings, settings.iterations, key)
        checkpoint.save(out, net, meta)
        states.finish(settings.keep_finished)


def write_losses(path: Path, training: Trainer) -> None:
    """Write the loss log: at most 1000 rows, each the mean of the iterations since the row before."""
    losses = training.losses.double().cpu()
    every = math.ceil(len(losses) / CSV_ROWS)
    with atomic(path) as temporary, open(temporary, "w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["iteration", "loss_a", "loss_b", "lr"])
        for start in range(0, len(losses), every):
            part = losses[start : start + every]
            last = start + len(part)
            means = [f"{value:.6f}" for value in part.mean(0).tolist()]
            table.writerow([last, *means, f"{training.rate(last - 1):.6g}"])


def adam_epsilon(settings: TrainConfig, iteration: int) -> float:
    """What torch's Adam must add in an iteration (from 0) so that it steps as the original's.

    Keras adds epsilon to the square root of the second moment as it is, torch after dividing it by its bias
    correction, which is 0.1 at the first step (docs/architectures.md, Training).
    """
    return settings.epsilon / math.sqrt(1 - settings.beta2 ** (iteration + 1))


def compiled(model: Autoencoder) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The model compiled by torch; where no C++ compiler is found, an error that says what to install."""
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "g++", "clang++")):
        raise DfdmError(
            "train.compile needs a C++ compiler and none was found; install the package g++ (apt-get install g++) "
            "or set compile: false"
        )
    return torch.compile(model)
