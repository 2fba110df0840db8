"""ResNet with frame averaging: the plain baseline, DMA-STA without its two attentions.

Source: He et al., CVPR 2016 (arXiv 1512.03385), as torchvision builds it (v1.5: the stride on the 3x3 convolution).
Depth 50, five classes: 23,518,277 parameters; input 224 pixels, any number of frames in any order. Chosen here: the
mean is taken over the frames' features, which for a linear head is the mean of the frames' logits. ImageNet weights
from torchvision's `resnet<depth>` file; the head starts random.
"""

from pathlib import Path

import torchvision
from torch import Tensor, nn

from attribution.models.blocks import load_weights, per_frame
from dfdm.base.errors import DfdmError

DEPTHS = (18, 34, 50, 101)


class ResnetAvg(nn.Module):
    """`[B, T, 3, H, W]` normalised RGB -> logits `[B, classes]`."""

    def __init__(self, classes: int, depth: int, weights: Path | None) -> None:
        if depth not in DEPTHS:
            raise DfdmError(f"attribution.depth: there is no ResNet-{depth}; known are {', '.join(map(str, DEPTHS))}")
        super().__init__()
        self.backbone = getattr(torchvision.models, f"resnet{depth}")()
        self.fc = nn.Linear(self.backbone.fc.in_features, classes)
        self.backbone.fc = nn.Identity()
        if weights is not None:
            load_weights(self.backbone, weights, hint="depth")

    def forward(self, clips: Tensor) -> Tensor:
        """Logits `[B, classes]`."""
        return self.fc(per_frame(self.backbone, clips, whole=self.training).mean(1))


def build(classes: int, clip: int, weights: Path | None, *, depth: int = 50) -> ResnetAvg:
    """Build it; `clip` does not matter."""
    return ResnetAvg(classes, depth, weights)
