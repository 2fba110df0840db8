"""One optimizer step: both sides' losses added, Adam as Keras steps (docs/architectures.md, Training)."""

import numpy as np
import pytest
import torch

from generators.augment import Batch
from generators.losses import face_loss
from generators.models import build
from generators.settings import TrainConfig
from generators.trainer import Job, Trainer

LR, BETA1, BETA2, EPSILON = 1e-3, 0.5, 0.99, 1e-7


def batch_of(seed: int, faces: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return Batch(*(torch.rand(2 * faces, 3, 64, 64, generator=generator) for _ in range(3)))


def gradients(model: torch.nn.Module, batch: Batch) -> tuple[list[np.ndarray], list[float]]:
    """Of loss A + loss B, each the mean over its side's faces, every face by itself."""
    half = len(batch.inputs) // 2
    losses = []
    for index in range(2 * half):
        side = "a" if index < half else "b"
        picture = model.reconstruct(batch.inputs[index : index + 1], side)
        losses.append(face_loss(picture, batch.targets[index : index + 1], batch.masks[index : index + 1])[0])
    sides = [sum(losses[:half]) / half, sum(losses[half:]) / half]
    found = torch.autograd.grad(sides[0] + sides[1], list(model.parameters()))
    return [gradient.numpy().astype(np.float64) for gradient in found], [side.item() for side in sides]


@pytest.mark.parametrize("scale", [1.0, 1e-3])  # with the small one, gradients lie around epsilon
def test_a_step_is_kerass_adam_on_the_sum_of_both_sides_losses(monkeypatch, scale):
    torch.manual_seed(0)
    monkeypatch.setattr("generators.trainer.face_loss", lambda *given: scale * face_loss(*given))
    settings = TrainConfig(width=1 / 64, batch=3, iterations=4, lr=LR, channels_last=False)
    trainer = Trainer(Job("iae", ("id0", "id1"), settings, 0), torch.device("cpu"))
    twin = build("iae", 1 / 64)
    weights = [value.detach().numpy().astype(np.float64) for value in trainer.model.parameters()]
    start = [value.copy() for value in weights]
    first = [np.zeros_like(value) for value in weights]
    second = [np.zeros_like(value) for value in weights]
    for step in range(1, 5):
        with torch.no_grad():
            for parameter, value in zip(twin.parameters(), weights):
                parameter.copy_(torch.from_numpy(value))
        batch = batch_of(step, 3)
        gradient, losses = gradients(twin, batch)
        rate = LR * np.sqrt(1 - BETA2**step) / (1 - BETA1**step)
        for place, g in enumerate(gradient):
            g = scale * g
            first[place] = BETA1 * first[place] + (1 - BETA1) * g
            second[place] = BETA2 * second[place] + (1 - BETA2) * g * g
            weights[place] = weights[place] - rate * first[place] / (np.sqrt(second[place]) + EPSILON)
        trainer.train_step(batch)
        np.testing.assert_allclose(trainer.losses[step - 1], np.array(losses) * scale, rtol=1e-4)
    found = [value.detach().numpy().astype(np.float64) for value in trainer.model.parameters()]
    moved = np.concatenate([(value - before).ravel() for value, before in zip(weights, start)]) / LR
    apart = np.concatenate([(value - other).ravel() for value, other in zip(found, weights)]) / LR
    print(f"steps of {np.abs(moved).mean():.2f} of the rate, apart by {np.abs(apart).mean():.1e} of it")
    assert np.abs(moved).mean() > 0.05
    assert np.percentile(np.abs(apart), 99) < 1e-3  # a gradient near 0 may have either sign


def test_the_eyes_and_the_mouth_weigh_as_the_settings_say():
    settings = TrainConfig(width=1 / 64, batch=2, iterations=1, eye_weight=7, mouth_weight=0.5)
    trainer = Trainer(Job("iae", ("id0", "id1"), settings, 0), torch.device("cpu"))
    batch = batch_of(1, 2)
    with torch.no_grad():
        pictures = torch.cat(trainer.model(batch.inputs[:2], batch.inputs[2:]))
    expected = face_loss(pictures, batch.targets, batch.masks, (1.0, 7.0, 0.5)).view(2, 2).mean(1)
    trainer.train_step(batch)
    torch.testing.assert_close(trainer.losses[0], expected)
