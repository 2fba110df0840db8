"""The same training written the plain way, as the measure of ours: what a good programmer writes first.

Layers of `torch.nn` in their default layout, each side through the encoder by itself, pixel shuffle and loss by
torch's own functions, torch's Adam of one weight at a time, faces augmented one by one with OpenCV inside the loop.
The mathematics is ours exactly: tests/benchmarks compares loss, gradients and batches.
"""

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfdm.base import compute
from generators.augment import FLIP, GRID, LIGHT, ROTATION, SHIFT, TINT, ZOOM, Batch, rotation_matrix, shift_table
from generators.models import build
from generators.models.blocks import UO, Autoencoder, C, D, Flatten, R, U, Unflatten
from generators.settings import TrainConfig


class Residual(nn.Module):
    """Two convolutions and the input again."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the same."""
        return F.leaky_relu(self.second(F.leaky_relu(self.first(x), 0.2)) + x, 0.2)


def up(block: U) -> list[nn.Module]:
    """Twice the size."""
    conv = nn.Conv2d(block.conv.in_channels, block.conv.out_channels, 3, padding=1)
    return [conv, nn.LeakyReLU(block.slope), nn.PixelShuffle(2)]


def plain_layers(block: nn.Module) -> nn.Module | None:
    """What does the same as one of our blocks; None for any other module."""
    match block:
        case C():
            conv = nn.Conv2d(block.conv.in_channels, block.conv.out_channels, 5, stride=2)
            return nn.Sequential(nn.ZeroPad2d((1, 2, 1, 2)), conv, nn.LeakyReLU(0.1))
        case U():
            return nn.Sequential(*up(block))
        case UO():
            return nn.Sequential(
                *up(block.upscale), nn.Conv2d(block.picture.in_channels, 3, 5, padding=2), nn.Sigmoid()
            )
        case R():
            return Residual(block.first.in_channels)
        case D():
            return nn.Linear(block.in_features, block.out_features)
        case Flatten():
            return nn.Flatten()
        case Unflatten():
            return nn.Unflatten(1, (-1, block.size, block.size))
    return None


def plain_model(name: str, width: float) -> Autoencoder:
    """An autoencoder with plain layers instead of our blocks."""
    model = build(name, width)
    for parent in list(model.modules()):
        for child, block in list(parent.named_children()):
            if layers := plain_layers(block):
                setattr(parent, child, layers)
    return model


def region_loss(predicted: Tensor, target: Tensor, mask: Tensor, weight: float) -> Tensor:
    """DSSIM times its weight plus squared error, under one mask [N, 1, H, W]."""
    x, y = target * mask, predicted * mask

    def mean(values: Tensor) -> Tensor:
        return F.avg_pool2d(values.mean(1, keepdim=True), 3)

    ux, uy = mean(x), mean(y)
    vx, vy, covariance = mean(x * x) - ux**2, mean(y * y) - uy**2, mean(x * y) - ux * uy
    ssim = (2 * ux * uy + 0.01**2) * (2 * covariance + 0.03**2) / ((ux**2 + uy**2 + 0.01**2) * (vx + vy + 0.03**2))
    return weight * ((1 - ssim) / 2).mean() + F.mse_loss(y, x)


def plain_loss(predicted: Tensor, target: Tensor, masks: Tensor) -> Tensor:
    """The loss of one side: face, eyes, mouth."""
    regions = zip(masks.split(1, 1), (1.0, 3.0, 2.0))
    return torch.stack([region_loss(predicted, target, mask, weight) for mask, weight in regions]).sum()


class PlainTrainer:
    """One training step after the other."""

    def __init__(self, name: str, settings: TrainConfig) -> None:
        self.model = plain_model(name, settings.width)
        betas = (settings.beta1, settings.beta2)
        self.optimizer = torch.optim.Adam(
            self.model.parameters(), settings.lr, betas, settings.epsilon, foreach=False, fused=False
        )
        self.autocast = compute.autocast(torch.device("cpu"), settings.amp)

    def loss(self, batch: Batch) -> Tensor:
        """The sum of both sides' losses; the batch holds side a, then side b."""
        losses = []
        for side, part in (("a", slice(None, len(batch.inputs) // 2)), ("b", slice(len(batch.inputs) // 2, None))):
            with self.autocast:
                predicted = self.model.reconstruct(batch.inputs[part], side)
            losses.append(plain_loss(predicted.float(), batch.targets[part], batch.masks[part]))
        return losses[0] + losses[1]

    def train_step(self, batch: Batch) -> float:
        """One optimizer step; gives the loss, as a progress line wants it."""
        self.optimizer.zero_grad()
        loss = self.loss(batch)
        loss.backward()
        self.optimizer.step()
        return loss.item()


class PlainAugmenter:
    """The augmentation at `model` size, one face at a time, with OpenCV; draws what ours draws from a generator."""

    def __init__(self, settings: TrainConfig, input_size: int, output_size: int) -> None:
        self.settings, self.input_size, self.output_size = settings, input_size, output_size
        self.size = max(input_size, output_size)

    def __call__(self, faces: np.ndarray, masks: np.ndarray, rng: np.random.Generator) -> Batch:
        """Augment faces and masks, both uint8 [N, S, S, 3]."""
        n, size = len(faces), self.size
        tints = rng.uniform(-1, 1, (n, 3)) * (LIGHT, TINT, TINT)
        equalised, steps = rng.random(n) < self.settings.clahe_chance, rng.integers(0, 5, n)
        angles, zooms = rng.uniform(-ROTATION, ROTATION, n), 1 + rng.uniform(-ZOOM, ZOOM, n)
        shifts, flips = rng.uniform(-SHIFT, SHIFT, (n, 2)) * size, rng.random(n) < FLIP
        noise = rng.normal(0, 5 / 256 * size, (n, 2, GRID, GRID))
        inputs, targets, kept = [], [], []
        for i in range(n):
            face = self.colour(faces[i], tints[i], bool(equalised[i]), int(steps[i]))
            matrix = rotation_matrix((size - 1) / 2, angles[i], zooms[i], shifts[i])
            face, mask = (
                cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
                for image in (face, masks[i])
            )
            if flips[i]:
                face, mask = face[:, ::-1], mask[:, ::-1]
            inputs.append(self.resize(self.warp(face, noise[i]), self.input_size))
            targets.append(self.resize(face, self.output_size))
            kept.append(self.resize(mask, self.output_size))
        return Batch(*(self.tensor(images) for images in (inputs, targets, kept)))

    def colour(self, face: np.ndarray, tint: np.ndarray, equalise: bool, step: int) -> np.ndarray:
        """LAB shift, then CLAHE on L."""
        lab = cv2.LUT(cv2.cvtColor(face, cv2.COLOR_RGB2LAB), shift_table(tint))
        if equalise:
            base = max(2, self.size // 128)
            tiles = base + step * (base // 2)
            lab[..., 0] = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(tiles, tiles)).apply(lab[..., 0])
        return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)

    def warp(self, face: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Remap by a jittered 5x5 grid."""
        points, big = np.linspace(0, self.size, GRID), int(1.25 * self.size)
        edge = big // 10
        maps = []
        for plane, jitter in zip(np.meshgrid(points, points), noise):
            moved = cv2.resize((plane + jitter).astype(np.float32), (big, big))
            maps.append(moved[edge : edge + self.size, edge : edge + self.size])
        return cv2.remap(face, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)

    @staticmethod
    def resize(image: np.ndarray, size: int) -> np.ndarray:
        """By area."""
        return image if len(image) == size else cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)

    @staticmethod
    def tensor(images: list[np.ndarray]) -> Tensor:
        """uint8 pictures [S, S, 3] -> float32 [N, 3, S, S] in 0..1."""
        return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float().div(255).contiguous()
