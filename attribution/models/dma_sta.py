"""DMA-STA: a ResNet with spatial gates over single frames and temporal attention over the clip's features.

Source: Jia et al., ICIP 2022 (arXiv 2202.12951); docs/attribution.md. Depth 50, five classes, clip 10:
23,519,945 parameters, 338 state entries. Input is `[B, T, 3, H, W]`; the published network takes
`[B, 3, T, H, W]` and runs the frames one by one, which in evaluation mode equals folding them into the batch.
"""

import pickle
from pathlib import Path

import torch
from torch import Tensor, nn

from dfdm.errors import DfdmError

LAYERS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
CHUNK = 64  # frames through the backbone at once in evaluation; bounds the memory


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
    """Two 3x3 convolutions (depth 18 and 34); the gate stands after bn2, before the shortcut is added."""

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
    """1x1, 3x3 (with the stride: ResNet v1.5), 1x1; the gate stands after bn3, before the shortcut."""

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
    """One weight a frame from the frames' mean features; the clip's feature is the weighted mean."""

    def __init__(self, clip: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(clip, max(clip // 2, 1), bias=False)
        self.expand = nn.Linear(max(clip // 2, 1), clip, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """`[B, T, F]` -> `[B, F]`."""
        weights = torch.sigmoid(self.expand(self.squeeze(features.mean(2)).relu()))  # [B, T]
        return torch.einsum("bt,btf->bf", weights, features) / weights.sum(1, keepdim=True)


class DmaSta(nn.Module):
    """The classifier: `[B, T, 3, H, W]` normalised RGB -> logits `[B, classes]`; T is fixed at building."""

    def __init__(self, classes: int, depth: int, clip: int) -> None:
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
        if clips.shape[1] != self.clip:
            raise DfdmError(f"this model takes clips of {self.clip} frames, not {clips.shape[1]}; see attribution.clip")
        frames = clips.flatten(0, 1)  # [B * T, 3, H, W]
        chunks = [frames] if self.training else frames.split(CHUNK)
        features = torch.cat([self.features(chunk) for chunk in chunks])  # [B * T, F]
        return self.fc(self.ta(features.unflatten(0, clips.shape[:2])))


def load_imagenet(model: DmaSta, path: Path) -> None:
    """Fill the backbone from torchvision's ImageNet file; gates, temporal attention and fc stay random."""
    if not path.is_file():
        raise DfdmError(f"attribution.weights: {path} does not exist; give torchvision's V1 file, or null for random")
    try:
        given = dict(torch.load(path, map_location="cpu", weights_only=True))
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, TypeError) as error:
        raise DfdmError(f"attribution.weights: {path} is no state dict ({str(error).splitlines()[0]})") from None
    own = model.state_dict()
    wanted = [key for key in own if key.split(".")[0] not in ("fc", "ta") and ".gate." not in key]
    found = {key: given[key] for key in wanted if key in given}
    strange = [key for key in wanted if key not in found and not key.endswith("num_batches_tracked")]
    strange += [key for key in found if found[key].shape != own[key].shape]
    if strange:
        raise DfdmError(f"attribution.weights: {path} is of another network ({strange[0]}); check attribution.depth")
    model.load_state_dict(found, strict=False)


def build(classes: int, depth: int, clip: int, weights: Path | None) -> DmaSta:
    """Build DMA-STA with random weights, or with an ImageNet backbone."""
    model = DmaSta(classes, depth, clip)
    if weights is not None:
        load_imagenet(model, weights)
    return model
