"""R3D-18: a ResNet-18 of 3x3x3 convolutions over the whole clip.

Source: Tran et al., CVPR 2018 (arXiv 1711.11248), as torchvision builds it. Five classes: 33,168,837 parameters; made
for 112 pixels and 16 frames, taken here at any size and any number of frames (time is halved three times, then
averaged); the order of the frames matters. Weights from torchvision's `r3d_18` file (Kinetics-400; there is no ImageNet
one), whose own normalisation differs from ours; the head starts random.
"""

from pathlib import Path

import torchvision
from torch import Tensor, nn

from attribution.models.blocks import load_weights


class R3d18(nn.Module):
    """`[B, T, 3, H, W]` normalised RGB -> logits `[B, classes]`."""

    def __init__(self, classes: int, weights: Path | None) -> None:
        super().__init__()
        self.backbone = torchvision.models.video.r3d_18()
        self.fc = nn.Linear(self.backbone.fc.in_features, classes)
        self.backbone.fc = nn.Identity()
        if weights is not None:
            load_weights(self.backbone, weights)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits `[B, classes]`."""
        return self.fc(self.backbone(clips.transpose(1, 2)))  # the backbone takes [B, 3, T, H, W]


def build(classes: int, clip: int, weights: Path | None) -> R3d18:
    """Build it; `clip` does not matter."""
    return R3d18(classes, weights)
