"""The blocks that the autoencoders share, and what each of them can do (docs/architectures.md, Notation).

Feature maps lie channels-last in memory, [N, H, W, C] seen as [N, C, H, W]: flattening, unflattening and the
pixel shuffle then follow the original's order (channel fastest) and need no or little copying.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAST = torch.channels_last


class Patches(torch.autograd.Function):
    """Every place's k x k neighbourhood as a row: [N, C, H, W] -> [N * H' * W', k * k * C], channel fastest."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: int, stride: int) -> Tensor:
        """Gather."""
        x = x.permute(0, 2, 3, 1)  # [N, H, W, C]
        ctx.shape, ctx.kernel, ctx.stride = x.shape, kernel, stride
        rows = x.unfold(1, kernel, stride).unfold(2, kernel, stride)  # [N, H', W', C, k, k]
        return rows.permute(0, 1, 2, 4, 5, 3).reshape(-1, kernel * kernel * x.shape[3])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """Add every row to where it was gathered."""
        (n, h, w, c), kernel, stride = ctx.shape, ctx.kernel, ctx.stride
        high, wide = ((size - kernel) // stride + 1 for size in (h, w))
        gradient = gradient.view(n, high, wide, kernel, kernel, c)
        total = gradient.new_zeros(n, h, w, c)
        for i in range(kernel):
            for j in range(kernel):
                place = total[:, i : i + high * stride : stride, j : j + wide * stride : stride]
                place += gradient[:, :, :, i, j]
        return total.permute(0, 3, 1, 2), None, None


class Conv(nn.Conv2d):
    """A convolution; on a CPU, a small map with a large kernel is one matrix product.

    oneDNN's convolution of a 4x4 map with millions of weights reorders them each time and runs at half speed or less.
    """

    FEW = 16  # places of the result

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, H, W] -> [N, outputs, H', W']."""
        kernel, stride, pad = self.kernel_size[0], self.stride[0], int(self.padding[0])
        high, wide = ((size + 2 * pad - kernel) // stride + 1 for size in x.shape[2:])
        if x.device.type != "cpu" or high * wide > self.FEW or not self.weight.is_contiguous(memory_format=LAST):
            return super().forward(x)
        rows = Patches.apply(F.pad(x, (pad,) * 4) if pad else x, kernel, stride)
        y = F.linear(rows, self.weight.permute(0, 2, 3, 1).flatten(1), self.bias)  # [N * H' * W', outputs]
        return y.view(len(x), high, wide, -1).permute(0, 3, 1, 2)


def initialise(conv: nn.Conv2d) -> nn.Conv2d:
    """He uniform weights, zero biases."""
    nn.init.kaiming_uniform_(conv.weight, nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


def conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    """A convolution that keeps the size."""
    return initialise(Conv(inputs, outputs, 3, padding=1))


class C(nn.Module):
    """Halve the size: convolution 5x5 stride 2, LeakyReLU 0.1; padding 1 before, 2 after (TensorFlow's)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = initialise(Conv(inputs, outputs, 5, stride=2))

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, H, W] -> [N, outputs, H/2, W/2]."""
        return F.leaky_relu_(self.conv(F.pad(x, (1, 2, 1, 2))), 0.1)


class U(nn.Module):
    """Double the size: convolution 3x3 to four times the channels, LeakyReLU, pixel shuffle."""

    def __init__(self, inputs: int, outputs: int, slope: float = 0.1) -> None:
        super().__init__()
        self.conv = conv3x3(inputs, 4 * outputs)
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, H, W] -> [N, outputs, 2H, 2W]."""
        return shuffle(self.unshuffled(x))

    def unshuffled(self, x: Tensor) -> Tensor:
        """[N, inputs, H, W] -> [N, 4 * outputs, H, W], one pixel's 2x2 block in its channels."""
        return F.leaky_relu_(self.conv(x), self.slope)


def shuffle(x: Tensor) -> Tensor:
    """[N, 4C, H, W] -> [N, C, 2H, 2W], channels as (block row, block column, channel), TensorFlow's order."""
    n, c, h, w = x.shape
    blocks = x.permute(0, 2, 3, 1).reshape(n, h, w, 2, 2, c // 4).transpose(2, 3)  # [N, H, 2, W, 2, C]
    return blocks.reshape(n, 2 * h, 2 * w, c // 4).permute(0, 3, 1, 2)


class R(nn.Module):
    """Residual: convolution 3x3, LeakyReLU 0.2, convolution 3x3, add the input, LeakyReLU 0.2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv3x3(channels, channels)
        self.second = conv3x3(channels, channels)
        nn.init.normal_(self.first.weight, std=0.02)
        limit = math.sqrt(3 * 0.2 / (9 * channels))  # variance 0.2 / fan-in
        nn.init.uniform_(self.second.weight, -limit, limit)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the same."""
        return F.leaky_relu_(self.second(F.leaky_relu_(self.first(x), 0.2)) + x, 0.2)


class D(nn.Linear):
    """Fully connected with bias and no activation; Glorot uniform weights."""

    def reset_parameters(self) -> None:
        """Initialise."""
        nn.init.xavier_uniform_(self.weight)
        nn.init.zeros_(self.bias)


class O(nn.Conv2d):  # noqa: E742 (the name in docs/architectures.md)
    """The picture: convolution 5x5 to 3 channels and sigmoid, in float32 under mixed precision too.

    It reads the blocks of an upscale that was not shuffled: the 5x5 kernel, laid over a pixel's 2x2 block, is a
    3x3 kernel over blocks, from 4 * inputs to 4 * 3 channels. The same sum is twice as fast on a CPU that way, and
    the largest feature map of the model need not be shuffled. The picture lies channels-first in memory.
    """

    bias: nn.Parameter

    def __init__(self, inputs: int) -> None:
        super().__init__(inputs, 3, 5)

    def reset_parameters(self) -> None:
        """Initialise as every convolution."""
        initialise(self)

    def forward(self, blocks: Tensor) -> Tensor:
        """[N, 4 * inputs, H, W], channels (block row, block column, channel) -> [N, 3, 2H, 2W] in 0..1."""
        with torch.autocast("cpu" if blocks.device.type == "cpu" else "cuda", enabled=False):
            shifted = [F.pad(self.weight, (x, 1 - x, y, 1 - y)) for y in (0, 1) for x in (0, 1)]  # [3, C, 6, 6]
            kernel = torch.stack(shifted).unflatten(-1, (3, 2)).unflatten(-3, (3, 2))  # [4, 3, C, 3, 2, 3, 2]
            kernel = kernel.permute(0, 1, 4, 6, 2, 3, 5).reshape(12, -1, 3, 3)  # [12, 4C, 3, 3]
            picture = F.conv2d(blocks.float(), kernel, self.bias.repeat(4), padding=1)  # [N, 12, H, W]
            n, _, h, w = picture.shape
            rows = picture.view(n, 2, 2, 3, h, w).permute(0, 3, 4, 1, 5, 2)  # [N, 3, H, 2, W, 2]
            return torch.sigmoid(rows.reshape(n, 3, 2 * h, 2 * w))


class UO(nn.Module):
    """The last upscale and the picture."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.upscale, self.picture = U(inputs, outputs), O(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, H, W] -> [N, 3, 2H, 2W] in 0..1."""
        return self.picture(self.upscale.unshuffled(x))


class Flatten(nn.Module):
    """[N, C, H, W] -> [N, H * W * C], channel fastest."""

    def forward(self, x: Tensor) -> Tensor:
        """Flatten."""
        return x.permute(0, 2, 3, 1).flatten(1)


class Unflatten(nn.Module):
    """[N, size * size * C] -> [N, C, size, size], channel fastest."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Unflatten."""
        return x.view(len(x), self.size, self.size, -1).permute(0, 3, 1, 2)


def chain(block: Callable[[int, int], nn.Module], *channels: int) -> list[nn.Module]:
    """Blocks in a row: chain(C, 3, 128, 256) is C(3, 128), C(128, 256)."""
    return [block(inputs, outputs) for inputs, outputs in pairwise(channels)]


class Autoencoder(nn.Module):
    """A pair's autoencoder: sides "a" and "b", RGB faces float32 0..1, [N, 3, input_size, input_size]."""

    input_size: ClassVar[int]
    output_size: ClassVar[int]
    keras_order: ClassVar[tuple[str, ...]] = ()  # of the parts in the original's flat list; (): as they stand here

    def __init__(self, width: float) -> None:
        super().__init__()
        self.width = width

    def scaled(self, *counts: int) -> list[int]:
        """The channel or unit counts at this model's width."""
        return [max(1, round(count * self.width)) for count in counts]

    def encode(self, faces: Tensor) -> Tensor:
        """The shared encoder."""
        raise NotImplementedError

    def decode(self, code: Tensor, side: str) -> Tensor:
        """Codes to faces of one side, [N, 3, output_size, output_size]."""
        raise NotImplementedError

    def forward(self, faces_a: Tensor, faces_b: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruct both sides' faces; the encoder sees them as one batch."""
        code_a, code_b = self.encode(torch.cat((faces_a, faces_b))).split([len(faces_a), len(faces_b)])
        return self.decode(code_a, "a"), self.decode(code_b, "b")

    def reconstruct(self, faces: Tensor, side: str) -> Tensor:
        """Faces of `side` as themselves."""
        return self.decode(self.encode(faces), side)

    def swap(self, faces: Tensor, to: str) -> Tensor:
        """Faces of the other side with the identity of side `to`."""
        return self.decode(self.encode(faces), to)

    def multiply_adds(self) -> int:
        """Multiply-adds of one face's forward pass on one side."""
        total = 0

        def count(module: nn.Conv2d | nn.Linear, inputs: object, output: Tensor) -> None:
            nonlocal total
            total += module.weight.numel() * output[0, 0].numel()  # every weight once a pixel

        with torch.device("meta"):
            twin, face = type(self)(self.width), torch.empty(1, 3, self.input_size, self.input_size)
        for module in twin.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.register_forward_hook(count)
        twin.reconstruct(face, "a")
        return total


class TwoDecoders(Autoencoder):
    """One shared encoder and a decoder for each side."""

    encoder: nn.Module
    decoder_a: nn.Module
    decoder_b: nn.Module

    def encode(self, faces: Tensor) -> Tensor:
        """The shared encoder."""
        return self.encoder(faces)

    def decode(self, code: Tensor, side: str) -> Tensor:
        """The decoder of one side."""
        return self.decoder_a(code) if side == "a" else self.decoder_b(code)
