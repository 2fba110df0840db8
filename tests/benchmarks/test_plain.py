"""The plain training does what ours does; each part of the benchmark runs."""

import json

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks import __main__ as command
from benchmarks import memory, plain, steps
from dfdm.catalogue import config
from generators.augment import Augmenter
from generators.losses import face_loss
from generators.models import build
from generators.models.blocks import Autoencoder, C, Conv, D, O, U
from generators.optimizer import Adam
from generators.settings import TrainConfig
from tests.commands import FORKS

pytestmark = pytest.mark.long

WIDTH = 1 / 32


@torch.no_grad()
def take_weights(plain: Autoencoder, ours: Autoencoder) -> None:
    """Give the plain model the weights of one of ours: channels come first there, and last here."""
    kinds = (nn.Conv2d, nn.Linear)
    targets = [module for module in plain.modules() if isinstance(module, kinds)]
    sources: list[tuple[nn.Conv2d | nn.Linear, str]] = []
    for module in ours.modules():
        if isinstance(module, C | U):
            sources.append((module.conv, type(module).__name__))
        elif isinstance(module, D):
            inner = any(kind == "D" for _, kind in sources[-1:])
            sources.append((module, "D2" if inner else "D"))
        elif isinstance(module, nn.Conv2d) and (isinstance(module, O) or all(module is not m for m, _ in sources)):
            sources.append((module, "as it is"))
    if len(targets) != len(sources):
        raise ValueError(f"{len(sources)} layers do not fit {len(targets)}")
    for target, (source, kind) in zip(targets, sources):
        target.weight.copy_(channels_first(source.weight, kind, plain).reshape(target.weight.shape))
        assert target.bias is not None
        assert source.bias is not None
        target.bias.copy_(channels_first(source.bias, kind, plain).reshape(target.bias.shape))


def channels_first(value: Tensor, kind: str, plain: Autoencoder) -> Tensor:
    """A weight or bias with the order of channels that PixelShuffle, Flatten and Unflatten have."""
    if kind == "U":  # (block, channel, ...) -> (channel, block, ...)
        return value.unflatten(0, (4, -1)).transpose(0, 1)
    size = next(m for m in plain.modules() if isinstance(m, nn.Unflatten)).unflattened_size[1]
    if kind == "D2":  # (row, column, channel, ...) -> (channel, row, column, ...)
        return value.unflatten(0, (size, size, -1)).movedim(2, 0)
    if kind == "D" and value.dim() == 2:
        before = [
            m for m in plain.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (5, 5) and m.stride == (2, 2)
        ]
        channels = before[-1].out_channels
        edge = round((value.shape[1] / channels) ** 0.5)
        return value.unflatten(1, (edge, edge, channels)).movedim(3, 1)
    return value


def pair(name):
    """Ours with weights and biases that differ everywhere, and the plain model with the same."""
    torch.manual_seed(0)
    ours = build(name, WIDTH).to(memory_format=torch.channels_last)
    for key, value in ours.named_parameters():
        if key.endswith("bias"):
            torch.nn.init.uniform_(value, -0.2, 0.2)
    trainer = plain.PlainTrainer(name, TrainConfig(width=WIDTH))
    take_weights(trainer.model, ours)
    return ours, trainer


@pytest.mark.parametrize("name", config.MODELS)
def test_the_plain_step_has_our_loss_and_gradients(name):
    ours, trainer = pair(name)
    settings = TrainConfig(width=WIDTH, batch=2, color_augment=False)
    batch = steps.batches_of(name, settings)[0]
    predicted = torch.cat(ours(batch.inputs[:2], batch.inputs[2:]))
    loss = face_loss(predicted, batch.targets, batch.masks).view(2, 2).mean(1).sum()
    loss.backward()
    expected = trainer.loss(batch)
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    got = sum(value.grad.double().square().sum() for value in ours.parameters())
    assert got.item() == pytest.approx(
        sum(value.grad.double().square().sum() for value in trainer.model.parameters()).item(), rel=1e-3
    )


@pytest.mark.parametrize(("inside", "out"), [(64, 64), (64, 128)])
def test_the_plain_augmentation_makes_the_same_batch(inside, out):
    settings = TrainConfig()
    ours, other = Augmenter(settings, inside, out, steps.CPU), plain.PlainAugmenter(settings, inside, out)
    people = steps.made_up_faces("a", out)
    got = ours(people.faces[:6], people.masks[:6], np.random.default_rng(3))
    expected = other(people.faces[:6], people.masks[:6], np.random.default_rng(3))
    for part in ("inputs", "targets", "masks"):
        difference = (getattr(got, part) - getattr(expected, part)).abs()
        assert difference.mean() < 0.01
        assert difference.flatten().quantile(0.99) < 0.04


@pytest.mark.parametrize(("size", "kernel", "stride", "padding"), [(11, 5, 2, 0), (4, 3, 1, 1)])
def test_a_small_map_as_one_product_is_the_convolution(size, kernel, stride, padding):
    torch.manual_seed(0)
    conv = Conv(6, 8, kernel, stride=stride, padding=padding).to(memory_format=torch.channels_last)
    x = torch.randn(3, 6, size, size, requires_grad=True)
    found = []
    for function in (conv, super(Conv, conv).forward):
        y = function(x)
        y.backward(torch.linspace(-1, 1, y.numel()).view(y.shape))
        found.append([y.detach(), x.grad, conv.weight.grad, conv.bias.grad])
        x.grad = conv.weight.grad = conv.bias.grad = None
    for got, expected in zip(*found):
        assert torch.allclose(got, expected, atol=1e-4)
    assert found[0][2].stride() == conv.weight.stride()


def test_our_adam_is_torchs_for_every_layout():
    torch.manual_seed(0)
    start, gradient = torch.randn(8, 6, 5, 5), torch.randn(8, 6, 5, 5)
    layouts = (torch.channels_last, torch.contiguous_format)
    for of_weight in layouts:
        for of_gradient in layouts:
            ends = []
            for kind, values in ((Adam, {"fused": True}), (torch.optim.Adam, {"foreach": False, "fused": False})):
                weight = start.clone().to(memory_format=of_weight).requires_grad_()
                optimizer = kind([weight], 0.1, **values)
                for factor in (1.0, -0.5, 2.0):
                    weight.grad = (gradient * factor).to(memory_format=of_gradient)
                    optimizer.step()
                ends.append(weight.detach())
            assert torch.allclose(*ends, atol=1e-5)


def test_work_is_counted_by_the_model():
    trainer = plain.plain_model("faceswap", WIDTH)
    total = 0

    def count(module, _, output):
        nonlocal total
        total += module.weight.numel() * output[0, 0].numel()

    for module in trainer.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(count)
    trainer.reconstruct(torch.rand(1, 3, 64, 64), "a")
    mine = build("faceswap", WIDTH).multiply_adds()
    assert mine == total


def test_a_gpus_memory_grows_by_the_faces():
    sizes = [memory.gpu_bytes("faceswap", WIDTH, batch, amp=False) for batch in (1, 2, 3)]
    assert sizes[2] - sizes[1] == sizes[1] - sizes[0] > 0
    parameters = sum(value.numel() for value in build("faceswap", WIDTH).parameters())
    assert sizes[0] > 16 * parameters


def test_parts_run_and_are_written(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(steps, "PRODUCT", 128)
    monkeypatch.setattr(steps.multiprocessing, "get_context", lambda _: FORKS)  # have their imports
    out = tmp_path / "results.json"
    words = ["peak", "step", "memory", "--models", "faceswap", "--width", "0.02", "--batch", "1"]
    words += ["--config", "tests/configs/small.yaml"]
    assert command.main([*words, "--threads", "1", "--seconds", "0", "--json", str(out)]) == 0
    results = json.loads(out.read_text())
    row = results["step"]["rows"][0]
    assert row["gflops"] * row["step_ms"] == pytest.approx(6e-6 * build("faceswap", 0.02).multiply_adds() * 2, rel=1e-6)
    assert row["times_plain"] > 0
    assert results["memory"]["rows"][0]["cpu_peak_gb"] > 0
    assert "## peak" in capsys.readouterr().out


def test_an_unknown_part_is_one_sentence(capsys):
    with pytest.raises(SystemExit) as caught:
        command.main(["nonesuch"])
    assert caught.value.code == 2
    assert "there is no part nonesuch" in capsys.readouterr().err
