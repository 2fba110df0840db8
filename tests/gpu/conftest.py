"""The checks of the device: one by one, on what DFDM_CHECK_DEVICE names, with generated faces and frames.

They need torch, torchvision, numpy, OpenCV, safetensors and pytest, and what benchmarks/gpu.py carries beside them.
"""

import os
from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch

os.environ["NUMBA_DISABLE_JIT"] = "1"  # compiling takes half a minute, two faces no time
DEVICE = torch.device(os.environ.get("DFDM_CHECK_DEVICE", "cpu"))
FULL = DEVICE.type == "cuda"  # the sizes of a real training; elsewhere small ones


@pytest.fixture
def device(record_property: Callable[[str, object], None]) -> torch.device:
    """The device under test; what ran on it is in the report, so that a check that ran elsewhere is not counted."""
    before = torch.cuda.memory_stats(DEVICE)["allocation.all.allocated"] if FULL else 0
    yield DEVICE
    if FULL:
        torch.cuda.synchronize()
        record_property("allocations", torch.cuda.memory_stats(DEVICE)["allocation.all.allocated"] - before)
    record_property("device", DEVICE.type)


@pytest.fixture(autouse=True)
def exact() -> None:
    """Float32 as it is, so that two devices can be compared."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(0)


def faces(count: int, size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Smooth pictures with an oval, and masks of it: uint8 [count, size, size, 3] each."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (count, 8, 8, 3), np.uint8)
    pictures = np.stack([cv2.resize(one, (size, size), interpolation=cv2.INTER_CUBIC) for one in coarse])
    masks = np.zeros_like(pictures)
    for mask in masks:
        cv2.ellipse(mask, (size // 2, size // 2), (size // 3, size // 2 - 2), 0, 0, 360, (255, 255, 255), -1)
    return pictures, masks
