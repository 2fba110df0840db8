"""Xception with frame averaging: the usual baseline of forgery detection.

Source: Chollet, CVPR 2017 (arXiv 1610.02357), figure 5: entry, middle (eight times) and exit flow of depthwise
separable convolutions. 22,855,952 parameters with 1,000 classes (the count of Keras' own), 20,817,197 with five; made
for 299 pixels. Chosen here: padding 1 in the two first convolutions too (the paper's have none), so that small faces
keep their size; the mean over the frames' features before the linear head; He normal start. torchvision has no
Xception: random weights.
"""

from itertools import pairwise
from pathlib import Path

from torch import Tensor, nn

from attribution.models.blocks import he_normal, per_frame, refuse_weights


def separable(inputs: int, outputs: int) -> list[nn.Module]:
    """3x3 depthwise, 1x1 pointwise, batch normalisation."""
    depthwise = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
    return [depthwise, nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]


class Block(nn.Module):
    """Separable convolutions, ReLU before each (except the network's first), with a shortcut."""

    def __init__(self, widths: tuple[int, ...], halve: bool, relu_first: bool = True) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.ReLU(), *separable(inputs, outputs)]
        self.branch = nn.Sequential(*(layers if relu_first else layers[1:]))
        self.shortcut: nn.Module = nn.Identity()
        if halve:
            self.branch.append(nn.MaxPool2d(3, 2, 1))
            strided = nn.Conv2d(widths[0], widths[-1], 1, 2, bias=False)
            self.shortcut = nn.Sequential(strided, nn.BatchNorm2d(widths[-1]))

    def forward(self, x: Tensor) -> Tensor:
        """`[N, widths[0], H, W]` -> `[N, widths[-1], H, W]`, or half of H and W."""
        return self.branch(x) + self.shortcut(x)


class Xception(nn.Module):
    """`[B, T, 3, H, W]` normalised RGB -> logits `[B, classes]`."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU()),
            *(nn.Conv2d(32, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()),
            Block((64, 128, 128), halve=True, relu_first=False),
            Block((128, 256, 256), halve=True),
            Block((256, 728, 728), halve=True),
            *(Block((728, 728, 728, 728), halve=False) for _ in range(8)),
            Block((728, 728, 1024), halve=True),
            *(*separable(1024, 1536), nn.ReLU()),
            *(*separable(1536, 2048), nn.ReLU()),
        )
        self.fc = nn.Linear(2048, classes)
        he_normal(self)

    def frame(self, frames: Tensor) -> Tensor:
        """`[N, 3, H, W]` -> `[N, 2048]`."""
        return self.features(frames).mean((2, 3))

    def forward(self, clips: Tensor) -> Tensor:
        """Logits `[B, classes]`."""
        return self.fc(per_frame(self.frame, clips, whole=self.training).mean(1))


def build(classes: int, clip: int, weights: Path | None) -> Xception:
    """Build it; `clip` does not matter."""
    refuse_weights("xception", weights)
    return Xception(classes)
