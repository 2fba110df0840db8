"""State folders, stop signals, device choice."""

import contextlib
import os
import random
import signal

import pytest
import torch

from dfdm.base import compute, states, trainer
from dfdm.base.errors import DfdmError
from dfdm.base.progress import Progress, progress


def names(folder):
    return [path.name for path in folder.paths()]


def test_the_last_states_are_kept_and_the_newest_comes_back(tmp_path):
    with states.StateFolder(tmp_path / "s", "key", keep=2) as folder:
        assert folder.latest() is None
        for step in (5, 10, 15):
            folder.save(step, {"x": torch.full((3,), float(step)), "nested": {"a": [1, 2]}})
        assert names(folder) == ["state_000000010.pt", "state_000000015.pt"]
        state = folder.latest()
    assert state is not None
    assert (state["step"], state["nested"], state["x"].tolist()) == (15, {"a": [1, 2]}, [15.0] * 3)


def test_equal_states_have_equal_bytes(tmp_path):
    for name in ("one", "another"):
        states.save_state(tmp_path / f"{name}.pt", {"x": torch.arange(4)})
    assert (tmp_path / "one.pt").read_bytes() == (tmp_path / "another.pt").read_bytes()


FOREIGN = {"zip": {"x": [1]}, "tensor": torch.zeros(3)}  # torch files that are not states


@pytest.mark.parametrize("damage", ["cut", "empty", "bit", "text", *FOREIGN])
def test_a_damaged_state_is_refused_and_left_alone_and_the_way_on_is_named(tmp_path, damage):
    with states.StateFolder(tmp_path, "key") as folder:
        folder.save(1, {"x": torch.randn(2000)})
        folder.save(2, {"x": torch.randn(2000)})
        older, path = folder.paths()
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        if damage in FOREIGN:
            torch.save(FOREIGN[damage], path)
        else:
            path.write_bytes({"cut": content[:-100], "empty": b"", "bit": content, "text": b"a note"}[damage])
        before = path.read_bytes()
        with pytest.raises(DfdmError, match="is damaged or no training state") as caught:
            folder.latest()
        told = str(caught.value)
        assert told.startswith(f"training state {path} is damaged")
        assert told.endswith("nothing was changed: move it away to continue from state_000000001.pt, which is intact")
        assert "\n" not in told
        assert path.read_bytes() == before
        older.write_bytes(b"")
        with pytest.raises(
            DfdmError, match="move it away to start from the beginning, there is no intact state before it"
        ):
            folder.latest()
        assert path.read_bytes() == before


def test_no_flipped_bit_goes_unseen(tmp_path):
    path = tmp_path / "state.pt"
    state = {"x": torch.arange(500), "step": 1, "key": "k", "of": {"model": "iae"}, "rates": [0.5, 1e-9]}
    states.save_state(path, state)
    content = path.read_bytes()
    for place in random.Random(0).sample(range(8 * len(content)), 400):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        with contextlib.suppress(DfdmError):  # refused, or a bit that means nothing
            loaded = states.load_state(path)
            assert torch.equal(loaded.pop("x"), state["x"])
            assert loaded == {key: value for key, value in state.items() if key != "x"}


def test_a_stopped_state_is_the_newest_until_the_next_and_pushes_no_regular_one_out(tmp_path):
    with states.StateFolder(tmp_path, "key", keep=1) as folder:
        folder.save(10, {})
        folder.save(13, {}, regular=False)
        folder.save(17, {}, regular=False)
        assert names(folder) == ["state_000000010.pt", "state_000000017_stopped.pt"]
        assert [state and state["step"] for state in (folder.latest(), folder.latest(regular=True))] == [17, 10]
        folder.save(20, {})
        assert names(folder) == ["state_000000020.pt"]


def test_a_rollback_leaves_no_newer_state(tmp_path):
    with states.StateFolder(tmp_path, "key", keep=3) as folder:
        for step, regular in ((10, True), (20, True), (23, False)):
            folder.save(step, {}, regular)
        folder.roll_back(20, {"again": 1})
        assert names(folder) == ["state_000000010.pt", "state_000000020.pt"]
        assert (folder.latest() or {})["again"] == 1


def test_an_exploded_weight_is_seen():
    model = torch.nn.Linear(3, 3)
    trainer.check_weights(model, "x")
    with torch.no_grad():
        model.weight[1, 1] = float("nan")
    with pytest.raises(trainer.DivergedError, match="iteration 7"):
        trainer.check_weights(model, "iteration 7")


def test_a_state_of_another_training_is_refused(tmp_path):
    with states.StateFolder(tmp_path, "key") as folder:
        folder.save(1, {})
    with states.StateFolder(tmp_path, "other") as folder, pytest.raises(DfdmError, match="another training"):
        folder.latest()


def test_a_folder_belongs_to_one_process_and_leftovers_go(tmp_path):
    (tmp_path / ".state_000000001.77.tmp.pt").write_bytes(b"half")
    with states.StateFolder(tmp_path, "key"):
        assert [path.name for path in tmp_path.iterdir()] == ["lock"]
        with pytest.raises(DfdmError, match="another process"), states.StateFolder(tmp_path, "key"):
            pass
    with states.StateFolder(tmp_path, "key"):
        pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_noted_and_gives_the_exit_status(number):
    with trainer.Interrupt() as interrupt:
        interrupt.exit_if_set("work")
        os.kill(os.getpid(), number)
        assert interrupt.signal == number
        with pytest.raises(SystemExit) as caught:
            interrupt.exit_if_set("work")
    assert caught.value.code == 128 + number
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_cuda_without_a_device_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert compute.resolve_device("auto") == torch.device("cpu")
    with pytest.raises(DfdmError, match="CUDA"):
        compute.resolve_device("cuda")


def test_half_precision_is_bfloat16_where_the_cpu_has_it_and_nothing_else(monkeypatch):
    cpu = torch.device("cpu")
    for flags, expected in (("fpu avx512_bf16", torch.bfloat16), ("fpu avx512f", None)):
        monkeypatch.setattr(compute.Path, "read_text", lambda self, flags=flags: flags)
        assert compute.amp_dtype(cpu) == expected
        with compute.autocast(cpu, amp=True):
            assert torch.is_autocast_enabled("cpu") == (expected is not None)
        with compute.autocast(cpu, amp=False):
            assert not torch.is_autocast_enabled("cpu")
        assert not compute.grad_scaler(cpu, amp=True).is_enabled()


def test_a_loss_that_is_no_number_stops():
    trainer.check_finite([1.0, 2.0], "x")
    with pytest.raises(DfdmError, match="iteration 7"):
        trainer.check_finite([1.0, float("nan")], "iteration 7")


def test_a_log_shows_a_line_within_seconds(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("dfdm.base.progress.time.monotonic", lambda: now[0])
    with Progress(100, "work", "iterations") as shown:
        for _ in range(20):
            now[0] += 1
            shown.update(note="loss 0.5")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("/")[0] for line in lines] == ["work: 2", "work: 17", "work: 20"]
    assert lines[0] == "work: 2/100 iterations, loss 0.5, 01:38 left"


def test_progress_in_a_log_is_whole_lines(capsys):
    assert list(progress(range(5), 5, "frames", "frame")) == list(range(5))
    assert capsys.readouterr().err == "frames: 5/5 frame, 00:00 left\n"
