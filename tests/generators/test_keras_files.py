"""The original's model files, read into our models and written again (docs/architectures.md, Weight exchange)."""

import json
import zipfile
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np
import original
import pytest
import torch
from original_files import WRITERS, write_h5, write_keras

from dfdm.base.errors import DfdmError
from generators import checkpoint, exchange, keras_file
from generators.models import build
from generators.settings import train_settings
from tests.commands import dfdm

WIDTH = 1 / 32
SETTINGS = train_settings({"width": WIDTH})
STATE = {
    "name": "original",
    "iterations": 1200,
    "config": {"coverage": 87.5, "centering": "face", "reflect_padding": False, "mask_type": "extended"},
}


def saved(folder: Path, kind: str, model: str = "faceswap", stem: str = "original", **options) -> Path:
    """A model file with a state file beside it."""
    path = folder / f"{stem}{Path(kind).suffix}"
    WRITERS[kind](path, original.random_weights(model, WIDTH), **options)
    (folder / f"{stem}_state.json").write_text(json.dumps({**STATE, "name": stem}))
    return path


def ours(folder: Path, model: str = "faceswap", pair: tuple[str, str] = ("id0", "id1"), **trained) -> Path:
    """A finished model of ours, with weights and biases unlike any file's."""
    torch.manual_seed(1)
    net = build(model, WIDTH)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    meta = checkpoint.describe(net, model, pair, train_settings({"width": WIDTH, **trained}), 2, "0" * 64)
    checkpoint.save(folder / "ours.safetensors", net, meta)
    return folder / "ours.safetensors"


def arrays(path: Path) -> dict[str, np.ndarray]:
    with keras_file.opened(path, 10**8) as parts:
        return {f"{part}/{number}": one[...] for part, list_ in parts.items() for number, one in enumerate(list_)}


def members(path: Path) -> dict[str, tuple]:
    """What a zip says of each member but where it lies, and the bytes of those without arrays."""
    with zipfile.ZipFile(path) as archive:
        return {"": archive.comment} | {
            info.filename: (info.date_time, info.compress_type, info.external_attr, info.file_size,
                            "" if info.filename == "model.weights.h5" else archive.read(info))
            for info in archive.infolist()
        }  # fmt: skip


def content(path: Path) -> dict[str, object]:
    """Everything an HDF5 file holds: attributes, and arrays."""
    held: dict[str, object] = {}
    source = BytesIO(path.read_bytes())
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            source = BytesIO(archive.read("model.weights.h5"))

    def visit(name, one):
        held[name] = one[...].tolist() if isinstance(one, h5py.Dataset) else "a group"
        held[f"{name} "] = {key: np.asarray(value).tolist() for key, value in one.attrs.items()}

    with h5py.File(source) as file:
        visit("", file)
        file.visititems(visit)
    return held


@pytest.mark.parametrize("model", ["faceswap", "iae", "dfaker"])
@pytest.mark.parametrize("kind", WRITERS)
def test_every_array_lands_where_the_list_order_of_the_original_says(tmp_path, kind, model):
    path = saved(tmp_path, kind, model)
    exchange.import_file(path, model, ("id0", "id1"), SETTINGS, 0, tmp_path / "model.safetensors")
    found = exchange.to_original(checkpoint.load(tmp_path / "model.safetensors")[0])
    for part, expected in original.random_weights(model, WIDTH).items():
        for one, other in zip(found[part], expected, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["today.keras", "2021.h5"])
def test_by_command_the_state_file_beside_it_says_the_rest_and_the_originals_names_are_known(tmp_path, kind):
    path = saved(tmp_path, kind)
    done = dfdm("weights", "import", path, "--model", "original", "--pair", "id0", "id1", "--width", WIDTH,
                "--out", tmp_path / "model.safetensors")  # fmt: skip
    assert done.status == 0, done
    assert "faceswap at width 0.03125, side a id0, side b id1, centering face, coverage 0.875" in done.out
    assert "mask extended, 1200 iterations" in done.out
    done = dfdm("weights", "export", tmp_path / "model.safetensors", "--into", path, "--out", tmp_path / f"new{kind}")
    assert done.status == 0, done
    assert "faceswap at width 0.03125, side A id0, side B id1" in done.out
    assert content(tmp_path / f"new{kind}") == content(path)


def test_dfl_h128_is_known_by_the_name_that_its_users_write():
    assert [exchange.known(name) for name in ("dfl-h128", "original", "iae")] == ["dfl_h128", "faceswap", "iae"]


@pytest.mark.parametrize("kind", WRITERS)
def test_a_copy_has_the_models_arrays_and_all_else_as_it_was(tmp_path, kind):
    path, model = saved(tmp_path, kind), ours(tmp_path)
    before = path.read_bytes()
    out = tmp_path / f"out{path.suffix}"
    exchange.export_file(model, out, into=path)
    net = checkpoint.load(model)[0]
    expected = {f"{part}/{n}": one for part, list_ in exchange.to_original(net).items() for n, one in enumerate(list_)}
    found = arrays(out)
    assert found.keys() == expected.keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, expected[name])
    assert path.read_bytes() == before
    if path.suffix == ".keras":
        assert members(out) == members(path)
        assert [*members(out)] == [*members(path)]  # in order
    old, new = content(path), content(out)
    assert old.keys() == new.keys()
    changed = {name for name in old if old[name] != new[name]}
    assert len(changed) == len(expected)
    assert not any(name.endswith(" ") or "optimizer" in name for name in changed)  # attributes, the optimizer's arrays


def test_a_compressed_zip_is_read_and_stays_compressed(tmp_path):
    path = saved(tmp_path, "today.keras", compressed=True)
    exchange.export_file(ours(tmp_path), tmp_path / "out.keras", into=path)
    assert members(tmp_path / "out.keras") == members(path)
    assert members(path)["config.json"][1] == zipfile.ZIP_DEFLATED


@pytest.mark.parametrize("kind", ["today.keras", "2021.h5", "npz"])
def test_where_the_originals_side_a_has_the_higher_number_export_gives_each_side_its_own_again(tmp_path, kind):
    into = None if kind == "npz" else saved(tmp_path, kind)
    model, out = ours(tmp_path, pair=("id2", "id10")), tmp_path / f"out.{kind.rpartition('.')[2]}"
    exchange.export_file(model, out, pair=("id10", "id2"), into=into)
    found = dict(np.load(out)) if into is None else arrays(out)
    weights = exchange.to_original(checkpoint.load(model)[0])
    np.testing.assert_array_equal(found["decoder_a/0"], weights["decoder_b"][0])
    np.testing.assert_array_equal(found["encoder/0"], weights["encoder"][0])
    with pytest.raises(DfdmError, match="is of id2 and id10, not of id2 and id1; correct --pair"):
        exchange.export_file(model, out, pair=("id2", "id1"))


NETWORKS = {
    "reflect padding": (("x>ReflectionPadding2D", "conv_reflectionpadding2d"), "the model has reflect padding, which"),
    "learned mask": (("Conv2D", "mask_out_a_conv2d"), "the model has a learned mask, which"),
    "another layer": (("BatchNormalization", "norm"), r"the model has the layer norm \(BatchNormalization\), which"),
}


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("fault", NETWORKS)
def test_a_network_that_ours_is_not_is_refused_by_name_on_both_ways(tmp_path, fault, kind):
    layer, sentence = NETWORKS[fault]
    path = saved(tmp_path, kind, also=[layer])
    with pytest.raises(DfdmError, match=sentence):
        exchange.padding_of(path)
    with pytest.raises(DfdmError, match=sentence):
        exchange.export_file(ours(tmp_path), tmp_path / f"out{path.suffix}", into=path)
    assert not (tmp_path / f"out{path.suffix}").exists()


def test_an_h5_that_does_not_say_its_layers_shows_no_padding(tmp_path):
    write_h5(tmp_path / "iae.h5", original.random_weights("iae", WIDTH), told=False)
    assert exchange.padding_of(tmp_path / "iae.h5") is None
    assert exchange.padding_of(tmp_path / "iae.npz") is None  # whatever it is, arrays alone do not show it
    write_keras(tmp_path / "iae.keras", original.random_weights("iae", WIDTH))
    assert exchange.padding_of(tmp_path / "iae.keras") == "zero"


@pytest.mark.parametrize(
    ("model", "trained", "sentence"),
    [
        ("iae", {}, "does not fit iae at width 0.03125: the weights are of the parts decoder_a, decoder_b, encoder"),
        ("lightweight", {}, "does not fit lightweight at width 0.03125: encoder contains 14 arrays, this model's"),
        ("faceswap", {"coverage": 1.0}, r"original_state\.json says coverage 0\.875, and .* has 1\.0; name a file of"),
        ("faceswap", {"centering": "head"}, r"original_state\.json says centering face, and .* has head; name a file"),
    ],
)
def test_a_file_that_the_model_does_not_fit_is_refused_by_name_and_none_is_written(tmp_path, model, trained, sentence):
    path = saved(tmp_path, "today.keras")
    if model != "faceswap":
        (tmp_path / "original_state.json").unlink()
    with pytest.raises(DfdmError, match=sentence):
        exchange.export_file(ours(tmp_path, model, **trained), tmp_path / "out.keras", into=path)
    assert {one.name for one in tmp_path.iterdir()} <= {"original.keras", "original_state.json", "ours.safetensors"}


def test_values_of_another_file_are_not_read_and_not_written_over(tmp_path):
    path = saved(tmp_path, "2021.h5")
    (tmp_path / "victim").write_bytes(bytes(10**6))
    with h5py.File(path, "r+") as file:
        group = file["model_weights/encoder"]
        name = group.attrs["weight_names"][0]
        shape = group[name].shape
        del group[name]
        external = [(str(tmp_path / "victim"), 0, h5py.h5f.UNLIMITED)]
        group.create_dataset(name, shape, np.float32, external=external)
    with pytest.raises(DfdmError, match="is not an array in it"):
        exchange.export_file(ours(tmp_path), tmp_path / "out.h5", into=path)
    assert (tmp_path / "victim").read_bytes() == bytes(10**6)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.zeros(shape, np.float32)
    with h5py.File(path, "r+") as file:
        group = file["model_weights/encoder"]
        del group[name]
        group[name] = h5py.ExternalLink(str(tmp_path / "other.h5"), "x")
    with pytest.raises(DfdmError, match="object 'x' doesn't exist"):
        exchange.import_file(path, "faceswap", ("id0", "id1"), SETTINGS, 0, tmp_path / "model.safetensors")
