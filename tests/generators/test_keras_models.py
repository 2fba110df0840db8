"""Weights from files that Keras itself wrote, and from ours into them: the same pictures (slow: Keras builds them).

The networks are built from docs/architectures.md (Notation, Architectures), as the original names its sub-models.
"""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from generators import checkpoint, exchange
from generators.models import build
from generators.settings import train_settings

pytestmark = pytest.mark.slow
NAMES = {"original": "faceswap", "lightweight": "lightweight", "iae": "iae", "dfaker": "dfaker", "dfl_h128": "dfl_h128"}
APART = 2e-5
KINDS = ("keras", "h5", "2021")


@pytest.fixture(autouse=True, scope="module")
def _keras_on_torch(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "torch")
        patch.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras")))  # else it writes to the user's home
        yield


class Blocks:
    """The page's blocks as Keras layers."""

    def __init__(self, width: float) -> None:
        import keras

        @keras.saving.register_keras_serializable(package="dfdm_tests")
        class PixelShuffler(keras.layers.Layer):
            def call(self, x):
                ops, (_, h, w, c) = keras.ops, x.shape
                x = ops.transpose(ops.reshape(x, (-1, h, w, 2, 2, c // 4)), (0, 1, 3, 2, 4, 5))
                return ops.reshape(x, (-1, 2 * h, 2 * w, c // 4))

        self.width, self.keras, self.shuffler = width, keras, PixelShuffler

    def n(self, count: int) -> int:
        return max(1, round(count * self.width))

    def conv(self, x, filters, size, strides=1, **named):
        return self.keras.layers.Conv2D(filters, size, strides=strides, padding="same", **named)(x)

    def leaky(self, x, slope):
        return self.keras.layers.LeakyReLU(negative_slope=slope)(x)

    def c(self, x, count):
        return self.leaky(self.conv(x, self.n(count), 5, 2), 0.1)

    def u(self, x, count):
        return self.shuffler()(self.leaky(self.conv(x, 4 * self.n(count), 3), 0.1))

    def u_star(self, x, count):
        return self.leaky(self.shuffler()(self.conv(x, 4 * self.n(count), 3)), 0.2)

    def r(self, x, count):
        y = self.conv(self.leaky(self.conv(x, self.n(count), 3), 0.2), self.n(count), 3)
        return self.leaky(self.keras.layers.Add()([y, x]), 0.2)

    def o(self, x, name):
        x = self.conv(x, 3, 5, name=f"{name}_conv2d")
        return self.keras.layers.Activation("sigmoid", dtype="float32", name=name)(x)

    def d(self, x, units):
        return self.keras.layers.Dense(units)(x)

    def part(self, name: str, shape: tuple[int, ...], make: Callable):
        x = self.keras.layers.Input(shape)
        return self.keras.Model(x, make(x), name=name)


def model_of(name: str, width: float):
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

    def code(x):
        for count in downs:
            x = b.c(x, count)
        return layers.Flatten()(x)

    def bottleneck(x):
        x = b.d(b.d(x, b.n(dense)), map_ * map_ * b.n(last))
        return layers.Reshape((map_, map_, b.n(last)))(x)

    def decoder(x, name_out):
        for count in {"iae": (512, 256, 128, 64), "lightweight": (512, 256, 128), "dfl_h128": (512, 256, 128)}.get(
            name, (256, 128, 64)
        ):
            x = b.u(x, count)
        return b.o(x, name_out)

    def dfaker(x, name_out):
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
            b.part(f"decoder_{side}", encoder.output_shape[1:], lambda x, side=side: make(x, f"face_out_{side}"))(
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


def written(model, folder: Path, kind: str) -> Path:
    """The model as Keras saves it; `2021`: with the names that Keras 2 gave the arrays of an .h5."""
    path = folder / f"{model.name}.{'keras' if kind == 'keras' else 'h5'}"
    model.save(path)
    if kind == "2021":
        with h5py.File(path, "r+") as file:
            for part, group in file["model_weights"].items():
                names = [f"{part}/{name}:0" for name in group.attrs["weight_names"]]
                for old, new in zip(group.attrs["weight_names"], names):
                    group.move(old, new)
                group.attrs["weight_names"] = np.array([name.encode() for name in names], "S")
    return path


def predicted(model, faces: np.ndarray) -> list[np.ndarray]:
    """Faces BGR [n, S, S, 3] of both sides -> the pictures of sides a and b."""
    with torch.no_grad():
        pictures = model([faces, faces], training=False)
    pictures = [picture.cpu().numpy() for picture in pictures]
    assert all(picture.std() > 0.03 for picture in pictures)  # not a grey nothing
    return pictures


def ours(net, faces: np.ndarray) -> list[np.ndarray]:
    rgb = torch.from_numpy(faces[..., ::-1].copy()).permute(0, 3, 1, 2)
    with torch.inference_mode():
        return [net.reconstruct(rgb, side).permute(0, 2, 3, 1).numpy()[..., ::-1] for side in "ab"]


def check(folder: Path, theirs: str, width: float, kind: str) -> None:
    import keras

    model, name = model_of(theirs, width), NAMES[theirs]
    path = written(model, folder, kind)
    size = model.input_shape[0][1]
    faces = (np.random.default_rng(1).random((2, size, size, 3)) * [0.3, 0.6, 1.0]).astype(np.float32)
    assert exchange.padding_of(path) == "zero"
    settings = train_settings({"width": width})
    exchange.import_file(path, name, ("id0", "id1"), settings, 0, folder / "model.safetensors")
    net, _ = checkpoint.load(folder / "model.safetensors")
    for side, one, other in zip("ab", ours(net, faces), predicted(model, faces)):
        print(f"{theirs} at width {width:g} from {path.suffix}, side {side}: {np.abs(one - other).max():.1e} apart")
        assert np.abs(one - other).max() < APART

    torch.manual_seed(1)
    net = build(name, width)
    for parameter in net.parameters():
        spread = 0.1 if parameter.dim() == 1 else (2 / parameter[0].numel()) ** 0.5
        torch.nn.init.normal_(parameter, std=spread)
    about = checkpoint.describe(net, name, ("id0", "id1"), settings, 0, "0" * 64)
    checkpoint.save(folder / "ours.safetensors", net, about)
    out = folder / f"out{path.suffix}"
    exchange.export_file(folder / "ours.safetensors", out, into=path)
    if kind == "2021":  # which Keras 3 does not load whole: its arrays, by the order that they are listed in
        again = model_of(theirs, width)
        with h5py.File(out) as file:
            for layer in (layer for layer in again.layers if layer.weights):
                group = file[f"model_weights/{layer.name}"]
                layer.set_weights([group[name][...] for name in group.attrs["weight_names"]])
    else:
        again = keras.saving.load_model(out)
    for side, one, other in zip("ab", ours(net.eval(), faces), predicted(again, faces)):
        print(f"{theirs} at width {width:g} into {path.suffix}, side {side}: {np.abs(one - other).max():.1e} apart")
        assert np.abs(one - other).max() < APART


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("theirs", NAMES)
def test_at_width_one_eighth_import_and_export_make_the_pictures_of_keras(tmp_path, theirs, kind):
    check(tmp_path, theirs, 1 / 8, kind)


def test_at_full_width_too(tmp_path):
    check(tmp_path, "original", 1, "keras")
