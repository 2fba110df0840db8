"""Train one pair's autoencoder: resumable, repeatable, from face tracks to a finished model.

A batch depends on (seed, iteration) alone, so a state needs no random number generator: killed at any moment and
started again, a training on CPU ends with the same bytes as one that ran through.
"""

import csv
import io
import os
import shutil
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
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
from generators.faces import FaceSet, load_faces
from generators.losses import face_loss
from generators.models import build
from generators.models.blocks import Autoencoder

AHEAD = 2  # batches made before they are needed
CHECK = 16  # iterations between two looks at the losses
TREND = 64  # iterations whose mean loss tells an explosion
CSV_ROWS = 1000  # of the loss log, at most


@dataclass(frozen=True)
class Job:
    """What is trained and where it goes: `out` is the model, loss.csv and preview.png are written beside it."""

    model: str
    pair: tuple[str, str]
    settings: TrainConfig
    seed: int
    key: str
    out: Path

    @property
    def title(self) -> str:
        """The job in words."""
        return f"{self.model} {self.pair[0]}-{self.pair[1]}"


class Batches:
    """The batches of a training: iteration i's is the same whenever and wherever it is made."""

    def __init__(self, sides: tuple[FaceSet, FaceSet], augmenter: Augmenter, job: Job) -> None:
        self.sides, self.augmenter = sides, augmenter
        self.batch, self.seed, self.threads = job.settings.batch, job.seed, job.settings.threads
        self.orders: dict[tuple[int, int], np.ndarray] = {}

    def order(self, side: int, epoch: int) -> np.ndarray:
        """The order in which an epoch shows one side's faces."""
        if (side, epoch) not in self.orders:
            self.orders = {kept: order for kept, order in self.orders.items() if kept[0] != side or kept[1] == epoch - 1}
            rng = np.random.default_rng([self.seed, 1 + side, epoch])
            self.orders[side, epoch] = rng.permutation(len(self.sides[side]))
        return self.orders[side, epoch]

    def rows(self, side: int, iteration: int) -> np.ndarray:
        """Which of a side's faces an iteration sees, [batch]."""
        places = np.arange(iteration * self.batch, (iteration + 1) * self.batch)
        epochs, offsets = np.divmod(places, len(self.sides[side]))
        return np.array([self.order(side, int(epoch))[offset] for epoch, offset in zip(epochs, offsets)])

    def __getitem__(self, iteration: int) -> Batch:
        """Side a's faces, then side b's, augmented: [2 * batch, ...]."""
        torch.set_num_threads(self.threads)  # holds for the calling thread only
        rows = [self.rows(side, iteration) for side in (0, 1)]
        faces = np.concatenate([side.faces[chosen] for side, chosen in zip(self.sides, rows)])
        masks = np.concatenate([side.masks[chosen] for side, chosen in zip(self.sides, rows)])
        return self.augmenter(faces, masks, np.random.default_rng([self.seed, 0, iteration]))


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
        half = len(batch.inputs) // 2
        with training.autocast(self.device, self.settings.amp):
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

    def state(self) -> dict[str, object]:
        """What resuming needs."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "losses": self.losses[: self.step].clone(),
        }

    def resume(self, state: dict[str, object], path: Path) -> None:
        """Go on from a state; one that does not fit is a DfdmError."""
        try:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.scaler.load_state_dict(state["scaler"])
            losses = state["losses"]
            self.step = len(losses)
            self.losses[: self.step] = losses
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise DfdmError(f"training state in {path} does not fit this model ({reason}); move it away") from None


def compiled(model: Autoencoder) -> Autoencoder:
    """The model compiled by torch; where no C++ compiler is found, an error that says what to install."""
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "g++", "clang++")):
        raise DfdmError(
            "train.compile needs a C++ compiler and none was found; install the package g++ (apt-get install g++) "
            "or set compile: false"
        )
    return torch.compile(model)
