"""Memory of a training: measured on the CPU in a process of its own, computed for a GPU."""

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import torch

from benchmarks.steps import full_size, our_steps
from dfdm.base.machine import keep_freed_memory
from dfdm.catalogue.config import Config
from generators.losses import face_loss
from generators.models import build
from generators.models.blocks import Autoencoder, Conv
from generators.settings import TrainConfig


def memory_rows(cfg: Config, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Each model at full size: peak resident memory of two steps, and the GPU's need in float32 and under amp."""
    settings = full_size(args)
    for name in args.models:
        command = [sys.executable, "-m", "benchmarks.memory", name, settings.model_dump_json()]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        row = {"model": name, "width": settings.width, "batch": settings.batch, "cpu_peak_gb": json.loads(done.stdout)}
        for kind, amp in (("float32", False), ("amp", True)):
            row[f"gpu_{kind}_gb"] = gpu_bytes(name, settings.width, settings.batch, amp) / 1e9
        yield row


def saved_bytes(model: Autoencoder, faces: int, amp: bool) -> int:
    """Bytes that the forward pass of so many faces a side keeps for the backward pass, weights left out."""
    weights = {value.untyped_storage().data_ptr() for value in model.parameters()}
    storages: dict[int, torch.UntypedStorage] = {}

    def pack(value: torch.Tensor) -> torch.Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in weights:
            storages[storage.data_ptr()] = storage  # held, so that no address comes twice
        return value

    sizes = [(2 * faces, 3, size, size) for size in (model.input_size, model.output_size, model.output_size)]
    inputs, targets, masks = (torch.rand(size) for size in sizes)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        with torch.autocast("cpu", torch.bfloat16, enabled=amp):
            pictures = torch.cat(model(inputs[:faces], inputs[faces:]))
        loss = face_loss(pictures.float(), targets, masks).sum()
    del loss
    return sum(storage.nbytes() for storage in storages.values())


def gpu_bytes(name: str, width: float, batch: int, amp: bool) -> int:
    """Weights, gradients, two Adam moments (16 bytes a parameter), and what `batch` faces a side keep for backward.

    Measured at 1 and 2 faces a side on the CPU with the GPU's formulation, then extended: what does not grow with the
    faces (under amp the half-precision weights) counts once. A step's largest temporary and the
    library's workspace come on top.
    """
    before, Conv.FEW = Conv.FEW, 0  # no gathered rows on a GPU
    try:
        model = build(name, width).to(memory_format=torch.channels_last)
        one, two = (saved_bytes(model, faces, amp) for faces in (1, 2))
    finally:
        Conv.FEW = before
    parameters = sum(value.numel() for value in model.parameters())
    return 16 * parameters + one + (batch - 1) * (two - one)


def main(name: str, values: str) -> None:
    """Print the GB that two steps of a training take at their peak in this process."""
    keep_freed_memory()
    our_steps(name, TrainConfig.model_validate_json(values))(2)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9)


if __name__ == "__main__":
    main(*sys.argv[1:])
