"""What the line computes on a device is what it computes on the CPU."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from conftest import FULL, faces

import attribution.models
import generators.models
from attribution.clips import normalise
from attribution.fitting import build_optimizer
from attribution.settings import AttributionConfig
from dfdm.base import compute, devices
from dfdm.base.states import StateFolder
from dfdm.media import alignment
from dfdm.media.tracks import FaceTrack, TrackCounts
from dfdm.media.video import VideoRecord
from generators import trainer as training
from generators.augment import Augmenter
from generators.batches import Batches
from generators.faces import FaceSet
from generators.settings import RenderConfig, TrainConfig
from generators.swap import Swapper

AUTOENCODERS = generators.models.names()
CLASSIFIERS = attribution.models.names()
WIDTH = 1.0 if FULL else 1 / 16


def close(found: torch.Tensor, expected: torch.Tensor, most: float = 1e-3) -> None:
    """The largest difference as a share of the largest value."""
    worst = float((found.detach().float().cpu() - expected.detach().float()).abs().max() / expected.abs().max())
    assert worst <= most, f"worst difference {worst:.2e} of the largest value, allowed {most:.0e}"


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_an_autoencoder_and_its_gradients_are_those_of_the_cpu(name: str, device: torch.device) -> None:
    model = generators.models.build(name, WIDTH)
    inputs = torch.rand(2, 2, 3, model.input_size, model.input_size)
    outputs, gradients = {}, {}
    for where in (torch.device("cpu"), device):
        model = model.to(where)
        model.zero_grad()
        out = torch.cat(model(*inputs.to(where)))
        out.square().mean().backward()
        outputs[where.type] = out.detach().cpu()
        gradients[where.type] = [p.grad.cpu().clone() for p in model.parameters()]  # moved with the model
    close(outputs[device.type], outputs["cpu"])
    largest = max(float(g.abs().max()) for g in gradients["cpu"])
    for mine, theirs in zip(gradients[device.type], gradients["cpu"]):
        assert float((mine - theirs).abs().max()) <= 1e-3 * max(largest, float(theirs.abs().max()))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifiers_step_is_that_of_the_cpu(name: str, device: torch.device) -> None:
    settings = AttributionConfig(model=name, depth=18, clip=4, size=64, resize=64, optimizer="adamw")
    clips = torch.from_numpy(np.stack([faces(4, 64, seed)[0] for seed in range(4)]))  # [4, 4, 64, 64, 3]
    labels = torch.tensor([0, 1, 2, 3])
    model = attribution.models.build(name, 5, settings.depth, settings.clip)
    start = {key: value.clone() for key, value in model.state_dict().items()}
    losses = {}
    for where in (torch.device("cpu"), device):
        model.load_state_dict(start)
        placed = attribution.models.place(model, where, settings.channels_last)
        placed.eval()  # no dropout, whose draws differ between devices
        for part in placed.modules():
            if isinstance(part, torch.nn.RNNBase):  # cuDNN's runs backward in training only
                part.train()
        optimizer = build_optimizer(placed, settings)
        found = []
        for _ in range(2):
            logits = placed(normalise(clips, where, settings.channels_last))
            loss = torch.nn.functional.cross_entropy(logits.float(), labels.to(where))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        losses[where.type] = found
    assert losses[device.type][0] == pytest.approx(losses["cpu"][0], rel=1e-3)
    assert losses[device.type][1] == pytest.approx(losses["cpu"][1], rel=2e-2)  # Adam divides by the gradient
    if not FULL:
        return
    placed.train()
    with compute.autocast(device, True):
        placed(normalise(clips, device, settings.channels_last)).float().sum().backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in placed.parameters())


@pytest.mark.parametrize("size", ["model", "384"])
def test_augmented_faces_are_those_of_the_cpu(size: str, device: torch.device) -> None:
    settings = TrainConfig(augment_size=size, batch=4)
    made = {}
    for where in (torch.device("cpu"), device):
        augmenter = Augmenter(settings, 64, 128, where)
        pictures, masks = faces(8, augmenter.size)
        made[where.type] = augmenter(pictures, masks, np.random.default_rng(3))
    for part in ("inputs", "targets", "masks"):
        mine, theirs = getattr(made[device.type], part), getattr(made["cpu"], part)
        assert mine.device.type == device.type
        assert float((mine.cpu() - theirs).abs().max()) <= 1 / 255


# A whole training: half precision, its scaler, a lost number, a stop.


def prepared(folder: Path, device: torch.device, name: str = "dfaker", **changes: object) -> training.Trainer:
    values = {"width": WIDTH / 4, "batch": 4, "iterations": 60, "save_every": 20, "amp": True, "on_nan": "rollback"}
    settings = TrainConfig(**{**values, **changes})
    one = training.Trainer(training.Job(name, ("id0", "id1"), settings, 0), device)
    augmenter = Augmenter(settings, one.model.input_size, one.model.output_size, device)
    a, b = (FaceSet(who, *faces(32, augmenter.size, seed), faces(8, 64)[0]) for seed, who in enumerate("ab"))
    one.batches = Batches((a, b), augmenter, settings, 0)
    return one


def weights(one: training.Trainer) -> list[torch.Tensor]:
    return [parameter.detach().cpu().clone() for parameter in one.model.parameters()]


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_a_training_in_half_precision_learns(
    half: torch.dtype, device: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if FULL:
        monkeypatch.setattr(compute, "amp_dtype", lambda device: half)
    one = prepared(tmp_path, device, iterations=200, lr=1e-3, width=1 / 8)
    assert one.scaler.is_enabled() == (FULL and half == torch.float16)
    with StateFolder(tmp_path / "s", "k") as states:
        one.run(states)
    first, last = float(one.losses[:20].mean()), float(one.losses[-20:].mean())
    assert last < 0.9 * first, f"loss {first:.4f} at first, {last:.4f} at last"


def test_the_scaler_leaves_out_a_step_that_overflows(
    device: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not FULL:
        pytest.skip("float16 and its scaler are for CUDA")
    monkeypatch.setattr(compute, "amp_dtype", lambda device: torch.float16)
    one = prepared(tmp_path, device)
    before, scale = weights(one), one.scaler.get_scale()
    next(one.model.parameters()).register_hook(lambda gradient: gradient * float("inf"))
    one.train_step(one.batches[0])
    assert all(torch.equal(a, b) for a, b in zip(before, weights(one)))
    assert one.scaler.get_scale() < scale


def test_a_lost_number_is_rolled_back(device: torch.device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = training.Trainer.train_step

    def spoiled(self: training.Trainer, batch: object) -> None:
        real(self, batch)  # type: ignore[arg-type]
        if self.step == 30 and not self.rollbacks:
            with torch.no_grad():
                next(self.model.parameters()).fill_(float("nan"))

    monkeypatch.setattr(training.Trainer, "train_step", spoiled)
    one = prepared(tmp_path, device)
    with StateFolder(tmp_path / "s", "k") as states:
        one.run(states)
    assert one.rollbacks == [20]
    assert one.step == 60
    assert all(torch.isfinite(value).all() for value in weights(one))


@pytest.mark.parametrize("amp", [False, True])
def test_a_training_that_was_stopped_goes_on_to_the_same_weights(
    amp: bool, device: torch.device, tmp_path: Path
) -> None:
    whole = prepared(tmp_path, device, amp=amp)
    with StateFolder(tmp_path / "whole", "k") as states:
        whole.run(states)
    first = prepared(tmp_path, device, amp=amp)
    with StateFolder(tmp_path / "parts", "k") as states:
        for iteration in range(20):
            first.train_step(first.batches[iteration])
        states.save(20, first.state())
        second = prepared(tmp_path, device, amp=amp)
        second.resume(states)
        assert second.step == 20
        second.run(states)
    for mine, theirs in zip(weights(second), weights(whole)):
        close(mine, theirs, 1e-6)


# Rendering.


def scene(frames: int) -> tuple[list[np.ndarray], FaceTrack]:
    """Noise-free frames of 360 x 360 px as I420, and the mean face in them."""
    size = 360
    pictures, _ = faces(frames, size)
    planes = [cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420) for picture in pictures]
    angles = np.linspace(np.pi, 0, 17)
    jaw = np.stack([0.5 + 0.62 * np.cos(angles), 0.2 + 0.95 * np.sin(angles)], 1)
    points = np.concatenate([jaw, alignment.MEAN_FACE]) * 120 + 110
    landmarks = np.stack([points + index for index in range(frames)]).astype(np.float32)
    record = VideoRecord(
        scene_key="id0_0000", reference={}, sha256="", start=0, stop=frames, width=size, height=size, stored_width=size,
        stored_height=size, pixel_format="yuv420p", rotation=0, rate=(25, 1), time_base=(1, 25), start_seconds=0,
        duration_seconds=frames / 25, pts=None, matrix=None, full_range=None, primaries=None, transfer=None, audio=None,
    )  # fmt: skip
    boxes = np.concatenate([landmarks.min(1), landmarks.max(1)], 1)
    counts = TrackCounts(frames, frames, 0, 0)
    index = np.arange(frames, dtype=np.int32)
    return planes, FaceTrack(record, index, landmarks, boxes, np.ones(frames, np.float32), index * 0, counts)


@pytest.mark.parametrize("colour", ["avg", "reinhard", "histogram", "none"])
@pytest.mark.parametrize("name", AUTOENCODERS)
def test_a_rendered_frame_is_within_a_level_of_the_cpus(name: str, colour: str, device: torch.device) -> None:
    planes, track = scene(3)
    model = generators.models.build(name, WIDTH / 4)
    made = {}
    for where in (torch.device("cpu"), device):
        swapper = Swapper(model, "face", 0.875, "b", RenderConfig(color=colour), where)
        made[where.type] = np.stack(list(swapper.render(iter(planes), track)))
    assert not np.array_equal(made["cpu"], np.stack(planes))  # there is a face in it
    assert np.abs(made[device.type].astype(int) - made["cpu"].astype(int)).max() <= 1


# The detector, and which device a job gets.


def test_face_alignment_finds_the_cpus_points(device: torch.device, tmp_path: Path) -> None:
    pytest.importorskip("face_alignment", reason="face-alignment is not installed")
    from face_alignment.detection.sfd.net_s3fd import s3fd
    from face_alignment.models import FAN

    from dfdm.media.detectors import build
    from dfdm.media.detectors.face_alignment import DETECTOR_FILE, LANDMARKS_FILE

    with torch.no_grad():
        finder = s3fd()
        for name, parameter in finder.named_parameters():  # one face in the coarsest cell, at 95 %
            if "_mbox_conf" in name or "_mbox_loc" in name:
                parameter.zero_()
            if "_mbox_conf" in name and name.endswith("bias"):
                parameter[0] = 3
                if name.startswith("conv7_2"):
                    parameter[1] = 6
    torch.save(finder.state_dict(), tmp_path / DETECTOR_FILE)
    torch.save(FAN(4).state_dict(), tmp_path / LANDMARKS_FILE)
    picture = faces(1, 96)[0][0]
    found = {
        where: build("face_alignment", weights=tmp_path, confidence=0.9, device=where).detect(picture)
        for where in ("cpu", device.type)
    }
    assert len(found[device.type]) == len(found["cpu"]) > 0
    for mine, theirs in zip(found[device.type], found["cpu"]):
        assert mine.confidence == pytest.approx(theirs.confidence, abs=1e-3)
        assert np.abs(mine.box - theirs.box).max() <= 0.1
        assert np.median(np.abs(mine.landmarks - theirs.landmarks)) <= 0.5


def test_two_jobs_never_hold_one_device(device: torch.device, tmp_path: Path) -> None:
    there = devices.installed()
    if not FULL:
        pytest.skip("no GPU")
    assert there, "torch sees a device, and nvidia-smi or /proc names none"
    code = "import sys; from dfdm.base import devices; print(devices.take('auto'), flush=True); sys.stdin.read()"

    def job() -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    holding = [job() for _ in there]
    held = [one.stdout.readline().strip() for one in holding]  # type: ignore[union-attr]
    assert sorted(held) == sorted(there)
    waiting = job()
    assert "waiting for a GPU" in waiting.stderr.readline()  # type: ignore[union-attr]
    holding[0].kill()
    assert waiting.stdout.readline().strip() == held[0]  # type: ignore[union-attr]
    for one in (*holding, waiting):
        one.kill()
        one.wait()
