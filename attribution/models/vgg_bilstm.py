"""Truncated VGG-19, a bidirectional LSTM over the frames, attention over its states: the outline of FAME.

Source: Ahmad et al., ESWA 2025 (arXiv 2506.11477), of which the abstract and README were read and no code exists: no
claim is made to its published figures. Chosen here: VGG-19 is cut after 26 layers (conv4_4) and pooled globally to 512
values a frame; one LSTM layer of `hidden` = 256 units each way; attention linear 512 -> 128, tanh, linear -> 1,
softmax; dropout 0.5 before the linear head. Five classes: 12,230,469 parameters; input 224 pixels, any number of
frames, whose order matters. ImageNet weights from torchvision's `vgg19` file for the truncated VGG; all else starts
random.
"""

from pathlib import Path

from torch import Tensor, nn

from attribution.models.blocks import VGG_CHANNELS, FrameAttention, VggFront, need, per_frame, weighted


class VggBiLstm(nn.Module):
    """`[B, T, 3, H, W]` normalised RGB -> logits `[B, classes]`."""

    def __init__(self, classes: int, hidden: int, weights: Path | None) -> None:
        super().__init__()
        self.front = VggFront(weights)
        self.lstm = nn.LSTM(VGG_CHANNELS, hidden, batch_first=True, bidirectional=True)
        self.attention = FrameAttention(2 * hidden, 128)
        self.dropout, self.fc = nn.Dropout(0.5), nn.Linear(2 * hidden, classes)

    def frame(self, frames: Tensor) -> Tensor:
        """`[N, 3, H, W]` -> `[N, 512]`."""
        return self.front(frames).mean((2, 3))

    def forward(self, clips: Tensor) -> Tensor:
        """Logits `[B, classes]`."""
        states, _ = self.lstm(per_frame(self.frame, clips, whole=False))  # [B, T, 2 * hidden]; no batch norm in VGG
        return self.fc(self.dropout(weighted(self.attention(states), states)))


def build(classes: int, clip: int, weights: Path | None, *, hidden: int = 256) -> VggBiLstm:
    """Build it with `hidden` LSTM units each way; `clip` does not matter."""
    need("hidden", hidden, 1, 4096)
    return VggBiLstm(classes, hidden, weights)
