"""Train one pair's autoencoder: resumable, repeatable, from face tracks to a finished model.

A batch depends on (seed, iteration) alone, so a state needs no random number generator: killed at any moment and
started again, a training on CPU ends with the same bytes as one that ran through.
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

from dfdm import training
from dfdm.config import TrainConfig
from dfdm.errors import DfdmError
from dfdm.files import atomic
from dfdm.media.tracks import FaceTrack
from generators import checkpoint, preview
from generators.augment import Augmenter, Batch
from generators.batches import Batches, prefetched
from generators.faces import load_faces
from generators.losses import face_loss
from generators.models import build
from generators.models.blocks import Autoencoder

CHECK = 16  # iterations between two looks at the losses
TREND = 64  # iterations whose mean loss tells an explosion
CSV_ROWS = 1000  # of the loss log, at most


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
        self.optimizer = torch.optim.Adam(
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
        self.forward = compiled(self.model) if settings.compile else self.model

    def rate(self, iteration: int) -> float:
        """The learning rate of an iteration: constant, then falling linearly to 0 over the last `decay` share."""
        falling = self.settings.decay * self.settings.iterations
        left = self.settings.iterations - iteration
        return self.settings.lr * min(1.0, left / falling if falling else 1.0)

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

    def check(self) -> list[float]:
        """The mean of the newest losses, [a, b]; a loss that is no number, or that explodes, stops the training."""
        where = f"{self.job.title}, iteration {self.step}"
        newest = self.losses[max(0, self.step - CHECK) : self.step].mean(0).tolist()
        training.check_finite(newest, where)
        if self.step >= 2 * TREND:
            first, last = self.losses[:TREND].mean(), self.losses[self.step - TREND : self.step].mean()
            if last > 1.5 * first:
                raise DfdmError(
                    f"{where}: the loss grew from {first:.3f} to {last:.3f}, training stopped and the last good "
                    "state was kept; try a lower lr"
                )
        return newest

    def check_weights(self) -> None:
        """Stop where the last update, which no loss has seen yet, left a weight that is no number."""
        norms = torch.stack(torch._foreach_norm([weight.detach() for weight in self.model.parameters()]))
        training.check_finite([float(norms.sum())], f"{self.job.title}, iteration {self.step}")

    def state(self) -> dict[str, Any]:
        """What resuming needs; weights that are no numbers stop the training, so no state ever holds them."""
        self.check_weights()
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "losses": self.losses[: self.step].clone(),
        }

    def resume(self, state: dict[str, Any], path: Path) -> None:
        """Go on from a state; one that does not fit is a DfdmError."""
        try:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.scaler.load_state_dict(state["scaler"])
            losses = state["losses"]
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
    Stopped by SIGTERM or Ctrl-C it saves and exits with the signal's status.
    """
    where = training.resolve_device(device)
    training.set_deterministic(seed, settings.threads)
    cv2.setNumThreads(settings.threads)
    job = Job(model, pair, settings, key)
    with training.StateFolder(state_dir / key, key, settings.keep) as folder:
        trainer = Trainer(job, where)
        if state := folder.latest(where):
            trainer.resume(state, folder.folder)
        net = trainer.model
        size = max(net.input_size, net.output_size)
        sides = (load_faces(pair[0], tracks_a, settings, size), load_faces(pair[1], tracks_b, settings, size))
        augmenter = Augmenter(settings, net.input_size, net.output_size, where)
        run(trainer, Batches(sides, augmenter, settings, seed), folder)
        preview.write(out.with_name("preview.png"), preview.sheet(net, *sides, where))
    write_losses(out.with_name("loss.csv"), trainer)
    meta = checkpoint.ModelMeta(
        model=model,
        width=settings.width,
        input_size=net.input_size,
        output_size=net.output_size,
        centering=settings.centering,
        coverage=settings.coverage,
        mask=settings.mask,
        pair=pair,
        iterations=settings.iterations,
        key=key,
    )
    checkpoint.save(out, net, meta)


def run(trainer: Trainer, batches: Batches, folder: training.StateFolder) -> None:
    """The loop: steps, progress, states and previews until the last iteration, or a signal."""
    settings, title = trainer.settings, trainer.job.title
    writer = SummaryWriter(str(folder.folder / "tensorboard"), purge_step=trainer.step)
    bar = training.Progress(settings.iterations, title, "iterations", initial=trainer.step)
    with training.Interrupt() as interrupt, bar, writer:
        clock = time.perf_counter()
        for batch in prefetched(batches, trainer.step, settings.iterations):
            trainer.train_step(batch)
            step = trainer.step
            if step % CHECK == 0:
                (loss_a, loss_b), now = trainer.check(), time.perf_counter()
                faces = 2 * settings.batch * CHECK / (now - clock)
                clock = now
                bar.update(step - bar.done, f"loss {loss_a:.4f} {loss_b:.4f}, {faces:.0f} faces/s")
                for name, value in (("loss_a", loss_a), ("loss_b", loss_b), ("faces_per_second", faces)):
                    writer.add_scalar(name, value, step)
                writer.add_scalar("lr", trainer.rate(step - 1), step)
            if step % settings.save_every == 0 or step == settings.iterations or interrupt.signal:
                trainer.check()
                folder.save(step, trainer.state())
            if step % settings.preview_every == 0:
                picture = preview.sheet(trainer.model, *batches.sides, trainer.device)
                preview.write(folder.folder / f"preview_{step:09d}.png", picture)
                writer.add_image("preview", picture, step, dataformats="HWC")
            if interrupt.signal:
                break
        bar.update(trainer.step - bar.done)
    if trainer.step < settings.iterations:
        interrupt.exit_if_set(title)


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
