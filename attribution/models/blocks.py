"""What the attribution models share: frames folded into the batch, pooling over frames, weights, costs, fusing."""

import copy
import pickle
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils.flop_counter import FlopCounterMode

from dfdm.base.errors import DfdmError, reason
from dfdm.base.files import UNREADABLE

VGG19: list[str | int] = [64, 64, "M", 128, 128, "M", 256, 256, 256, 256, "M", 512, 512, 512, 512]  # up to conv4_4
VGG_CHANNELS = 512


def frames_at_once(device: torch.device) -> int:
    """Frames that pass a network together in evaluation: the one place that chooses by device.

    On a CPU 8 keep the feature maps near the caches: DMA-STA of depth 18 and 50 ran within 15 % of the best of 1 to
    40 from 96 to 224 pixels, on two cores that were not idle (`python -m benchmarks loop` repeats it). A GPU takes
    more; 64 bound the memory (VGG's first maps at 224 pixels are 0.8 GB then). Not tuned on one.
    """
    return 64 if device.type == "cuda" else 8


def per_frame(network: Callable[[Tensor], Tensor], clips: Tensor, whole: bool) -> Tensor:
    """Apply a network for single frames `[N, 3, H, W]` -> `[N, ...]` to clips `[B, T, 3, H, W]` -> `[B, T, ...]`.

    `whole`: all frames at once, as training wants it, where batch normalisation should see the whole batch;
    else in chunks of `frames_at_once`, which bounds the memory and changes the result by rounding alone.
    """
    frames = clips.flatten(0, 1)  # [B * T, 3, H, W]
    chunks = [frames] if whole else frames.split(frames_at_once(frames.device))
    return torch.cat([network(chunk) for chunk in chunks]).unflatten(0, clips.shape[:2])  # [B, T, ...]


class FrameAttention(nn.Module):
    """One weight a frame from that frame's feature alone (linear, tanh, linear, softmax over the clip).

    Takes any number of frames, in any order.
    """

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(features, hidden), nn.Tanh(), nn.Linear(hidden, 1, bias=False))

    def forward(self, features: Tensor) -> Tensor:
        """Weights `[B, T]`, their sum 1, of features `[B, T, F]`."""
        return self.score(features).squeeze(2).softmax(1)


def weighted(weights: Tensor, features: Tensor) -> Tensor:
    """The sum over frames of weights `[B, T]` times features `[B, T, F]`: `[B, F]`."""
    return torch.einsum("bt,btf->bf", weights, features)


def he_normal(network: nn.Module) -> None:
    """Start a network's convolutions with He normal weights over fan-in and without bias."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def mean_deviation(x: Tensor, axis: int) -> Tensor:
    """Mean and deviation over an axis, side by side on axis 1."""
    return torch.cat((x.mean(axis), (x.var(axis, correction=0) + 1e-5).sqrt()), 1)


class VggFront(nn.Sequential):
    """The first 26 layers of torchvision's VGG-19 `features` (up to conv4_4), then ReLU: 10,585,152 parameters.

    `[N, 3, H, W]` -> `[N, 512, H/8, W/8]`. Its keys are those of torchvision's `features`. Random weights are
    He normal over fan-in: VGG has no normalisation, and with torch's own start its deep layers see almost nothing.
    """

    def __init__(self, weights: Path | None) -> None:
        from torchvision.models.vgg import make_layers  # slow to import, and most classifiers do without it

        super().__init__(*make_layers(VGG19))
        he_normal(self)
        if weights is not None:
            load_weights(self, weights, "features.")


def read_state(path: Path, key: str = "attribution.weights: ") -> dict[str, Tensor]:
    """The state dict in a file of torch; inside `state_dict`, and with `module.` before its keys, too.

    Nothing in the file is run. `key`: what the error begins with.
    """
    if not path.is_file():
        raise DfdmError(f"{key}{path} does not exist or is no file; correct the path")
    try:
        given = dict(torch.load(path, map_location="cpu", weights_only=True))
        given = dict(given.get("state_dict", given))
        if strange := [name for name, value in given.items() if not isinstance(value, Tensor)]:
            raise ValueError(f"its entry {strange[0]!r} is no tensor")
        found = {name.removeprefix("module."): value for name, value in given.items()}
        if len(found) < len(given):
            raise ValueError("it has entries with and without module. before the same name")
    except (pickle.UnpicklingError, *UNREADABLE) as error:
        raise DfdmError(f"{key}{path} is not a state dict ({reason(error)}); give another file") from None
    return found


def load_weights(
    part: nn.Module, path: Path, prefix: str = "", random: Collection[str] = (), hint: str = "model"
) -> None:
    """Fill a part from a state dict on disk whose keys are the part's after `prefix`.

    Keys with one of the words `random` among their dotted words stay as they are; everything else must be there in the
    right shape (old files may not have the batch counters). DfdmError names the file and the first key that does not
    fit; `hint` is the config key to look at.
    """
    given = read_state(path)
    own = part.state_dict()
    wanted = [key for key in own if not set(key.split(".")) & set(random)]
    found = {key: given[prefix + key] for key in wanted if prefix + key in given}
    strange = [key for key in wanted if key not in found and not key.endswith("num_batches_tracked")]
    strange += [key for key in found if found[key].shape != own[key].shape]
    if strange:
        raise DfdmError(
            f"attribution.weights: {path} is of another network ({prefix}{strange[0]}); check attribution.{hint}"
        )
    part.load_state_dict(found, strict=False)


def refuse_weights(name: str, weights: Path | None) -> None:
    """DfdmError where weights are given for a model that torchvision has no file of."""
    if weights is not None:
        raise DfdmError(f"attribution.weights: {name} has no weights file in torchvision; set null, it starts random")


def need(name: str, value: float, low: float, high: float) -> None:
    """DfdmError where an option's value is not within low..high."""
    if not low <= value <= high:
        raise DfdmError(f"attribution.options: {name} is {value}, but should be {low} to {high}")


@dataclass(frozen=True)
class Cost:
    """What a model costs: trained parameters, and multiply-adds of one clip's forward pass in evaluation."""

    parameters: int
    multiply_adds: int


def cost(model: nn.Module, clip: int, size: int) -> Cost:
    """Count a model's parameters, and its multiply-adds for one clip of `clip` frames of `size` pixels.

    Counts convolutions (2-D and 3-D), linear layers, LSTMs and matrix products; not normalisation, activation and
    pooling, as papers do. Runs a copy on the meta device: nothing is computed.
    """
    ghost = copy.deepcopy(model).to("meta").eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        ghost(torch.zeros(1, clip, 3, size, size, device="meta"))
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    return Cost(trained, counter.get_total_flops() // 2)  # two operations a multiply-add


def fused(model: nn.Module) -> nn.Module:
    """A copy for inference with every batch normalisation that follows a convolution folded into it.

    Pairs are neighbours in an `nn.Sequential`, and attributes `conv1`, `bn1` and so on of one module, which in all
    models here means that bn1 is applied to conv1's output (tests/attribution/test_classifiers.py checks this).
    """
    model = copy.deepcopy(model).eval()
    for module in list(model.modules()):
        for first, second in list(_pairs(module)):
            conv, norm = getattr(module, first), getattr(module, second)
            if isinstance(conv, nn.Conv2d | nn.Conv3d) and isinstance(norm, nn.BatchNorm2d | nn.BatchNorm3d):
                setattr(module, first, fuse_conv_bn_eval(conv, norm))
                setattr(module, second, nn.Identity())
    return model


def _pairs(module: nn.Module) -> Iterator[tuple[str, str]]:
    children = [name for name, _ in module.named_children()]
    if isinstance(module, nn.Sequential):
        yield from pairwise(children)
    else:
        yield from ((f"conv{i}", f"bn{i}") for i in (1, 2, 3) if f"conv{i}" in children and f"bn{i}" in children)
