"""Train one pair's autoencoder: resumable, repeatable, from face tracks to a finished model.

A batch depends on (seed, iteration) alone, so a state needs no random number generator and no place in the data:
killed at any moment and started again, a training on CPU ends with the same bytes as one that ran through
(docs/training.md).
"""

import csv
import math
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from dfdm.base import training
from dfdm.base.errors import DfdmError
from dfdm.base.files import atomic, remove_leftovers, writing
from dfdm.base.machine import keep_freed_memory
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

CHECK = 16  # iterations between two looks at the losses
TREND = 64  # iterations whose mean loss tells an explosion
CSV_ROWS = 1000  # of the loss log, at most
LOOK = 5.0  # seconds after which a slow training looks at its losses all the same


@dataclass(frozen=True)
class Job:
    """What is trained, with which settings; `key` is the hash of everything that changes the result."""

    model: str
    pair: tuple[str, str]
    settings: TrainConfig
    key: str

    @property
    def title(self) -> str:
        """The job in words."""
        return f"{self.model} {self.pair[0]}-{self.pair[1]}"


class Trainer:
    """One training in progress: model, optimizer, losses so far."""

    def __init__(self, job: Job, device: torch.device) -> None:
        settings = job.settings
        self.job, self.settings, self.device = job, settings, device
        self.model: Autoencoder = build(job.model, settings.width).to(device)
        if settings.channels_last:
            self.model = self.model.to(memory_format=torch.channels_last)
        self.optimizer = Adam(
            self.model.parameters(),
            settings.lr,
            (settings.beta1, settings.beta2),
            settings.epsilon,
            fused=True,
        )
        self.autocast = training.autocast(device, settings.amp)
        self.scaler = training.grad_scaler(device, settings.amp)
        self.losses = torch.zeros(settings.iterations, 2, device=device)  # a, b of each iteration
        self.step = 0
        self.rollbacks: list[int] = []  # the iterations from which it went on at half the rate
        self.forward = compiled(self.model) if settings.compile else self.model

    def rate(self, iteration: int) -> float:
        """The learning rate of an iteration: constant, then falling linearly to 0 over the last `decay` share.

        Every rollback before it has halved it.
        """
        falling = self.settings.decay * self.settings.iterations
        left = self.settings.iterations - iteration
        halved = 0.5 ** sum(start <= iteration for start in self.rollbacks)
        return self.settings.lr * min(1.0, left / falling if falling else 1.0) * halved

    def train_step(self, batch: Batch) -> None:
        """One optimizer step on both sides."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(self.step)
            group["eps"] = adam_epsilon(self.settings, self.step)
        half = len(batch.inputs) // 2
        with self.autocast:
            predicted = torch.cat(self.forward(batch.inputs[:half], batch.inputs[half:]))
        losses = face_loss(predicted.float(), batch.targets, batch.masks).view(2, half).mean(1)  # [2]: a, b
        self.scaler.scale(losses.sum()).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.losses[self.step] = losses.detach()
        self.step += 1

    @property
    def where(self) -> str:
        """Training and iteration, in words."""
        return f"{self.job.title}, iteration {self.step}"

    def check(self) -> list[float]:
        """The mean of the newest losses, [a, b]; a loss that is no number is a DivergedError."""
        newest = self.losses[max(0, self.step - CHECK) : self.step].mean(0).tolist()
        training.check_finite(newest, self.where)
        return newest

    def check_trend(self) -> None:
        """A loss that explodes is a DivergedError: 1.5 times the first ones, or 3 times the best, 64 at a time."""
        if self.step < 2 * TREND or self.step - max(self.rollbacks, default=0) < TREND:
            return
        means = self.losses[: self.step // TREND * TREND].view(-1, 2 * TREND).mean(1)
        best, last = float(means.min()), float(self.losses[self.step - TREND : self.step].mean())
        if last > min(1.5 * float(means[0]), 3 * best):
            raise training.DivergedError(f"{self.where}: the loss grew from {best:.3f} to {last:.3f}", "a lower lr")

    def state(self) -> dict[str, Any]:
        """What resuming needs; weights that are no numbers stop the training, so no state ever holds them."""
        training.check_weights(self.model, self.where)
        return {
            "of": {"model": self.job.model, "width": self.settings.width},
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "losses": self.losses[: self.step].clone(),
            "rollbacks": self.rollbacks,
        }

    def resume(self, state: dict[str, Any], path: Path) -> None:
        """Go on from a state; one that does not fit is a DfdmError."""
        try:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.scaler.load_state_dict(state["scaler"])
            losses, self.rollbacks = state["losses"], state["rollbacks"]
            self.step = len(losses)
            if self.step > self.settings.iterations:
                raise DfdmError(
                    f"{self.job.title} is trained for {self.step} iterations in {path}, the config asks for "
                    f"{self.settings.iterations}; raise train.iterations or give another state_dir"
                )
            self.losses[: self.step] = losses
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise DfdmError(f"training state in {path} does not fit this model ({reason}); move it away") from None


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
    """Train a pair's autoencoder, or go on with it, and write the model, loss.csv and preview.png beside it.

    `tracks_a`, `tracks_b`: the video file and face track of each scene of the two people. States, previews and
    TensorBoard events go to `state_dir`/`key`; `key` is the hash of everything that changes the result.
    Stopped by SIGTERM or Ctrl-C it saves and exits with the signal's status; a loss that is no number or explodes
    stops it, or rolls it back (`on_nan`).
    """
    where = training.resolve_device(device)
    cv2.setNumThreads(settings.threads)
    keep_freed_memory()
    start = settings.start_file(model, pair)
    if start and out.exists() and out.samefile(start):
        raise DfdmError(f"train.start_from: {start} is the file to be written too; copy it elsewhere, so that it stays")
    job = Job(model, pair, settings, key)
    with training.StateFolder(state_dir / key, key, settings.keep) as folder:
        for name in (out.name, "loss.csv", "preview.png"):
            remove_leftovers(out.with_name(name))
        trainer = fresh(job, seed, where)
        if state := folder.latest():
            trainer.resume(state, folder.folder)
            tell_start(trainer)
        net = trainer.model
        size = max(net.input_size, net.output_size)
        check_sources(pair, tracks_a, tracks_b, settings, size)
        sides = (load_faces(pair[0], tracks_a, settings, size), load_faces(pair[1], tracks_b, settings, size))
        check_different(*sides)
        augmenter = Augmenter(settings, net.input_size, net.output_size, where)
        run(trainer, Batches(sides, augmenter, settings, seed), folder, seed)
        preview.write(out.with_name("preview.png"), preview.sheet(net, *sides, where))
        write_losses(out.with_name("loss.csv"), trainer)
        meta = checkpoint.describe(net, model, pair, settings, settings.iterations, key)
        checkpoint.save(out, net, meta)
        folder.finish(settings.keep_finished)


def fresh(job: Job, seed: int, device: torch.device) -> Trainer:
    """A training before its first iteration: its weights from the seed, or from the file `start_from` names."""
    training.set_deterministic(seed, job.settings.threads)
    trainer = Trainer(job, device)
    if start := job.settings.start_file(job.model, job.pair):
        trainer.model.load_state_dict(checkpoint.start_weights(start, job.model, job.settings.width))
    return trainer


def run(trainer: Trainer, batches: Batches, folder: training.StateFolder, seed: int) -> None:
    """Train until the last iteration, or a signal; roll back where the loss goes astray and `on_nan` says so."""
    with training.Interrupt() as interrupt:
        while trainer.step < trainer.settings.iterations:
            try:
                advance(trainer, batches, folder, interrupt)
            except training.DivergedError as fault:
                roll_back(trainer, folder, seed, fault)
            if trainer.step < trainer.settings.iterations:
                interrupt.exit_if_set(trainer.job.title)


def advance(trainer: Trainer, batches: Batches, folder: training.StateFolder, interrupt: training.Interrupt) -> None:
    """The loop: steps, progress, states and previews until the last iteration, or a signal.

    What is checked when depends on the iteration alone, so that a resumed training takes the same course.
    """
    settings, events = trainer.settings, folder.folder / "tensorboard"
    first = seen = trainer.step
    bar = training.Progress(settings.iterations, trainer.job.title, "iterations", initial=first)
    with writing(events), bar, SummaryWriter(str(events), purge_step=first, flush_secs=10) as writer:
        clock = time.perf_counter()
        for batch in prefetched(batches, first, settings.iterations):
            trainer.train_step(batch)
            step, note = trainer.step, ""
            saved = step % settings.save_every == 0
            if step % CHECK == 0 or saved:
                trainer.check_trend()
            if step % CHECK == 0 or step == first + 1 or time.perf_counter() - clock > LOOK:
                (loss_a, loss_b), now = trainer.check(), time.perf_counter()
                faces = 2 * settings.batch * (step - seen) / (now - clock)
                clock, seen = now, step
                note = f"loss {loss_a:.4f} {loss_b:.4f}, {faces:.0f} faces/s"
                for name, value in (("loss_a", loss_a), ("loss_b", loss_b), ("faces_per_second", faces)):
                    writer.add_scalar(name, value, step)
                writer.add_scalar("lr", trainer.rate(step - 1), step)
            bar.update(1, note)
            if saved or step == settings.iterations or interrupt.signal:
                trainer.check()
                folder.save(step, trainer.state(), regular=saved)
            if step % settings.preview_every == 0:
                picture = preview.sheet(trainer.model, *batches.sides, trainer.device)
                preview.write(folder.folder / f"preview_{step:09d}.png", picture)
                writer.add_image("preview", picture, step, dataformats="HWC")
            if interrupt.signal:
                break


def roll_back(trainer: Trainer, folder: training.StateFolder, seed: int, fault: training.DivergedError) -> None:
    """Go on from the last good state at half the rate; where there is none yet, from the beginning.

    The state is written anew with the rollback in it. Raises DfdmError where `on_nan` is stop, or after the last
    of the rollbacks.
    """
    rate, on_nan = trainer.rate(trainer.step), trainer.settings.on_nan
    state = training.go_back(
        folder, lambda: fresh(trainer.job, seed, trainer.device).state(), trainer.rollbacks, fault, on_nan, rate
    )
    trainer.resume(state, folder.folder)
    folder.roll_back(trainer.step, trainer.state())
    print(f"{fault.fact}; rolled back", file=sys.stderr)
    tell_start(trainer)


def tell_start(trainer: Trainer) -> None:
    """Say on stderr from where a training goes on, and how often it was rolled back."""
    text = f"{trainer.job.title}: goes on from iteration {trainer.step} of {trainer.settings.iterations}"
    if times := len(trainer.rollbacks):
        text += f" at lr {trainer.rate(trainer.step):.3g}, rollback {times} of at most {training.ROLLBACKS}"
    print(text, file=sys.stderr, flush=True)


def write_losses(path: Path, trainer: Trainer) -> None:
    """Write the loss log: at most 1000 rows, each the mean of the iterations since the row before."""
    losses = trainer.losses.double().cpu()
    every = math.ceil(len(losses) / CSV_ROWS)
    with atomic(path) as temporary, open(temporary, "w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["iteration", "loss_a", "loss_b", "lr"])
        for start in range(0, len(losses), every):
            part = losses[start : start + every]
            last = start + len(part)
            means = [f"{value:.6f}" for value in part.mean(0).tolist()]
            table.writerow([last, *means, f"{trainer.rate(last - 1):.6g}"])


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
