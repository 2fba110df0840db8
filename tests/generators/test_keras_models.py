"""Weights from files that Keras itself wrote, and from ours into them: the same pictures (slow: Keras builds them)."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from benchmarks.keras_models import ORIGINAL, KerasTrainer, model_of
from benchmarks.plain import PlainTrainer
from benchmarks.steps import batches_of
from generators import checkpoint, exchange
from generators.models import build
from generators.settings import train_settings

pytestmark = pytest.mark.slow
NAMES = {theirs: name for name, theirs in ORIGINAL.items()}
APART = 2e-5
KINDS = ("keras", "h5", "2021")


@pytest.fixture(autouse=True, scope="module")
def _keras_on_torch(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "torch")
        patch.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras")))  # else it writes to the user's home
        yield


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


def test_the_training_in_keras_that_ours_is_timed_against_has_the_same_losses(tmp_path):
    settings = train_settings({"width": 1 / 16, "batch": 2})
    theirs = KerasTrainer("faceswap", settings)
    path = written(theirs.model, tmp_path, "keras")
    exchange.import_file(path, "faceswap", ("id0", "id1"), settings, 0, tmp_path / "model.safetensors")
    plain = PlainTrainer("faceswap", settings)
    plain.model = checkpoint.load(tmp_path / "model.safetensors")[0].train().requires_grad_(True)
    plain.optimizer = torch.optim.Adam(plain.model.parameters(), settings.lr, (settings.beta1, settings.beta2), 1e-7)
    batches = batches_of("faceswap", settings)
    for number in range(3):
        ours, bgr = batches[number], batches[number]
        bgr = type(bgr)(bgr.inputs.flip(1), bgr.targets.flip(1), bgr.masks)
        assert theirs.train_step(bgr) == pytest.approx(plain.train_step(ours), rel=1e-3)
