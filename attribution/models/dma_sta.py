"""DMA-STA: a ResNet with spatial gates over single frames and temporal attention over the clip's features.

Source: Jia et al., ICIP 2022 (arXiv 2202.12951); docs/attribution.md. Depth 50, five classes, clip 10, 224 pixels:
23,519,945 parameters, 338 state entries. Input is `[B, T, 3, H, W]`; the published network takes
`[B, 3, T, H, W]` and runs the frames one by one, which in evaluation mode equals folding them into the batch.

Chosen here: depth 18 and 34, whose basic blocks have the gate after their second convolution's normalisation;
clips of another length in evaluation (`TemporalAttention`). ImageNet weights from torchvision's `resnet<depth>` file.
"""

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from attribution.models.blocks import load_weights, per_frame, read_state, weighted
from dfdm.base.errors import DfdmError

LAYERS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution without bias that keeps the size at stride 1."""
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


class Gate(nn.Module):
    """Spatial attention: [mean, max] over the channels -> 7x7 convolution -> sigmoid -> multiply."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(2, 1, 7)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh every place of `[N, C, H, W]` by 0..1."""
        summary = torch.cat((x.mean(1, keepdim=True), x.amax(1, keepdim=True)), 1)  # [N, 2, H, W]
        return x * torch.sigmoid(self.conv(summary))  # [N, C, H, W]


class Basic(nn.Module):
    """Two 3x3 convolutions (depth 18 and 34); the gate is after bn2, before the shortcut is added."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, width, 3, stride), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width, 3), nn.BatchNorm2d(width)
        self.gate = Gate()
        self.downsample = shortcut(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """`[N, inputs, H, W]` -> `[N, width, H / stride, W / stride]`."""
        y = self.bn1(self.conv1(x)).relu_()
        y = self.gate(self.bn2(self.conv2(y)))
        return (y + self.downsample(x)).relu_()


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride: ResNet v1.5), 1x1; the gate is after bn3, before the shortcut."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, width, 1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width, 3, stride), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = conv(width, 4 * width, 1), nn.BatchNorm2d(4 * width)
        self.gate = Gate()
        self.downsample = shortcut(inputs, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """`[N, inputs, H, W]` -> `[N, 4 width, H / stride, W / stride]`."""
        y = self.bn1(self.conv1(x)).relu_()
        y = self.bn2(self.conv2(y)).relu_()
        y = self.gate(self.bn3(self.conv3(y)))
        return (y + self.downsample(x)).relu_()


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    """Identity, or a strided 1x1 convolution and batch normalisation where the shape changes."""
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))


class TemporalAttention(nn.Module):
    """One weight a frame from the frames' mean features; the clip's feature is the weighted mean.

    The two layers are built for `clip` frames. In evaluation any other number works: the frames' means are brought
    to `clip` by linear interpolation over time (first on first, last on last), and the weights back. What was
    learned is a function of the place in the clip, and so it is stretched, neither cut nor padded; dividing by the
    weights' sum then makes a mean of it again. With `clip` frames nothing is interpolated.
    """

    def __init__(self, clip: int) -> None:
        super().__init__()
        self.clip = clip
        self.squeeze = nn.Linear(clip, max(clip // 2, 1), bias=False)
        self.expand = nn.Linear(max(clip // 2, 1), clip, bias=False)

    def weights(self, features: Tensor) -> Tensor:
        """One weight 0..1 a frame, `[B, T]`, not normalised, of features `[B, T, F]`."""
        means = resample(features.mean(2), self.clip)  # [B, clip]
        weights = torch.sigmoid(self.expand(self.squeeze(means).relu()))  # [B, clip]
        return resample(weights, features.shape[1])  # [B, T]

    def forward(self, features: Tensor) -> Tensor:
        """`[B, T, F]` -> `[B, F]`."""
        weights = self.weights(features)
        return weighted(weights, features) / weights.sum(1, keepdim=True)


def resample(values: Tensor, length: int) -> Tensor:
    """Linear interpolation over the last axis, ends on ends: `[B, T]` -> `[B, length]`."""
    if values.shape[1] == length:
        return values
    return F.interpolate(values[:, None], length, mode="linear", align_corners=True)[:, 0]


class DmaSta(nn.Module):
    """The classifier: `[B, T, 3, H, W]` normalised RGB -> logits `[B, classes]`; training wants T = `clip`."""

    def __init__(self, classes: int, depth: int, clip: int) -> None:
        if depth not in LAYERS:
            raise DfdmError(f"attribution.depth: there is no ResNet-{depth}; known are {', '.join(map(str, LAYERS))}")
        super().__init__()
        block: type[Basic] | type[Bottleneck] = Basic if depth < 50 else Bottleneck
        self.clip, self.channels = clip, 64
        self.conv1, self.bn1 = conv(3, 64, 7, 2), nn.BatchNorm2d(64)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            self._stage(block, 64 * 2**i, count, 1 if i == 0 else 2) for i, count in enumerate(LAYERS[depth])
        )
        self.ta = TemporalAttention(clip)
        self.fc = nn.Linear(self.channels, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
                nn.init.normal_(module.weight, std=(2 / fan_out) ** 0.5)

    def _stage(self, block: type[Basic] | type[Bottleneck], width: int, count: int, stride: int) -> nn.Sequential:
        blocks = []
        for i in range(count):
            blocks.append(block(self.channels, width, stride if i == 0 else 1))
            self.channels = width * block.expansion
        return nn.Sequential(*blocks)

    def features(self, frames: Tensor) -> Tensor:
        """The backbone: `[N, 3, H, W]` -> `[N, F]`."""
        x = self.pool(self.bn1(self.conv1(frames)).relu_())  # [N, 64, H/4, W/4]
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # [N, F, H/32, W/32]
        return x.mean((2, 3))

    def forward(self, clips: Tensor) -> Tensor:
        """Logits `[B, classes]`; batch normalisation sees all B * T frames of a training batch at once."""
        if self.training and clips.shape[1] != self.clip:
            raise DfdmError(f"training takes clips of {self.clip} frames, not {clips.shape[1]}; see attribution.clip")
        return self.fc(self.ta(per_frame(self.features, clips, whole=self.training)))

    @torch.no_grad()
    def attention(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Both attentions on normalised clips `[B, T, 3, H, W]`: frame weights `[B, T]`, maps `[B, T, h, w]`.

        The weights are those of the temporal attention over their sum. A map is the mean of all gates (0 closed, 1
        open), each enlarged linearly to the first gate's h = H/4, w = W/4: a place that many stages let through is
        high. Chosen here, since the last stage's gate alone has H/32 cells a side: two at 64 pixels.
        """
        gates = [module for module in self.modules() if isinstance(module, Gate)]
        seen: list[list[Tensor]] = [[] for _ in gates]
        with ExitStack() as hooks:
            for gate, kept in zip(gates, seen):
                hooks.enter_context(
                    gate.conv.register_forward_hook(lambda _module, _inputs, out, kept=kept: kept.append(out.sigmoid()))
                )
            features = per_frame(self.features, clips, whole=False)  # [B, T, F]
        opened = [torch.cat(chunks) for chunks in seen]  # [B * T, 1, h, w] each, h and w a stage's
        size = opened[0].shape[2:]
        maps = torch.stack([F.interpolate(gate, size, mode="bilinear") for gate in opened]).mean(0)  # [B * T, 1, h, w]
        weights = self.ta.weights(features)
        return weights / weights.sum(1, keepdim=True), maps[:, 0].unflatten(0, clips.shape[:2])


PUBLISHED = {"gate.conv.": "sa.conv1.", "ta.squeeze.": "ta.fc.0.", "ta.expand.": "ta.fc.2."}  # ours: published


def published_name(key: str) -> str:
    """What the published code calls an entry of our state; of the ResNet's the names are the same."""
    for ours, theirs in PUBLISHED.items():
        key = key.replace(ours, theirs)
    return key


def from_published(published: Mapping[str, Tensor], model: DmaSta) -> dict[str, Tensor]:
    """All entries of a published network's state as a state of `model` (338 at depth 50).

    `model` may be on the meta device. DfdmError names the first entry that is missing, not the network's, of another
    shape or type, or not finite.
    """
    own = {published_name(key): (key, value) for key, value in model.state_dict().items()}
    if missing := [name for name in own if name not in published]:
        raise DfdmError(f"it has no entry {missing[0]}")
    if strange := [name for name in published if name not in own]:
        raise DfdmError(f"its entry {strange[0]} is not one of the network's")
    state: dict[str, Tensor] = {}
    for name, (key, wanted) in own.items():
        given = published[name]
        if given.shape != wanted.shape:
            raise DfdmError(f"its entry {name} is {_shape(given)}, and should be {_shape(wanted)}")
        if given.dtype != wanted.dtype or given.layout != wanted.layout:
            kind = str(given.dtype if given.dtype != wanted.dtype else given.layout)
            raise DfdmError(f"its entry {name} is {kind}, and should be dense {wanted.dtype}")
        if not given.isfinite().all():
            raise DfdmError(f"its entry {name} contains values that are not finite")
        state[key] = given.detach()
    return state


def _shape(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "a single number"


def build(classes: int, clip: int, weights: Path | None, *, depth: int = 50) -> DmaSta:
    """Build DMA-STA with random weights, with an ImageNet backbone (gates, attention and head start random), or with
    all entries of a published DMA-STA.
    """
    model = DmaSta(classes, depth, clip)
    if weights is not None:
        given = read_state(weights)
        if any(key.startswith("ta.") for key in given):  # a whole DMA-STA, not ImageNet's ResNet
            _take_published(model, given, weights)
        else:
            load_weights(model, weights, random=("fc", "ta", "gate"), hint="depth")
    return model


def _take_published(model: DmaSta, given: Mapping[str, Tensor], path: Path) -> None:
    """All entries of a published DMA-STA, or a DfdmError."""
    try:
        state = from_published(given, model)
    except DfdmError as error:
        raise DfdmError(
            f"attribution.weights: {path} is a DMA-STA, but not one of this depth, clip length and these classes "
            f"({error}); it is not taken in part"
        ) from None
    model.load_state_dict(state)
    print(f"{path}: all {len(state)} entries of a published DMA-STA are taken, head included", file=sys.stderr)
