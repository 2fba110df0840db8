"""Training: repeatable, resumable after any death, stopped by a loss that is not a number."""

import numpy as np
import pytest
import torch

from dfdm.base.errors import DfdmError
from dfdm.base.files import sha256
from dfdm.dataset.provenance import read_mark
from generators import trainer as module
from generators.checkpoint import load
from generators.faces import FaceSet
from generators.settings import TrainConfig

OUTPUTS = ("model.safetensors", "loss.csv", "preview.png")
SETTINGS = {"width": 1 / 64, "batch": 2, "iterations": 40, "lr": 1e-3, "decay": 0.5, "save_every": 10}


def faces_of(person, tracks, settings, size):
    rng = np.random.default_rng(int(person[2:]))
    faces = rng.integers(0, 256, (20, size, size, 3), dtype=np.uint8)
    masks = np.full_like(faces, 255)
    return FaceSet(person, faces, masks, faces[:2])


def train(folder, model="faceswap", **changes):
    """Train on made-up faces."""
    settings = TrainConfig(**{**SETTINGS, **changes})
    module.load_faces = faces_of
    pair = ("id0", "id1")
    state, out = folder / "state", folder / "out" / "model.safetensors"
    module.train(model, pair, [], [], settings, 3, "cpu", "k", state, out)
    return {name: sha256(folder / "out" / name) for name in OUTPUTS}


@pytest.fixture(autouse=True)
def _restored(monkeypatch):
    monkeypatch.setattr(module, "load_faces", module.load_faces)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The outputs of a training that ran through."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("whole")
    original = module.load_faces
    outputs = train(folder)
    module.load_faces = original
    return folder, outputs


@pytest.mark.long
def test_the_same_training_gives_the_same_bytes(whole, tmp_path):
    assert train(tmp_path) == whole[1]


def test_outputs_are_a_model_a_loss_log_and_a_preview(whole):
    folder, _ = whole
    _, meta = load(folder / "out" / "model.safetensors")
    assert (meta.model, meta.pair, meta.iterations, meta.width) == ("faceswap", ("id0", "id1"), 40, 1 / 64)
    rows = (folder / "out" / "loss.csv").read_text().splitlines()
    assert rows[0] == "iteration,loss_a,loss_b,lr"
    assert len(rows) == 41
    assert rows[-1].startswith("40,")
    assert rows[-1].endswith(",5e-05")  # the rate has fallen to a twentieth
    assert list((folder / "state" / "k" / "tensorboard").iterdir())
    mark = read_mark(folder / "out" / "preview.png")
    assert (mark["synthetic"], mark["model"], mark["video_id"], mark["face_id"]) == (True, "faceswap", "id0", "id1")


@pytest.mark.long
def test_another_batch_size_decay_or_seed_changes_the_bytes(whole, tmp_path):
    assert train(tmp_path, batch=3)["model.safetensors"] != whole[1]["model.safetensors"]


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_state(tmp_path, monkeypatch):
    real = module.face_loss
    calls = []

    def broken(*arguments):
        calls.append(1)
        return real(*arguments) * (float("nan") if len(calls) > 15 else 1)

    monkeypatch.setattr(module, "face_loss", broken)
    with pytest.raises(DfdmError, match="lower lr"):
        train(tmp_path)
    assert [path.name for path in (tmp_path / "state" / "k").glob("*.pt")] == ["state_000000010.pt"]
    assert not (tmp_path / "out").exists()


@pytest.mark.long
def test_an_exploding_loss_stops(tmp_path, monkeypatch):
    real = module.face_loss
    calls = []

    def growing(*arguments):
        calls.append(1)
        return real(*arguments) * (1 + len(calls) / 20)

    monkeypatch.setattr(module, "face_loss", growing)
    with pytest.raises(DfdmError, match="the loss grew"):
        train(tmp_path, iterations=150, batch=1, width=1 / 128)


def test_a_truncated_state_is_refused_and_stays(tmp_path, whole):
    folder = tmp_path / "state" / "k"
    folder.mkdir(parents=True)
    state = folder / "state_000000010.pt"
    state.write_bytes(next((whole[0] / "state" / "k").glob("*.pt")).read_bytes()[:5000])
    with pytest.raises(DfdmError, match="is damaged"):
        train(tmp_path)
    assert state.stat().st_size == 5000


def test_a_state_that_does_not_fit_is_refused(whole, tmp_path):
    (tmp_path / "state").symlink_to(whole[0] / "state")
    with pytest.raises(DfdmError, match="does not fit"):
        train(tmp_path, model="iae")


def test_compiling_without_a_compiler_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    with pytest.raises(DfdmError, match="g\\+\\+"):
        train(tmp_path, compile=True)
