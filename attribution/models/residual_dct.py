"""High-pass residuals and local DCT energies, pooled over place and frames: this project's own design.

Made for what tells the five generators apart: how they enlarge (convolution and pixel shuffle, 64 or 128 pixels out,
residual blocks), which shows in the spectrum of sharpness and in periodic traces, and what H.264 leaves of it; all of
it faint beside the face itself, so the face is taken away first. Five classes: 411,149 parameters; any size from 32
pixels, any number of frames in any order. That it beats any other model here has not been shown yet. There are no
ImageNet weights.

- Pixels are brought back to 0..1 and to Y, Cb, Cr (video's own axes, BT.601).
- Residuals: fixed filters (first and second differences, the 3x3 and 5x5 ones of steganalysis' rich model, Fridrich
  and Kodovsky 2012) and `learned` 5x5 filters made zero-mean at every use, so that they stay high-pass (after Bayar
  and Stamm 2016, who fix centre and sum instead). Batch normalisation, cut at +-3: strong edges say nothing of the
  generator. Then convolutions at full, half, quarter and eighth size, halved by plain averaging.
- Frequency: log energy of the 8x8 DCT of Y, Cb and Cr every 4 pixels (not every 8: a resized face has lost the codec's
  grid); two convolutions on it, and its plain mean inside and outside the middle half, since the swapped face ends
  within the crop.
- Pooling: mean, deviation and an attended mean over the place; then mean and deviation over the frames. Generators
  work frame by frame, so what flickers is evidence, and more frames make both firmer.

Native pixels: the loader resizes crops (attribution.clips.fit), which blurs the evidence. Nothing here depends on the
size, and frames may come in any order: a loader that cuts unresized `size` x `size` patches out of `CropReader.frames`
(around `landmarks`) can hand over T = frames x patches. That takes one switch in `clips.fit`.
"""

import math
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attribution.clips import MEAN, STD
from attribution.models.blocks import need, per_frame, refuse_weights

WIDTHS = (24, 48, 64, 96)  # channels at full, half, quarter and eighth size
HIDDEN = 128
YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
SQUARE3 = ((-1, 2, -1), (2, -4, 2), (-1, 2, -1))
SQUARE5 = ((-1, 2, -2, 2, -1), (2, -6, 8, -6, 2), (-2, 8, -12, 8, -2), (2, -6, 8, -6, 2), (-1, 2, -2, 2, -1))
NOISE = 2e-6  # added to energies: about what rounding to 8 bits puts into a coefficient (1 / 255^2 / 12)


def centred(rows: tuple[tuple[int, ...], ...]) -> Tensor:
    """A small filter in the middle of a 5x5 one, its absolute values summing to 1."""
    filter_ = torch.tensor(rows, dtype=torch.float32)
    height, width = filter_.shape
    top, left = (5 - height) // 2, (5 - width) // 2
    return F.pad(filter_ / filter_.abs().sum(), (left, 5 - width - left, top, 5 - height - top))


def fixed_filters() -> Tensor:
    """The fixed high-pass filters on Y, Cb, Cr: `[8, 3, 5, 5]`; six see Y, one Cb, one Cr."""
    row, second = (-1, 1), (1, -2, 1)
    luma = [(row,), tuple((v,) for v in row), (second,), tuple((v,) for v in second), SQUARE3, SQUARE5]
    bank = torch.zeros(8, 3, 5, 5)
    for i, rows in enumerate(luma):
        bank[i, 0] = centred(rows)
    bank[6, 1] = bank[7, 2] = centred(SQUARE3)
    return bank


def dct_bank() -> Tensor:
    """The orthonormal 8x8 DCT-II as 64 filters, for each of three planes: `[192, 1, 8, 8]`."""
    n = torch.arange(8, dtype=torch.float64)
    basis = torch.cos(math.pi * (2 * n[None] + 1) * n[:, None] / 16) / 2  # [frequency, place]
    basis[0] /= 2**0.5
    bank = torch.einsum("ux,vy->uvxy", basis, basis).reshape(64, 1, 8, 8)
    return bank.repeat(3, 1, 1, 1).float()


class Residual(nn.Module):
    """Two 3x3 convolutions beside a 1x1 shortcut, then halved by averaging."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """`[N, inputs, H, W]` -> `[N, outputs, H/2, W/2]`."""
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu_()))
        return F.avg_pool2d((y + self.shortcut(x)).relu_(), 2)


class PlacePool(nn.Module):
    """Mean, deviation and an attended mean over the place: `[N, C, H, W]` -> `[N, 3 C]`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score = nn.Conv2d(channels, 1, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Pool one feature map."""
        weights, flat = self.score(x).flatten(1).softmax(1), x.flatten(2)  # [N, H * W], [N, C, H * W]
        return torch.cat((mean_deviation(flat, 2), torch.einsum("np,ncp->nc", weights, flat)), 1)


def mean_deviation(x: Tensor, axis: int) -> Tensor:
    """Mean and deviation over an axis, side by side on axis 1."""
    return torch.cat((x.mean(axis), (x.var(axis, correction=0) + 1e-5).sqrt()), 1)


class ResidualDct(nn.Module):
    """`[B, T, 3, H, W]` normalised RGB -> logits `[B, classes]`."""

    to_ycc: Tensor
    shift: Tensor
    fixed: Tensor
    dct: Tensor

    def __init__(self, classes: int, learned: int) -> None:
        super().__init__()
        # ycc = M (x * STD + MEAN): one 3x3 matrix and a shift. Constants, so they are not in the state.
        matrix = torch.tensor(YCC)
        self.register_buffer("to_ycc", (matrix * torch.tensor(STD))[:, :, None, None], persistent=False)
        self.register_buffer("shift", matrix @ torch.tensor(MEAN), persistent=False)
        self.register_buffer("fixed", fixed_filters(), persistent=False)
        self.register_buffer("dct", dct_bank(), persistent=False)
        self.learned = nn.Parameter(torch.randn(learned, 3, 5, 5) / 75**0.5)
        self.norm = nn.BatchNorm2d(8 + learned)
        self.stem = nn.Sequential(
            nn.Conv2d(8 + learned, WIDTHS[0], 3, padding=1, bias=False),
            nn.BatchNorm2d(WIDTHS[0]),
            nn.ReLU(inplace=True),
        )
        self.trunk = nn.Sequential(nn.AvgPool2d(2), *(Residual(*pair) for pair in pairwise(WIDTHS)))
        self.spectrum_norm = nn.BatchNorm2d(192)
        self.spectrum = nn.Sequential(
            *(nn.Conv2d(192, 64, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)),
            *(nn.Conv2d(64, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)),
        )
        self.pool, self.spectrum_pool = PlacePool(WIDTHS[-1]), PlacePool(64)
        self.mix = nn.Sequential(nn.Linear(3 * WIDTHS[-1] + 3 * 64 + 2 * 192, HIDDEN), nn.ReLU())
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(2 * HIDDEN, classes))

    def residuals(self, ycc: Tensor) -> Tensor:
        """High-pass residuals `[N, 8 + learned, H, W]` of `[N, 3, H, W]`, not yet normalised."""
        learned = self.learned - self.learned.mean((2, 3), keepdim=True)
        return F.conv2d(F.pad(ycc, (2, 2, 2, 2), mode="replicate"), torch.cat((self.fixed, learned)))

    def energies(self, ycc: Tensor) -> Tensor:
        """Log energies of the local DCT, `[N, 192, H/4 - 1, W/4 - 1]`: 64 of Y, then of Cb, then of Cr."""
        return (F.conv2d(ycc, self.dct, stride=4, groups=3).square() + NOISE).log()

    def frame(self, frames: Tensor) -> Tensor:
        """`[N, 3, H, W]` -> `[N, 128]`."""
        with full_precision(frames.device):  # half precision would round the evidence away
            ycc = F.conv2d(frames.float(), self.to_ycc, self.shift)  # [N, 3, H, W]
            residuals, energies = self.residuals(ycc), self.energies(ycc)
        x = self.trunk(self.stem(self.norm(residuals).clamp(-3, 3)))  # [N, 96, H/16, W/16]
        energies = self.spectrum_norm(energies)  # [N, 192, H/4 - 1, W/4 - 1]
        inside, outside = inside_outside(energies)
        pooled = [self.pool(x), self.spectrum_pool(self.spectrum(energies)), inside, outside]
        return self.mix(torch.cat(pooled, 1))

    def forward(self, clips: Tensor) -> Tensor:
        """Logits `[B, classes]`."""
        return self.head(mean_deviation(per_frame(self.frame, clips, whole=self.training), 1))


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Autocast off; the meta device, on which costs are counted, knows no autocast."""
    return nullcontext() if device.type == "meta" else torch.autocast(device.type, enabled=False)


def inside_outside(x: Tensor) -> tuple[Tensor, Tensor]:
    """Means over the middle half (in each direction) and over the rest: `[N, C, H, W]` -> twice `[N, C]`."""
    top, left = x.shape[2] // 4, x.shape[3] // 4
    middle = x[:, :, top : x.shape[2] - top, left : x.shape[3] - left]
    places, within = x.shape[2] * x.shape[3], middle.shape[2] * middle.shape[3]
    total, inner = x.sum((2, 3)), middle.sum((2, 3))
    return inner / within, (total - inner) / (places - within)


def build(classes: int, clip: int, weights: Path | None, *, learned: int = 8) -> ResidualDct:
    """Build it with `learned` learned high-pass filters; `clip` does not matter."""
    refuse_weights("residual_dct", weights)
    need("learned", learned, 1, 256)
    return ResidualDct(classes, learned)
