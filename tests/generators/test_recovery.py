"""What happens to a training when its loss is lost, the disk is full, or another file is to begin with."""

import errno
import functools
import os
import random
import signal

import numpy as np
import pytest
import test_train
import torch
from safetensors.torch import save_file
from test_train import OUTPUTS, SETTINGS, faces_of, train

from dfdm.base.errors import DfdmError
from dfdm.base.files import half_written
from dfdm.base.states import load_state
from generators import checkpoint
from generators import trainer as module
from generators.augment import Augmenter
from generators.batches import Batches
from generators.settings import TrainConfig

STATES = "state/k/state_*.pt"
_restored, whole = test_train._restored, test_train.whole


def states(folder):
    return sorted(path.name for path in folder.glob(STATES))


@pytest.fixture
def plant(monkeypatch):
    """Let something happen to the trainer after each step."""
    real = module.Trainer.train_step

    def set_plant(happen):
        def step(self, batch):
            real(self, batch)
            happen(self)

        monkeypatch.setattr(module.Trainer, "train_step", step)

    return set_plant


def spoil_loss(trainer):
    trainer.losses[trainer.step - 1, 1] = float("nan")


def spoil_weight(trainer):
    with torch.no_grad():
        next(trainer.model.parameters())[0, 0, 0, 0] = float("inf")


def spoiled(spoil, at, times=1):
    """Spoil the training at an iteration, as often as it has been rolled back fewer than so many times."""

    def happen(trainer):
        if trainer.step == at and len(trainer.rollbacks) < times:
            spoil(trainer)

    return happen


@pytest.mark.parametrize("spoil", [spoil_loss, spoil_weight])
def test_a_number_lost_stops_before_a_state_is_saved(tmp_path, plant, spoil):
    plant(spoiled(spoil, 20))
    with pytest.raises(DfdmError) as caught:
        train(tmp_path)
    assert str(caught.value) == (
        "faceswap id0-id1, iteration 20: the loss or a weight is no longer a number, training stopped and the last "
        "good state was kept; try a lower lr, or amp: false, or on_nan: rollback"
    )
    assert states(tmp_path) == ["state_000000010.pt"]


@pytest.mark.long
@pytest.mark.parametrize("spoil", [spoil_loss, spoil_weight])
def test_a_rollback_goes_on_from_the_last_good_state_at_half_the_rate(tmp_path, plant, spoil, capsys):
    plant(spoiled(spoil, 20))
    train(tmp_path, on_nan="rollback", decay=0, iterations=30)
    rates = [line.split(",")[-1] for line in (tmp_path / "out/loss.csv").read_text().splitlines()[1:]]
    assert rates == ["0.001"] * 10 + ["0.0005"] * 20
    assert "nan" not in (tmp_path / "out/loss.csv").read_text()
    assert load_state(next(tmp_path.glob(STATES)))["rollbacks"] == [10]
    told = capsys.readouterr().err
    assert "iteration 20: the loss or a weight is no longer a number; rolled back" in told
    assert "continues from iteration 10 of 30 at lr 0.0005, rollback 1 of at most 5" in told


@pytest.mark.long
def test_before_the_first_state_a_rollback_begins_anew_from_the_seed(tmp_path, plant):
    plant(spoiled(spoil_loss, 5, times=2))
    outputs = train(tmp_path / "a", on_nan="rollback", decay=0)
    assert load_state(next((tmp_path / "a").glob(STATES)))["rollbacks"] == [0, 0]
    plant(lambda trainer: None)
    assert outputs["model.safetensors"] == train(tmp_path / "b", lr=0.25e-3, decay=0)["model.safetensors"]


@pytest.mark.long
def test_an_exploding_loss_is_rolled_back_too(tmp_path, plant, capsys):
    def grow(trainer):
        if trainer.step > 100 and not trainer.rollbacks:
            trainer.losses[trainer.step - 1] *= trainer.step / 20

    plant(grow)
    train(tmp_path, on_nan="rollback", iterations=200, batch=1, width=1 / 128, save_every=50)
    assert "the loss grew from" in capsys.readouterr().err
    assert load_state(next(tmp_path.glob(STATES)))["rollbacks"] == [100]


@pytest.mark.long
def test_after_the_last_rollback_it_gives_up(tmp_path, plant):
    plant(spoiled(spoil_loss, 15, times=99))
    with pytest.raises(DfdmError, match=r"no longer a number, after 5 rollbacks at a rate of 3\.13e-05; the last good"):
        train(tmp_path, on_nan="rollback", decay=0)
    assert states(tmp_path) == ["state_000000010.pt"]


def kill(trainer):
    raise ZeroDivisionError


def sigterm(trainer):
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.long
@pytest.mark.parametrize("stop", [kill, sigterm])
def test_a_rollback_is_the_same_wherever_the_training_was_interrupted(tmp_path, plant, stop):
    def once(trainer, step, left):
        spoiled(spoil_loss, 13)(trainer)
        if trainer.step == step and left:
            left.pop()(trainer)

    short = {"on_nan": "rollback", "iterations": 20, "save_every": 5}
    plant(spoiled(spoil_loss, 13))
    outputs = train(tmp_path / "whole", **short)
    for step in (2, 7, 11, 12, 14, 17):  # before the first state, after one, and before, at and after the rollback
        plant(functools.partial(once, step=step, left=[stop]))
        with pytest.raises(ZeroDivisionError if stop is kill else SystemExit):
            train(tmp_path / str(step), **short)
        assert train(tmp_path / str(step), **short) == outputs


def test_batches_depend_on_seed_and_iteration_alone():
    settings = TrainConfig(**SETTINGS)

    def batches():
        sides = (faces_of("id0", [], settings, 64), faces_of("id1", [], settings, 64))
        return Batches(sides, Augmenter(settings, 64, 64, torch.device("cpu")), settings, 3)

    first, second = batches(), batches()
    in_order = [first[iteration] for iteration in range(30)]
    for iteration in (29, 0, 17):
        torch.manual_seed(iteration), np.random.seed(iteration), random.seed(iteration)  # noqa: NPY002
        batch = second[iteration]
        assert torch.equal(batch.inputs, in_order[iteration].inputs)
        assert torch.equal(batch.targets, in_order[iteration].targets)


@pytest.mark.long
def test_a_finished_training_keeps_its_newest_state_or_none(tmp_path):
    train(tmp_path / "a", keep_finished=True, decay=0)
    assert states(tmp_path / "a") == ["state_000000040.pt"]
    train(tmp_path / "a", decay=0, iterations=45)
    longer = train(tmp_path / "b", decay=0, iterations=45, keep_finished=False)
    assert states(tmp_path / "b") == []
    assert longer["model.safetensors"] == train(tmp_path / "a", decay=0, iterations=45)["model.safetensors"]


@pytest.mark.long
@pytest.mark.parametrize("name", ["state_000000020.pt", *OUTPUTS])
def test_a_full_disk_is_one_sentence_and_leaves_what_was_there(tmp_path, plant, name, whole):
    target = tmp_path / ("state/k" if name.startswith("state") else "out") / name
    temporary = half_written(target, os.getpid())

    def fill(trainer):
        if trainer.step == 11:
            target.parent.mkdir(exist_ok=True)
            temporary.symlink_to("/dev/full")

    plant(fill)
    with pytest.raises(DfdmError) as caught:
        train(tmp_path)
    assert str(caught.value) == (
        f"{target} could not be written (No space left on device); what was there before is intact: "
        "free some space and run again"
    )
    assert not target.exists()
    assert not list(tmp_path.rglob(".*.tmp*"))
    assert states(tmp_path)[0] == ("state_000000010.pt" if name.startswith("state") else "state_000000030.pt")
    plant(lambda trainer: None)
    assert train(tmp_path) == whole[1]


def test_a_full_disk_met_by_the_live_view_is_told_too(tmp_path, monkeypatch):
    def full(self, *arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.SummaryWriter, "add_scalar", full)
    with pytest.raises(DfdmError, match=r"k/tensorboard could not be written \(No space left on device\)"):
        train(tmp_path)


@pytest.fixture(scope="module")
def started(whole):
    """A finished training's model, and its state."""
    return whole[0] / "out/model.safetensors", next(whole[0].glob(STATES))


@pytest.mark.long
@pytest.mark.parametrize("kind", [0, 1])
def test_a_training_starts_from_the_weights_of_a_model_or_a_state(started, whole, tmp_path, kind):
    job = module.Job("faceswap", ("id0", "id1"), TrainConfig(**SETTINGS, start_from=str(started[kind])), 3)
    begun = module.Trainer(job, torch.device("cpu"))
    model, _ = checkpoint.load(started[0])
    assert all(torch.equal(a, b) for a, b in zip(begun.model.state_dict().values(), model.state_dict().values()))
    assert begun.step == 0
    before = started[kind].read_bytes()
    assert train(tmp_path, start_from=str(started[kind])) != whole[1]
    assert started[kind].read_bytes() == before


def damaged(content, how):
    if how == "bit":
        content = bytearray(content)
        content[len(content) * 2 // 3] ^= 1
    return bytes({"cut": content[:-99], "empty": b"", "bit": content, "text": b"not a model at all"}[how])


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("how", ["cut", "empty", "bit", "text"])
def test_a_damaged_file_to_start_from_is_refused_and_left_alone(started, tmp_path, kind, how):
    path = tmp_path / started[kind].name
    path.write_bytes(damaged(started[kind].read_bytes(), how))
    before = path.read_bytes()
    with pytest.raises(DfdmError, match=r"train\.start_from: .* cannot be read as a model or training state") as caught:
        train(tmp_path, start_from=str(path))
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [0, 1])
@pytest.mark.parametrize("changes", [{"model": "iae"}, {"width": 1 / 32}])
def test_a_file_to_start_from_that_does_not_fit_is_refused(started, tmp_path, kind, changes):
    before = started[kind].read_bytes()
    with pytest.raises(DfdmError, match=r"contains faceswap at width 0\.015625, which does not fit"):
        train(tmp_path, start_from=str(started[kind]), **changes)
    assert started[kind].read_bytes() == before


def test_a_foreign_safetensors_file_is_refused(tmp_path):
    save_file({"x": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(DfdmError, match="cannot be read as a model"):
        train(tmp_path, start_from=str(tmp_path / "foreign.safetensors"))


def test_the_model_to_write_is_never_the_one_to_start_from(started, tmp_path):
    out = tmp_path / "out" / "model.safetensors"
    out.parent.mkdir()
    out.write_bytes(started[0].read_bytes())
    (tmp_path / "link").symlink_to(out)
    with pytest.raises(DfdmError, match="is also the output file"):
        train(tmp_path, start_from=str(tmp_path / "link"))
    assert out.read_bytes() == started[0].read_bytes()


def test_model_and_pair_stand_in_the_name_of_the_file_to_start_from():
    settings = TrainConfig(start_from="old/{pair}/{model}.safetensors")
    assert str(settings.start_file("iae", ("id0", "id4"))) == "old/id0_id4/iae.safetensors"
