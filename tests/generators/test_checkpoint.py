"""Finished models on disk."""

import pytest
import torch
from safetensors.torch import save_file

from dfdm.base.errors import DfdmError
from generators import checkpoint
from generators.models import build

META = checkpoint.ModelMeta(
    model="iae",
    width=1 / 64,
    input_size=64,
    output_size=64,
    centering="face",
    coverage=0.875,
    mask="extended",
    pair=("id0", "id1"),
    iterations=5,
    key="ab12",
)


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    model = build("iae", 1 / 64).to(memory_format=torch.channels_last)
    checkpoint.save(tmp_path / "model.safetensors", model, META)
    return model, tmp_path / "model.safetensors"


def test_a_model_comes_back_as_it_was_saved(saved):
    model, path = saved
    loaded, meta = checkpoint.load(path)
    assert meta == META
    faces = torch.rand(1, 3, 64, 64)
    assert torch.allclose(loaded.swap(faces, to="b"), model.swap(faces, to="b"), atol=1e-6)
    assert not loaded.training


def test_equal_models_have_equal_bytes(saved, tmp_path):
    model, path = saved
    checkpoint.save(tmp_path / "other_name.safetensors", model, META)
    assert path.read_bytes() == (tmp_path / "other_name.safetensors").read_bytes()


@pytest.mark.parametrize("size", [0, 4, 300, -1])
def test_a_truncated_model_is_refused_in_one_sentence(saved, size):
    _, path = saved
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DfdmError, match=r"not a readable dfdm model") as caught:
        checkpoint.load(path)
    assert "\n" not in str(caught.value)


def test_a_foreign_or_misfitting_file_is_refused(saved, tmp_path):
    save_file({"x": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(DfdmError, match="foreign"):
        checkpoint.load(tmp_path / "foreign.safetensors")
    _, path = saved
    checkpoint.save(path, build("iae", 1 / 32), META)
    with pytest.raises(DfdmError, match="train again"):
        checkpoint.load(path)
    with pytest.raises(DfdmError, match="does not exist"):
        checkpoint.load(tmp_path / "none.safetensors")
