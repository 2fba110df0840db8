"""One prediction a video, the averaged logits of its fixed clips; and trained models read from their files."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from attribution import models
from attribution.clips import Clips, normalise
from attribution.models.blocks import fused
from attribution.results import OpenSet
from attribution.settings import AttributionConfig
from dfdm.base.compute import autocast
from dfdm.base.errors import DfdmError
from dfdm.base.files import reading
from dfdm.base.records import checked
from dfdm.base.tensorfile import content_hash


@dataclass(frozen=True)
class Trained:
    """A trained model with its classes, settings and everything else its file says of it (`about`)."""

    model: nn.Module
    classes: list[str]
    settings: AttributionConfig
    about: dict[str, object]


def over_clips(
    network: Callable[[Tensor], Tensor], clips: Clips, device: torch.device
) -> tuple[np.ndarray, np.ndarray]:
    """What a network gives for all fixed clips in order, float64 `[n, C]`, and the index of each one's video, `[n]`."""
    values: list[np.ndarray] = []
    videos: list[np.ndarray] = []
    for frames, _, index in clips.batches(clips.fixed()):
        given = network(normalise(frames, device, clips.settings.channels_last))  # [B, C]
        values.append(given.double().cpu().numpy())
        videos.append(index.numpy())
    if not values:
        raise DfdmError("there is no video to classify; every one has fewer face frames than attribution.clip")
    return np.concatenate(values), np.concatenate(videos)


def mean_by_video(values: np.ndarray, videos: np.ndarray) -> np.ndarray:
    """The mean over the clips of every video: values `[n, C]`, video indices `[n]` -> `[videos, C]`."""
    counts = np.bincount(videos)
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, videos, values)
    return sums / counts[:, None]


@torch.no_grad()
def clip_logits(model: nn.Module, clips: Clips, device: torch.device) -> tuple[np.ndarray, np.ndarray]:
    """Logits float64 `[n, classes]` of all fixed clips in order, and the index of each one's video, `[n]`.

    Computed in evaluation by a fused copy (attribution.models.blocks.fused): equal to `model` within 1e-4 of the
    logits' size, and faster. `model` stays as it is.
    """
    quick = fused(model)
    with autocast(device, clips.settings.amp):
        return over_clips(quick, clips, device)


@torch.no_grad()
def logits_of(network: nn.Module, clips: np.ndarray, settings: AttributionConfig, device: torch.device) -> np.ndarray:
    """Logits float64 `[n, classes]` of clips uint8 RGB `[n, T, size, size, 3]` by a fused copy in evaluation."""
    found = []
    with autocast(device, settings.amp):
        for part in torch.from_numpy(clips).split(settings.batch):
            found.append(network(normalise(part, device, settings.channels_last)).double().cpu().numpy())
    return np.concatenate(found)


def video_logits(model: nn.Module, clips: Clips, device: torch.device) -> np.ndarray:
    """Mean logits over every video's fixed clips: float64 `[videos, classes]`."""
    return mean_by_video(*clip_logits(model, clips, device))


def load(path: Path, device: torch.device) -> Trained:
    """Read `model.safetensors` as `attribution.fitting` wrote it, ready to classify; DfdmError for any other file."""
    with reading(path, "not a classifier of this pipeline", "train the classifier"):
        with safe_open(path, framework="np") as file:
            about = json.loads(file.metadata()["dfdm"])
        written, tensors = about.pop("sha256"), load_file(path)
        if written != content_hash({name: value.numpy() for name, value in tensors.items()}, about):
            raise ValueError("its content is not what was written")
        settings, classes = AttributionConfig.model_validate(about["settings"]), list(about["classes"])
        if not classes or not all(isinstance(name, str) for name in classes) or len(set(classes)) < len(classes):
            raise ValueError(f"its classes are {classes}")
        if about.get("open_set") is not None:
            OpenSet.model_validate(about["open_set"])
        model = models.build(settings.model, len(classes), settings.depth, settings.clip, None, settings.options)
        model.load_state_dict(tensors)
    checked(path)
    return Trained(models.place(model, device, settings.channels_last).eval(), classes, settings, about)
