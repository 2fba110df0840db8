"""Training of a classifier: the checkpoint chosen on the validation part, resumable at every step.

Source of the schedule: docs/attribution.md; the rate in the config is the effective one, the optimizer lives
through the whole training, and the test part is not read here.
"""

import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attribution import models
from attribution.clips import Clips, normalise
from attribution.inference import video_logits
from attribution.settings import AttributionConfig
from dfdm.base.compute import autocast, resolve_device, set_deterministic
from dfdm.base.files import at_home
from dfdm.base.progress import Progress
from dfdm.base.states import StateFolder
from dfdm.base.trainer import BaseTrainer, Interrupt, check_finite

KEPT = ("sums", "log", "rollbacks", "best_tensors", "best_logits")  # in a state, beside the best checkpoint's figures
COLUMNS = ("epoch", "lr", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy")


@runtime_checkable
class Solved(Protocol):
    """A model whose trained part is solved from the features of all clips so far, not descended to."""

    def features(self, clips: Tensor) -> Tensor:
        """Features `[B, F]` of clips `[B, T, 3, H, W]`, in which nothing is trained."""

    def classify(self, features: Tensor) -> Tensor:
        """Logits `[B, classes]`."""

    def solve(self, features: Tensor, labels: Tensor) -> None:
        """Fit to features `[n, F]` and labels `[n]`."""


@dataclass(frozen=True)
class Best:
    """The chosen checkpoint: epoch (from 1) and its figures on the validation part."""

    epoch: int
    accuracy: float
    loss: float


@dataclass(frozen=True)
class Job:
    """What is trained: clips of two parts, classes, seed; both parts have videos of `qualities` crf values.

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


class Trainer(BaseTrainer):
    """One training of a classifier: the running epoch's sums, the log, the best checkpoint so far."""

    def __init__(self, job: Job, device: torch.device) -> None:
        self.job, self.settings = job, job.settings
        settings = job.settings
        set_deterministic(job.seed, settings.threads)
        weights = at_home(settings.weights) if settings.weights else None
        model = models.build(settings.model, len(job.classes), settings.depth, settings.clip, weights, settings.options)
        model = models.place(model, device, settings.channels_last)
        self.clips_per_epoch = -(-len(job.training.videos) * settings.clips_per_epoch // job.qualities)
        self.steps_per_epoch = -(-self.clips_per_epoch // settings.batch)
        steps = self.steps_per_epoch * settings.epochs
        optimizer = build_optimizer(model, settings)
        super().__init__(job.title, model, optimizer, device, steps, settings.amp, settings.on_nan)
        self.sums = [0.0, 0.0, 0.0]  # of the running epoch: loss, right answers, clips
        self.log: list[list[float]] = []
        self.best: Best | None = None
        self.best_tensors: dict[str, Tensor] = {}
        self.best_logits = torch.zeros(0)  # of the validation videos
        self.features: list[tuple[Tensor, Tensor]] = []  # of a model that is solved: each batch's, and its labels
        self.seconds, self.timed = 0.0, 0  # of this process: spent on steps, clips included; clips seen

    def scheduled(self, step: int) -> float:
        """By `schedule`: a cosine over all steps, or times gamma at every milestone."""
        settings = self.settings
        if settings.schedule == "cosine":
            return settings.lr * (1 + math.cos(math.pi * step / self.steps)) / 2
        epoch = step // self.steps_per_epoch + 1
        return settings.lr * settings.gamma ** sum(epoch >= milestone for milestone in settings.milestones)

    def state(self) -> dict[str, Any]:
        """Everything that the rest of the training depends on."""
        own = {name: getattr(self, name) for name in KEPT}
        return {**super().state(), **own, "features": self.features, "best": vars(self.best) if self.best else None}

    def restore(self, state: dict[str, Any], folder: Path) -> None:
        """Go on from a state."""
        super().restore(state, folder)
        vars(self).update({name: state[name] for name in KEPT})
        self.features = state.get("features", [])  # which earlier versions, without such models, did not have
        self.best = Best(**state["best"]) if state["best"] else None

    def fresh(self) -> dict[str, Any]:
        """The state before the first step."""
        return Trainer(self.job, self.device).state()

    def update(self, clips: Tensor, labels: Tensor) -> None:
        """One step on a batch: uint8 `[B, T, H, W, 3]`, labels `[B]`.

        Everything random in it (dropout, mixup) is drawn from seed and step, so a resumed training draws the same.
        """
        torch.manual_seed(self.job.seed * 1_000_003 + self.step)
        labels = labels.to(self.device)
        inputs = normalise(clips, self.device, self.settings.channels_last)  # [B, T, 3, H, W]
        others, share = labels, 1.0
        if self.settings.mixup:
            random = np.random.default_rng((self.job.seed, self.step))
            share, order = float(random.beta(self.settings.mixup, self.settings.mixup)), random.permutation(len(labels))
            inputs, others = share * inputs + (1 - share) * inputs[order], labels[order]
        if isinstance(self.model, Solved):
            self.collect(inputs, labels)
            return
        with autocast(self.device, self.settings.amp):
            logits = self.model(inputs)  # [B, classes]
        smoothing = self.settings.label_smoothing
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=smoothing)
        if self.settings.mixup:
            loss = share * loss + (1 - share) * F.cross_entropy(logits.float(), others, label_smoothing=smoothing)
        value = loss.item()
        check_finite([value], f"{self.job.title}, step {self.step + 1}")
        self.descend(loss)
        right = (logits.argmax(1) == labels).sum().item()
        self.sums = [have + new for have, new in zip(self.sums, (value * len(labels), right, len(labels)))]

    @torch.no_grad()
    def collect(self, inputs: Tensor, labels: Tensor) -> None:
        """Keep a batch's features for `solve`; its loss and accuracy are those of the last epoch's solution."""
        assert isinstance(self.model, Solved)
        found = self.model.features(inputs)
        logits = self.model.classify(found)
        loss, right = F.cross_entropy(logits, labels, reduction="sum").item(), (logits.argmax(1) == labels).sum().item()
        self.features.append((found.cpu(), labels.cpu()))
        self.sums = [have + new for have, new in zip(self.sums, (loss, right, len(labels)))]
        self.step += 1

    def validate(self, epoch: int) -> None:
        """End an epoch: figures on the validation part, a line of the log, the checkpoint if it is the best.

        Best: higher accuracy, then lower loss, then earlier. A model that is solved is so first.
        """
        if isinstance(self.model, Solved):
            features, labels = (torch.cat(parts).to(self.device) for parts in zip(*self.features))
            self.model.solve(features, labels)
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
        """Train to the end from the current step; save as `save_every` says, and when interrupted."""
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
                        return
                self.seconds += time.perf_counter() - clock
                self.validate(done + 1)
                regular = (done + 1) % self.settings.save_every == 0
                if regular or self.step == self.steps or interrupt.signal:
                    states.save(self.step, self.state(), regular=regular)
                if interrupt.signal:
                    return

    def note(self) -> str:
        """What the progress line shows: the running epoch and the best validation accuracy."""
        total, right, count = self.sums
        text = f"loss {total / count:.3f}, accuracy {right / count:.2f}"
        return text + (f", best validation {self.best.accuracy:.2f} (epoch {self.best.epoch})" if self.best else "")


def build_optimizer(model: nn.Module, settings: AttributionConfig) -> torch.optim.Optimizer:
    """SGD with momentum, no nesterov (as published), or AdamW; one parameter group, weight decay on everything."""
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(model.parameters(), settings.lr, weight_decay=settings.weight_decay)
    return torch.optim.SGD(model.parameters(), settings.lr, settings.momentum, weight_decay=settings.weight_decay)


def fit(job: Job, device: str, key: str, state_dir: Path) -> Trainer:
    """Train, or continue: the finished training, its best checkpoint in it.

    `key` is the hash of all that changes the result, and its folder in `state_dir`.
    """
    if job.settings.weights is None:
        print(f"{job.title}: no ImageNet weights given, the network starts random", file=sys.stderr)
    with StateFolder(state_dir / key, key) as states:
        trainer = Trainer(job, resolve_device(device))
        trainer.resume(states)
        trainer.run(states)
        states.finish(keep=True)
    assert trainer.best is not None
    return trainer
