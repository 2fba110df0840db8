"""What a network computes with: the device, seeds and threads, mixed precision."""

import random
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dfdm.base.errors import DfdmError


def resolve_device(name: str) -> torch.device:
    """Turn `auto`, `cpu` or `cuda` into a device; `cuda` on a machine without one is an error."""
    if name == "cuda" and not torch.cuda.is_available():
        raise DfdmError("device is 'cuda', but torch sees no CUDA device here; use device: auto or cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def set_deterministic(seed: int, threads: int) -> None:
    """Seed every generator, fix the thread count (it changes bytes on CPU), ask for repeatable kernels."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 (for libraries that use the global one; ours never do)
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def amp_dtype(device: torch.device) -> torch.dtype | None:
    """The half precision this device computes with natively, None where there is none.

    bfloat16 on a CUDA device or CPU that has it (1.7 times as fast on a CPU with AVX-512 BF16), else float16 on
    CUDA and nothing on a CPU, which would emulate it slowly.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    flags = Path("/proc/cpuinfo")
    native = flags.is_file() and {"avx512_bf16", "amx_bf16"} & set(flags.read_text().split())
    return torch.bfloat16 if native else None


def autocast(device: torch.device, amp: bool) -> AbstractContextManager[Any]:
    """Mixed precision when `amp` is asked for and the device can; else float32."""
    dtype = amp_dtype(device) if amp else None
    return torch.autocast(device.type, dtype=dtype) if dtype else nullcontext()


def grad_scaler(device: torch.device, amp: bool) -> torch.amp.GradScaler:
    """The loss scaler that float16 needs; it does nothing otherwise."""
    return torch.amp.GradScaler(device.type, enabled=amp and amp_dtype(device) == torch.float16)
