"""Training of a classifier: SGD, the checkpoint chosen on the validation part, resumable at every step.

Source of the schedule: docs/attribution.md; the rate in the config is the effective one, the optimizer lives
through the whole training, and the test part is not read here.
"""

import csv
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attribution import models
from attribution.clips import Clips, normalise
from attribution.predict import video_logits
from dfdm.config import AttributionConfig
from dfdm.files import atomic
from dfdm.tensorfile import write_tensors
from dfdm.training import (
    Interrupt,
    Progress,
    StateFolder,
    autocast,
    check_finite,
    check_weights,
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


def rate(settings: AttributionConfig, epoch: int) -> float:
    """The learning rate of an epoch (from 1): times gamma from every milestone on."""
    return settings.lr * settings.gamma ** sum(epoch >= milestone for milestone in settings.milestones)


class Trainer:
    """One training: network, optimizer, where it stands (`step` batches done), the best checkpoint so far."""

    def __init__(self, training: Clips, validation: Clips, classes: int, seed: int, device: torch.device) -> None:
        self.training, self.validation, self.seed, self.device = training, validation, seed, device
        self.settings = settings = training.settings
        weights = Path(settings.weights).expanduser() if settings.weights else None
        if weights is None:
            print("attribution: no ImageNet weights given, the network starts random", file=sys.stderr)
        model = models.build(settings.model, classes, settings.depth, settings.clip, weights, settings.options)
        self.model: nn.Module = models.place(model, device, settings.channels_last)
        self.optimizer = torch.optim.SGD(
            self.model.parameters(),
            settings.lr,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
        self.scaler = grad_scaler(device, settings.amp)
        clips = len(training.videos) * settings.clips_per_epoch
        self.steps_per_epoch = -(-clips // settings.batch)
        self.steps = self.steps_per_epoch * settings.epochs
        self.step = 0
        self.sums = [0.0, 0.0, 0.0]  # of the running epoch: loss, right answers, clips
        self.log: list[list[float]] = []
        self.best: Best | None = None
        self.best_tensors: dict[str, Tensor] = {}

    def state(self) -> dict[str, Any]:
        """Everything that the rest of the training depends on; weights that are no numbers stop the training."""
        check_weights(self.model, f"attribution, step {self.step}")
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "sums": self.sums,
            "log": self.log,
            "best": vars(self.best) if self.best else None,
            "best_tensors": self.best_tensors,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.step, self.sums, self.log = state["step"], state["sums"], state["log"]
        self.best = Best(**state["best"]) if state["best"] else None
        self.best_tensors = state["best_tensors"]

    def update(self, clips: Tensor, labels: Tensor) -> None:
        """One step on a batch: uint8 `[B, T, H, W, 3]`, labels `[B]`."""
        labels = labels.to(self.device)
        with autocast(self.device, self.settings.amp):
            logits = self.model(normalise(clips, self.device, self.settings.channels_last))  # [B, classes]
            loss = F.cross_entropy(logits, labels)
        value = loss.item()
        check_finite([value], f"attribution, step {self.step + 1}")
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
        logits = torch.from_numpy(video_logits(self.model, self.validation, self.device))  # [videos, classes]
        labels = torch.tensor([video.label for video in self.validation.videos])
        loss = F.cross_entropy(logits, labels).item()
        check_finite([loss], f"attribution, validation after epoch {epoch}")
        accuracy = (logits.argmax(1) == labels).double().mean().item()
        if self.best is None or (accuracy, -loss) > (self.best.accuracy, -self.best.loss):
            self.best = Best(epoch, accuracy, loss)
            self.best_tensors = {key: value.cpu().clone() for key, value in self.model.state_dict().items()}
        total, right, count = self.sums
        self.log.append([epoch, rate(self.settings, epoch), total / count, right / count, loss, accuracy])
        self.sums = [0.0, 0.0, 0.0]

    def run(self, states: StateFolder, interrupt: Interrupt, what: str) -> None:
        """Train to the end from where it stands; save as `save_every` says, and when interrupted."""
        with Progress(self.steps, what, initial=self.step) as shown:
            while self.step < self.steps:
                done, skip = divmod(self.step, self.steps_per_epoch)
                for group in self.optimizer.param_groups:
                    group["lr"] = rate(self.settings, done + 1)
                self.model.train()
                draws = self.training.training(self.seed, done + 1)[skip * self.settings.batch :]
                for clips, labels, _ in self.training.batches(draws):
                    self.update(clips, labels)
                    shown.update(note=self.note())
                    if interrupt.signal and self.step % self.steps_per_epoch:
                        states.save(self.step, self.state())
                        interrupt.exit_if_set(what)
                self.validate(done + 1)
                if (done + 1) % self.settings.save_every == 0 or self.step == self.steps or interrupt.signal:
                    states.save(self.step, self.state())
                if self.step < self.steps:
                    interrupt.exit_if_set(what)

    def note(self) -> str:
        """What the progress line shows: the running epoch and the best validation accuracy."""
        total, right, count = self.sums
        text = f"loss {total / count:.3f}, accuracy {right / count:.2f}"
        return text + (f", best validation {self.best.accuracy:.2f} (epoch {self.best.epoch})" if self.best else "")


def train(
    training: Clips,
    validation: Clips,
    classes: list[str],
    seed: int,
    device: str,
    key: str,
    state_dir: Path,
    out: Path,
    about: dict[str, Any],
) -> Best:
    """Train (or go on) and write `model.safetensors` and `log.csv` into `out`.

    `key` is the hash of all that changes the result, and its folder in `state_dir`; `about` goes into the metadata.
    A finished training only writes its files again. Returns the chosen epoch and its validation figures.
    """
    settings = training.settings
    set_deterministic(seed, settings.threads)
    with StateFolder(state_dir / key, key) as states, Interrupt() as interrupt:
        trainer = Trainer(training, validation, len(classes), seed, resolve_device(device))
        if (state := states.latest()) is not None:
            trainer.restore(state)
        trainer.run(states, interrupt, f"attribution crf {about['crf']}")
    assert trainer.best is not None
    best = trainer.best
    about = {
        **about,
        "classes": classes,
        "seed": seed,
        "key": key,
        "settings": settings.model_dump(exclude={"save_every"}),
    }
    about |= {"epoch": best.epoch, "validation_accuracy": best.accuracy, "validation_loss": best.loss}
    tensors = {name: value.contiguous().numpy() for name, value in trainer.best_tensors.items()}
    write_tensors(out / "model.safetensors", tensors, about)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([row[0], *(f"{value:.6g}" for value in row[1:])] for row in trainer.log)
    with atomic(out / "log.csv") as path:
        path.write_text(text.getvalue())
    return best
