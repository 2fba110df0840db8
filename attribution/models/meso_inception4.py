"""MesoInception-4 with frame averaging: a small network made for forged faces.

Source: Afchar et al., WIFS 2018 (arXiv 1809.00888): two inception modules with dilated convolutions, two 5x5
convolutions, 16 hidden units. 28,615 parameters with the paper's single output, 28,683 with five classes; input 256
pixels. Chosen here: at another size the last 8x8 map is made by adaptive average pooling; the clip's logits are the
mean of the frames' (the paper averages the frames' scores). There are no ImageNet weights.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attribution.models.blocks import per_frame, refuse_weights


class Inception(nn.Module):
    """1x1; 1x1 and 3x3; 1x1 and 3x3 with dilation 2; 1x1 and 3x3 with dilation 3: side by side, each with ReLU."""

    def __init__(self, inputs: int, widths: tuple[int, int, int, int]) -> None:
        super().__init__()
        plain, *rest = widths
        self.plain = nn.Sequential(nn.Conv2d(inputs, plain, 1), nn.ReLU())
        self.dilated = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(inputs, width, 1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=i, dilation=i), nn.ReLU()
            )
            for i, width in enumerate(rest, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """`[N, inputs, H, W]` -> `[N, sum of the widths, H, W]`."""
        return torch.cat([self.plain(x), *(branch(x) for branch in self.dilated)], 1)


class MesoInception4(nn.Module):
    """`[B, T, 3, H, W]` normalised RGB -> logits `[B, classes]`."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(Inception(3, (1, 4, 4, 2)), nn.BatchNorm2d(11), nn.MaxPool2d(2, ceil_mode=True)),
            *(Inception(11, (2, 4, 4, 2)), nn.BatchNorm2d(12), nn.MaxPool2d(2, ceil_mode=True)),
            *(nn.Conv2d(12, 16, 5, padding=2), nn.ReLU(), nn.BatchNorm2d(16), nn.MaxPool2d(2, ceil_mode=True)),
            *(nn.Conv2d(16, 16, 5, padding=2), nn.ReLU(), nn.BatchNorm2d(16), nn.MaxPool2d(4, ceil_mode=True)),
            nn.AdaptiveAvgPool2d(8),
        )
        self.hidden, self.fc, self.dropout = nn.Linear(16 * 8 * 8, 16), nn.Linear(16, classes), nn.Dropout(0.5)

    def frame(self, frames: Tensor) -> Tensor:
        """`[N, 3, H, W]` -> logits `[N, classes]`."""
        x = self.dropout(self.features(frames).flatten(1))  # [N, 1024]
        return self.fc(self.dropout(F.leaky_relu(self.hidden(x), 0.1)))

    def forward(self, clips: Tensor) -> Tensor:
        """Logits `[B, classes]`."""
        return per_frame(self.frame, clips, whole=self.training).mean(1)


def build(classes: int, clip: int, weights: Path | None) -> MesoInception4:
    """Build it; `clip` does not matter."""
    refuse_weights("meso_inception4", weights)
    return MesoInception4(classes)
