"""A map of local DCT energies, pooled over a grid of places and over frames: this project's own design.

It looks at what differs between the five generators: how they enlarge (convolution and pixel shuffle, 64 or 128 pixels
out, residual blocks) and what H.264 leaves of it. That shows in the shape of the local spectrum, weak compared with the
face itself, and differs from place to place: skin, eyes, the seam of the swap. Five classes: 182,731 parameters; any
size from 32 pixels, any number of frames in any order. There are no ImageNet weights.

- Pixels are brought back to 0..1 and to Y, Cb, Cr (video's own axes, BT.601).
- Local frequency: log energy of the 8x8 DCT of Y, Cb and Cr every 4 pixels. 63 of its 64 filters see no flat colour:
  they are a bank of high-pass residuals (Fridrich and Kodovsky 2012 use such banks) at every orientation and scale.
- Shape and level: each plane's mean over the 64 log energies is subtracted from them and kept as an extra channel.
  Light, contrast and how strongly a face is textured move the level; sharpness and periodic traces are the shape.
- Two convolutions on that map, then its mean in each of `grid` x `grid` cells: crops are cut around the face, so a
  cell is always about the same part of a face, or of what surrounds it and no generator touched.
- A linear layer to 128 features a frame; mean and deviation over the frames. Generators work frame by frame, so what
  flickers is evidence, and more frames make both firmer.

Chosen on validation scenes of the demo (docs/attribution.md, The models). There, crops resized to one size gave more
evidence than native pixels; a generator's cut-off frequency scales with the face. Against others: README, Comparing
classifiers.
"""

import math
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attribution.clips import MEAN, STD
from attribution.models.blocks import mean_deviation, need, per_frame, refuse_weights

PLANES, BAND = 3, 64  # Y, Cb, Cr; frequencies of an 8x8 DCT
WIDTH = 64  # channels of the map
FEATURES = 128  # of a frame
YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
NOISE = 2e-6  # added to energies: about what rounding to 8 bits puts into a coefficient (1 / 255^2 / 12)


def dct_bank() -> Tensor:
    """The orthonormal 8x8 DCT-II as 64 filters, for each of three planes: `[192, 1, 8, 8]`."""
    n = torch.arange(8, dtype=torch.float64)
    basis = torch.cos(math.pi * (2 * n[None] + 1) * n[:, None] / 16) / 2  # [frequency, place]
    basis[0] /= 2**0.5
    bank = torch.einsum("ux,vy->uvxy", basis, basis).reshape(BAND, 1, 8, 8)
    return bank.repeat(PLANES, 1, 1, 1).float()


def shape_and_level(energies: Tensor) -> Tensor:
    """Each plane's log energies less their mean, then the three means: `[N, 192, H, W]` -> `[N, 195, H, W]`."""
    planes = energies.unflatten(1, (PLANES, BAND))  # [N, 3, 64, H, W]
    level = planes.mean(2)  # [N, 3, H, W]
    return torch.cat(((planes - level[:, :, None]).flatten(1, 2), level), 1)


class LocalDct(nn.Module):
    """From normalised RGB to log energies of a local DCT in video's axes."""

    to_ycc: Tensor
    shift: Tensor
    dct: Tensor

    def __init__(self) -> None:
        super().__init__()
        # ycc = M (x * STD + MEAN): one 3x3 matrix and a shift. Constants, so they are not in the state.
        matrix = torch.tensor(YCC)
        self.register_buffer("to_ycc", (matrix * torch.tensor(STD))[:, :, None, None], persistent=False)
        self.register_buffer("shift", matrix @ torch.tensor(MEAN), persistent=False)
        self.register_buffer("dct", dct_bank(), persistent=False)

    def ycc(self, frames: Tensor) -> Tensor:
        """Y, Cb, Cr of normalised RGB, both `[N, 3, H, W]`."""
        return F.conv2d(frames.float(), self.to_ycc, self.shift)

    def energies(self, ycc: Tensor) -> Tensor:
        """Log energies of the local DCT, `[N, 192, H/4 - 1, W/4 - 1]`: 64 of Y, then of Cb, then of Cr."""
        return (F.conv2d(ycc, self.dct, stride=4, groups=PLANES).square() + NOISE).log()


class ResidualDct(LocalDct):
    """`[B, T, 3, H, W]` normalised RGB -> logits `[B, classes]`."""

    def __init__(self, classes: int, grid: int) -> None:
        super().__init__()
        self.grid = grid
        channels = PLANES * BAND + PLANES
        self.norm = nn.BatchNorm2d(channels)
        self.spectrum = nn.Sequential(
            *(nn.Conv2d(channels, WIDTH, 1, bias=False), nn.BatchNorm2d(WIDTH), nn.ReLU(inplace=True)),
            *(nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False), nn.BatchNorm2d(WIDTH), nn.ReLU(inplace=True)),
        )
        self.mix = nn.Sequential(
            nn.Dropout(0.2), nn.Linear(WIDTH * grid**2, FEATURES), nn.BatchNorm1d(FEATURES), nn.ReLU()
        )
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(2 * FEATURES, classes))

    def frame(self, frames: Tensor) -> Tensor:
        """`[N, 3, H, W]` -> `[N, 128]`."""
        with full_precision(frames.device):  # half precision would round the evidence away
            spectrum = shape_and_level(self.energies(self.ycc(frames)))  # [N, 195, H/4 - 1, W/4 - 1]
        x = self.spectrum(self.norm(spectrum))  # [N, 64, H/4 - 1, W/4 - 1]
        return self.mix(F.adaptive_avg_pool2d(x, self.grid).flatten(1))

    def forward(self, clips: Tensor) -> Tensor:
        """Logits `[B, classes]`."""
        return self.head(mean_deviation(per_frame(self.frame, clips, whole=self.training), 1))


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Autocast off; the meta device, on which costs are counted, knows no autocast."""
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)


def build(classes: int, clip: int, weights: Path | None, *, grid: int = 4) -> ResidualDct:
    """Build it with `grid` x `grid` cells over the crop; `clip` does not matter."""
    refuse_weights("residual_dct", weights)
    need("grid", grid, 1, 16)
    return ResidualDct(classes, grid)
