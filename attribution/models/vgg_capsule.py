"""The first 26 layers of VGG-19, capsules with dynamic routing, attention over the frames: the outline of CapST.

Source: Ahmad et al., TOMM 2025 (arXiv 2311.03782), of which the abstract was read and no code exists: no claim is made
to its published figures. Capsules and routing after Sabour et al. 2017 (arXiv 1710.09829) and Nguyen et al. 2019
(Capsule-Forensics, arXiv 1910.12467). Chosen here: layers are counted as torchvision's `features` (up to conv4_4, then
ReLU); ten primary capsules, each two 3x3 convolutions (512 -> 64 -> 16) with batch normalisation, then mean and
deviation over the place, linear to 8 values; one capsule of 16 values a class; `routings` = 3; the frames' class
capsules are averaged by attention on all of their values; a logit is a capsule's length times a learned scale (10 at
the start). Five classes: 13,639,697 parameters; input 224 pixels, any number of frames in any order. ImageNet weights
from torchvision's `vgg19` file for the truncated VGG; all else starts random.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from attribution.models.blocks import VGG_CHANNELS, FrameAttention, VggFront, mean_deviation, need, per_frame, weighted

PRIMARY, PRIMARY_SIZE, CLASS_SIZE = 10, 8, 16


def squash(x: Tensor) -> Tensor:
    """Keep the direction of the last axis and bring its length to 0..1: |x|^2 / (1 + |x|^2)."""
    square = x.square().sum(-1, keepdim=True)
    return x * square / ((1 + square) * (square + 1e-8).sqrt())


class Primary(nn.Module):
    """One primary capsule of a feature map."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Sequential(
            *(nn.Conv2d(VGG_CHANNELS, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()),
            *(nn.Conv2d(64, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
        )
        self.out = nn.Linear(2 * 16, PRIMARY_SIZE)

    def forward(self, x: Tensor) -> Tensor:
        """`[N, 512, H, W]` -> `[N, 8]`."""
        maps = self.maps(x).flatten(2)  # [N, 16, H * W]
        return squash(self.out(mean_deviation(maps, 2)))


class Routing(nn.Module):
    """Class capsules by agreement: every primary capsule predicts each class's; those that agree get more weight."""

    def __init__(self, classes: int, routings: int) -> None:
        super().__init__()
        self.routings = routings
        self.weight = nn.Parameter(torch.randn(classes, PRIMARY, CLASS_SIZE, PRIMARY_SIZE) / PRIMARY_SIZE**0.5)

    def forward(self, primary: Tensor) -> Tensor:
        """`[N, 10, 8]` -> `[N, classes, 16]`."""
        votes = torch.einsum("kpoi,npi->nkpo", self.weight, primary)  # [N, classes, 10, 16]
        fixed = votes.detach()  # the weights are found without a gradient, as usual
        agreement = fixed.new_zeros(fixed.shape[:3])  # [N, classes, 10]
        for _ in range(self.routings - 1):
            capsules = squash(torch.einsum("nkp,nkpo->nko", agreement.softmax(1), fixed))
            agreement = agreement + torch.einsum("nkpo,nko->nkp", fixed, capsules)
        return squash(torch.einsum("nkp,nkpo->nko", agreement.softmax(1), votes))


class VggCapsule(nn.Module):
    """`[B, T, 3, H, W]` normalised RGB -> logits `[B, classes]`."""

    def __init__(self, classes: int, routings: int, weights: Path | None) -> None:
        super().__init__()
        self.front = VggFront(weights)
        self.primary = nn.ModuleList(Primary() for _ in range(PRIMARY))
        self.routing = Routing(classes, routings)
        self.attention = FrameAttention(classes * CLASS_SIZE, 32)
        self.scale = nn.Parameter(torch.tensor(10.0))

    def frame(self, frames: Tensor) -> Tensor:
        """`[N, 3, H, W]` -> class capsules `[N, classes * 16]`."""
        x = self.front(frames)  # [N, 512, H/8, W/8]
        return self.routing(torch.stack([capsule(x) for capsule in self.primary], 1)).flatten(1)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits `[B, classes]`."""
        capsules = per_frame(self.frame, clips, whole=self.training)  # [B, T, classes * 16]
        pooled = weighted(self.attention(capsules), capsules).unflatten(1, (-1, CLASS_SIZE))  # [B, classes, 16]
        return self.scale * (pooled.square().sum(2) + 1e-8).sqrt()


def build(classes: int, clip: int, weights: Path | None, *, routings: int = 3) -> VggCapsule:
    """Build it with `routings` rounds of routing; `clip` does not matter."""
    need("routings", routings, 1, 10)
    return VggCapsule(classes, routings, weights)
