"""The five autoencoders in Keras, built from docs/architectures.md (Notation, Architectures), and a training of them.

The sub-models have the original's names. Keras is an extra for development; its backend is torch.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.plain import plain_loss
from generators.augment import Batch
from generators.settings import TrainConfig

ORIGINAL = {  # our names: theirs
    "faceswap": "original",
    "lightweight": "lightweight",
    "iae": "iae",
    "dfaker": "dfaker",
    "dfl_h128": "dfl_h128",
}


class Blocks:
    """The page's blocks as Keras layers."""

    def __init__(self, width: float) -> None:
        import keras

        @keras.saving.register_keras_serializable(package="dfdm")
        class PixelShuffler(keras.layers.Layer):
            def call(self, x: Any) -> Any:
                ops, (_, h, w, c) = keras.ops, x.shape
                x = ops.transpose(ops.reshape(x, (-1, h, w, 2, 2, c // 4)), (0, 1, 3, 2, 4, 5))
                return ops.reshape(x, (-1, 2 * h, 2 * w, c // 4))

        self.width, self.keras, self.shuffler = width, keras, PixelShuffler

    def n(self, count: int) -> int:
        """A number of channels at this width."""
        return max(1, round(count * self.width))

    def conv(self, x: Any, filters: int, size: int, strides: int = 1, **named: Any) -> Any:
        """A convolution that keeps the size, or divides it by the stride."""
        return self.keras.layers.Conv2D(filters, size, strides=strides, padding="same", **named)(x)

    def leaky(self, x: Any, slope: float) -> Any:
        """Leaky ReLU."""
        return self.keras.layers.LeakyReLU(negative_slope=slope)(x)

    def c(self, x: Any, count: int) -> Any:
        """C of the page."""
        return self.leaky(self.conv(x, self.n(count), 5, 2), 0.1)

    def u(self, x: Any, count: int) -> Any:
        """U of the page."""
        return self.shuffler()(self.leaky(self.conv(x, 4 * self.n(count), 3), 0.1))

    def u_star(self, x: Any, count: int) -> Any:
        """U* of the page."""
        return self.leaky(self.shuffler()(self.conv(x, 4 * self.n(count), 3)), 0.2)

    def r(self, x: Any, count: int) -> Any:
        """R of the page."""
        y = self.conv(self.leaky(self.conv(x, self.n(count), 3), 0.2), self.n(count), 3)
        return self.leaky(self.keras.layers.Add()([y, x]), 0.2)

    def o(self, x: Any, name: str) -> Any:
        """O of the page."""
        x = self.conv(x, 3, 5, name=f"{name}_conv2d")
        return self.keras.layers.Activation("sigmoid", dtype="float32", name=name)(x)

    def d(self, x: Any, units: int) -> Any:
        """D of the page."""
        return self.keras.layers.Dense(units)(x)

    def part(self, name: str, shape: tuple[int, ...], make: Callable[[Any], Any]) -> Any:
        """A sub-model."""
        x = self.keras.layers.Input(shape)
        return self.keras.Model(x, make(x), name=name)


def model_of(name: str, width: float) -> Any:
    """The original's model `name`, whole."""
    b = Blocks(width)
    layers = b.keras.layers
    size = 128 if name == "dfl_h128" else 64
    inputs = [layers.Input((size, size, 3), name=f"face_in_{side}") for side in "ab"]
    downs = (128, 256, 512) if name == "lightweight" else (128, 256, 512, 1024)
    dense, map_, last, up = {
        "original": (1024, 4, 1024, 512),
        "dfaker": (1024, 4, 1024, 512),
        "lightweight": (512, 4, 512, 256),
        "dfl_h128": (512, 8, 512, 512),
        "iae": (1024, 4, 512, 0),
    }[name]

    def code(x: Any) -> Any:
        for count in downs:
            x = b.c(x, count)
        return layers.Flatten()(x)

    def bottleneck(x: Any) -> Any:
        x = b.d(b.d(x, b.n(dense)), map_ * map_ * b.n(last))
        return layers.Reshape((map_, map_, b.n(last)))(x)

    def decoder(x: Any, name_out: str) -> Any:
        for count in {"iae": (512, 256, 128, 64), "lightweight": (512, 256, 128), "dfl_h128": (512, 256, 128)}.get(
            name, (256, 128, 64)
        ):
            x = b.u(x, count)
        return b.o(x, name_out)

    def dfaker(x: Any, name_out: str) -> Any:
        for count in (512, 256, 128):
            x = b.r(b.u_star(x, count), count)
        return b.o(b.u(x, 64), name_out)

    shape = (size, size, 3)
    if name == "iae":
        encoder = b.part("encoder", shape, code)
        decode = b.part("decoder", (4, 4, 2 * b.n(512)), lambda x: decoder(x, "face_out"))
        a, other, both = (b.part(f"inter_{kind}", (16 * b.n(1024),), bottleneck) for kind in ("a", "b", "both"))
        codes = [encoder(one) for one in inputs]
        outputs = [decode(layers.Concatenate()([own(code), both(code)])) for own, code in zip((a, other), codes)]
    else:
        encoder = b.part("encoder", shape, lambda x: b.u(bottleneck(code(x)), up))
        make = dfaker if name == "dfaker" else decoder
        outputs = [
            b.part(f"decoder_{side}", encoder.output_shape[1:], partial(make, name_out=f"face_out_{side}"))(
                encoder(one)
            )
            for side, one in zip("ab", inputs)
        ]
    model = b.keras.Model(inputs, outputs, name=name)
    rng = np.random.default_rng(0)
    for weight in model.weights:  # that keep signals alive through the layers, and biases that matter
        spread = 0.1 if len(weight.shape) == 1 else np.sqrt(2 / np.prod(weight.shape[:-1]))
        weight.assign(rng.standard_normal(weight.shape, dtype=np.float32) * np.float32(spread))
    return model


class KerasTrainer:
    """Training steps of the model in Keras: its layers, gradients and Adam; the loss is that of the plain training."""

    def __init__(self, name: str, settings: TrainConfig) -> None:
        os.environ["KERAS_BACKEND"] = "torch"
        import keras

        self.model = model_of(ORIGINAL[name], settings.width)
        self.step = 0
        self.optimizer = keras.optimizers.Adam(settings.lr, settings.beta1, settings.beta2, epsilon=settings.epsilon)

    def train_step(self, batch: Batch) -> float:
        """One optimizer step; the batch holds side a, then side b. Gives the loss, as a progress line wants it."""
        self.model.zero_grad()
        sides = batch.inputs.permute(0, 2, 3, 1).contiguous().chunk(2)  # [N, H, W, 3] each
        pictures: list[Tensor] = self.model(list(sides), training=True)
        parts = zip(pictures, batch.targets.chunk(2), batch.masks.chunk(2))
        loss = torch.stack([plain_loss(made.permute(0, 3, 1, 2), face, mask) for made, face, mask in parts]).sum()
        loss.backward()
        with torch.no_grad():
            weights = self.model.trainable_weights
            self.optimizer.apply([weight.value.grad for weight in weights], weights)
        self.step += 1
        return loss.item()
