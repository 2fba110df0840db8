"""EfficientNet-B0 with frame averaging.

Source: Tan and Le, ICML 2019 (arXiv 1905.11946), as torchvision builds it. Five classes: 4,013,953 parameters; input
224 pixels, any number of frames in any order. Chosen here: the mean over the frames' features before the head
(dropout 0.2, linear). ImageNet weights from torchvision's `efficientnet_b0` file; the head starts random.
"""

from pathlib import Path

import torchvision
from torch import Tensor, nn

from attribution.models.blocks import load_weights, per_frame


class EfficientNetB0(nn.Module):
    """`[B, T, 3, H, W]` normalised RGB -> logits `[B, classes]`."""

    def __init__(self, classes: int, weights: Path | None) -> None:
        super().__init__()
        network = torchvision.models.efficientnet_b0()
        self.features = network.features
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(network.classifier[1].in_features, classes))
        if weights is not None:
            load_weights(self.features, weights, "features.")

    def frame(self, frames: Tensor) -> Tensor:
        """`[N, 3, H, W]` -> `[N, 1280]`."""
        return self.features(frames).mean((2, 3))

    def forward(self, clips: Tensor) -> Tensor:
        """Logits `[B, classes]`."""
        return self.head(per_frame(self.frame, clips, whole=self.training).mean(1))


def build(classes: int, clip: int, weights: Path | None) -> EfficientNetB0:
    """Build it; `clip` does not matter."""
    return EfficientNetB0(classes, weights)
