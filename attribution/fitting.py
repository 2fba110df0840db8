"""Training of a classifier: the checkpoint chosen on the validation part, resumable at every step.

Source of the schedule: docs/attribution.md; the rate in the config is the effective one, the optimizer lives
through the whole training, and the test part is not read here. States, rollbacks and checks are the ones of the
generators (dfdm/base/training.py).
"""

import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attribution import models
from attribution.clips import Clips, normalise
from attribution.inference import video_logits
from attribution.settings import AttributionConfig
from dfdm.base.training import (
    DivergedError,
    Interrupt,
    Progress,
    StateFolder,
    autocast,
    check_finite,
    check_weights,
    go_back,
    grad_scaler,
    resolve_device,
    set_deterministic,
)

COLUMNS = ("epoch", "lr", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy")


@dataclass(frozen=True)
class Best:
    """The chosen checkpoint: epoch (from 1) and its figures on the validation part."""

    epoch: int
    accuracy: float
    loss: float


@dataclass(frozen=True)
class Job:
    """What is trained: clips of two parts, classes, seed; `qualities` crf values together stand in both parts.

    An epoch is a clip of every video at one of the qualities, `clips_per_epoch` times: as many steps for several
    qualities together as for one.
    """

    title: str
    training: Clips
    validation: Clips
    classes: list[str]
    seed: int
    settings: AttributionConfig
    qualities: int = 1


class Trainer:
    """One training: network, optimizer, where it stands (`step` batches done), the best checkpoint so far."""

    def __init__(self, job: Job, device: torch.device) -> None:
        self.job, self.device = job, device
        self.settings = settings = job.settings
        set_deterministic(job.seed, settings.threads)
        weights = Path(settings.weights).expanduser() if settings.weights else None
        model = models.build(settings.model, len(job.classes), settings.depth, settings.clip, weights, settings.options)
        self.model: nn.Module = models.place(model, device, settings.channels_last)
        self.optimizer = build_optimizer(self.model, settings)
        self.scaler = grad_scaler(device, settings.amp)
        clips = -(-len(job.training.videos) * settings.clips_per_epoch // job.qualities)
        self.steps_per_epoch = -(-clips // settings.batch)
        self.clips_per_epoch = clips
        self.steps = self.steps_per_epoch * settings.epochs
        self.step = 0
        self.sums = [0.0, 0.0, 0.0]  # of the running epoch: loss, right answers, clips
        self.log: list[list[float]] = []
        self.rollbacks: list[int] = []  # the steps from which it went on at half the rate
        self.best: Best | None = None
        self.best_tensors: dict[str, Tensor] = {}
        self.best_logits = torch.zeros(0)  # of the validation videos
        self.seconds, self.timed = 0.0, 0  # of this process: spent on steps, clips included; clips seen

    def rate(self, step: int) -> float:
        """The learning rate of a step (from 0): by `schedule`, halved by every rollback before it."""
        settings = self.settings
        halved = 0.5 ** sum(start <= step for start in self.rollbacks)
        if settings.schedule == "cosine":
            return settings.lr * halved * (1 + math.cos(math.pi * step / self.steps)) / 2
        epoch = step // self.steps_per_epoch + 1
        return settings.lr * halved * settings.gamma ** sum(epoch >= milestone for milestone in settings.milestones)

    def state(self) -> dict[str, Any]:
        """Everything that the rest of the training depends on; weights that are no numbers stop the training."""
        check_weights(self.model, f"{self.job.title}, step {self.step}")
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "sums": self.sums,
            "log": self.log,
            "rollbacks": self.rollbacks,
            "best": vars(self.best) if self.best else None,
            "best_tensors": self.best_tensors,
            "best_logits": self.best_logits,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.step, self.sums, self.log = state.get("step", 0), state["sums"], state["log"]
        self.rollbacks = state["rollbacks"]
        self.best = Best(**state["best"]) if state["best"] else None
        self.best_tensors, self.best_logits = state["best_tensors"], state["best_logits"]

    def update(self, clips: Tensor, labels: Tensor) -> None:
        """One step on a batch: uint8 `[B, T, H, W, 3]`, labels `[B]`.

        Everything random in it (dropout, mixup) is drawn from seed and step, so a resumed training draws the same.
        """
        torch.manual_seed(self.job.seed * 1_000_003 + self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(self.step)
        labels = labels.to(self.device)
        inputs = normalise(clips, self.device, self.settings.channels_last)  # [B, T, 3, H, W]
        others, share = labels, 1.0
        if self.settings.mixup:
            random = np.random.default_rng((self.job.seed, self.step))
            share, order = float(random.beta(self.settings.mixup, self.settings.mixup)), random.permutation(len(labels))
            inputs, others = share * inputs + (1 - share) * inputs[order], labels[order]
        with autocast(self.device, self.settings.amp):
            logits = self.model(inputs)  # [B, classes]
        smoothing = self.settings.label_smoothing
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=smoothing)
        if self.settings.mixup:
            loss = share * loss + (1 - share) * F.cross_entropy(logits.float(), others, label_smoothing=smoothing)
        value = loss.item()
        check_finite([value], f"{self.job.title}, step {self.step + 1}")
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        right = (logits.argmax(1) == labels).sum().item()
        self.sums = [have + new for have, new in zip(self.sums, (value * len(labels), right, len(labels)))]
        self.step += 1

    def validate(self, epoch: int) -> None:
        """End an epoch: figures on the validation part, a line of the log, the checkpoint if it is the best.

        Best: higher accuracy, then lower loss, then earlier.
        """
        logits = torch.from_numpy(video_logits(self.model, self.job.validation, self.device))  # [videos, classes]
        labels = torch.tensor([video.label for video in self.job.validation.videos])
        loss = F.cross_entropy(logits, labels).item()
        check_finite([loss], f"{self.job.title}, validation after epoch {epoch}")
        accuracy = (logits.argmax(1) == labels).double().mean().item()
        if self.best is None or (accuracy, -loss) > (self.best.accuracy, -self.best.loss):
            self.best, self.best_logits = Best(epoch, accuracy, loss), logits
            self.best_tensors = {key: value.cpu().clone() for key, value in self.model.state_dict().items()}
        total, right, count = self.sums
        self.log.append([epoch, self.rate(self.step - 1), total / count, right / count, loss, accuracy])
        self.sums = [0.0, 0.0, 0.0]

    def advance(self, states: StateFolder, interrupt: Interrupt) -> None:
        """Train to the end from where it stands; save as `save_every` says, and when interrupted."""
        with Progress(self.steps, self.job.title, initial=self.step) as shown:
            while self.step < self.steps:
                done, skip = divmod(self.step, self.steps_per_epoch)
                self.model.train()
                draws = self.job.training.training(self.job.seed, done + 1)[: self.clips_per_epoch]
                clock = time.perf_counter()
                for clips, labels, _ in self.job.training.batches(draws[skip * self.settings.batch :]):
                    self.update(clips, labels)
                    self.timed += len(labels)
                    shown.update(note=self.note())
                    if interrupt.signal and self.step % self.steps_per_epoch:
                        states.save(self.step, self.state(), regular=False)
                        interrupt.exit_if_set(self.job.title)
                self.seconds += time.perf_counter() - clock
                self.validate(done + 1)
                regular = (done + 1) % self.settings.save_every == 0
                if regular or self.step == self.steps or interrupt.signal:
                    states.save(self.step, self.state(), regular=regular)
                if self.step < self.steps:
                    interrupt.exit_if_set(self.job.title)

    def run(self, states: StateFolder) -> None:
        """Train until the last step, or a signal; roll back where the loss goes astray and `on_nan` says so."""
        with Interrupt() as interrupt:
            while self.step < self.steps:
                try:
                    self.advance(states, interrupt)
                except DivergedError as fault:
                    rate, on_nan = self.rate(self.step), self.settings.on_nan
                    self.restore(go_back(states, self.fresh, self.rollbacks, fault, on_nan, rate))
                    states.roll_back(self.step, self.state())
                    print(f"{fault.fact}; rolled back to step {self.step}", file=sys.stderr)

    def fresh(self) -> dict[str, Any]:
        """The state before the first step."""
        return Trainer(self.job, self.device).state()

    def note(self) -> str:
        """What the progress line shows: the running epoch and the best validation accuracy."""
        total, right, count = self.sums
        text = f"loss {total / count:.3f}, accuracy {right / count:.2f}"
        return text + (f", best validation {self.best.accuracy:.2f} (epoch {self.best.epoch})" if self.best else "")


def build_optimizer(model: nn.Module, settings: AttributionConfig) -> torch.optim.Optimizer:
    """SGD with momentum, no nesterov (as published), or AdamW; one parameter group, weight decay on everything."""
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(model.parameters(), settings.lr, weight_decay=settings.weight_decay)
    return torch.optim.SGD(
        model.parameters(), settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay
    )


def fit(job: Job, device: str, key: str, state_dir: Path) -> Trainer:
    """Train, or go on: the finished training, its best checkpoint in it.

    `key` is the hash of all that changes the result, and its folder in `state_dir`.
    """
    if job.settings.weights is None:
        print(f"{job.title}: no ImageNet weights given, the network starts random", file=sys.stderr)
    with StateFolder(state_dir / key, key) as states:
        trainer = Trainer(job, resolve_device(device))
        if (state := states.latest()) is not None:
            trainer.restore(state)
        trainer.run(states)
        states.finish(keep=True)
    assert trainer.best is not None
    return trainer
