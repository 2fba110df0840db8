"""What every training needs: device, seeds, resumable state, a clean stop; for generators and attribution."""

import fcntl
import math
import pickle
import random
import signal
import struct
import sys
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Any

import numpy as np
import torch
from torch import nn

from dfdm.base.errors import DfdmError
from dfdm.base.files import atomic, writing
from dfdm.base.progress import Progress, progress

__all__ = ["DivergedError", "Interrupt", "Progress", "StateFolder", "progress"]
ROLLBACKS = 5  # times that a training may go on at half the rate: 1/32 of it in the end


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


class DivergedError(DfdmError):
    """A training whose loss or weights went astray; `fact` says where and how, without advice."""

    def __init__(self, fact: str, advice: str) -> None:
        super().__init__(f"{fact}, training stopped and the last good state was kept; try {advice}")
        self.fact = fact


def check_finite(values: Iterable[float], where: str) -> None:
    """Stop a training whose loss is no number any more; `where` names training and step."""
    if not all(math.isfinite(value) for value in values):
        raise DivergedError(f"{where}: the loss or a weight is no longer a number", "a lower lr, or amp: false")


def check_weights(model: nn.Module, where: str) -> None:
    """Stop where the last update, which no loss has seen yet, left a weight that is no number."""
    norms = torch.stack(torch._foreach_norm([weight.detach() for weight in model.parameters()]))
    check_finite([float(norms.sum())], where)


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a state (nested tensors, numbers and strings) atomically; equal states give equal bytes."""
    with atomic(path) as temporary, open(temporary, "wb") as file:
        torch.save(state, file)  # a file object: given a path, torch.save writes its stem into the archive


_DAMAGE = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, pickle.UnpicklingError, RuntimeError, EOFError,
    ValueError, LookupError, TypeError, AttributeError, OverflowError,
)  # fmt: skip


def load_state(path: Path) -> dict[str, Any]:
    """Read a state into main memory; a damaged one (every byte is checked) or a foreign file is a DfdmError."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch.load itself does not compare checksums
        if damaged:
            raise zipfile.BadZipFile(f"{damaged} has another checksum")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise DfdmError(f"training state {path} does not exist") from None
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise DfdmError(f"training state {path} is damaged or no training state ({reason})") from None
    if not isinstance(state, dict) or not {"step", "key"} <= state.keys():
        raise DfdmError(f"training state {path} is damaged or no training state (it has no step and key)")
    return state


class StateFolder:
    """The resumable states of one training: `state_<step>.pt`, the last `keep` of them.

    Used as a context manager, it is held by one process at a time. A state saved between two regular ones, because
    the training was asked to stop, is `state_<step>_stopped.pt`; it goes with the next one, so that the regular ones
    are the same whether the training was stopped or not.
    `key` is the hash of everything that changes the training's bytes: a state with another key is refused.
    """

    def __init__(self, folder: str | Path, key: str, keep: int = 2) -> None:
        self.folder, self.key, self.keep = Path(folder), key, keep
        self._lock: IO[bytes] | None = None

    def __enter__(self) -> "StateFolder":
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = open(self.folder / "lock", "wb")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system lets go of it when the process dies
        except BlockingIOError:
            self._lock.close()
            raise DfdmError(f"another process is training in {self.folder}; wait for it or stop it") from None
        except OSError:
            pass  # a file system without locks
        for leftover in self.folder.glob(".*.tmp*"):  # of a process killed while it wrote
            leftover.unlink(missing_ok=True)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._lock is not None:
            self._lock.close()

    def paths(self, regular: bool = False) -> list[Path]:
        """The states, oldest first; `regular`: without those of a stop."""
        found = sorted(self.folder.glob("state_*.pt"))
        return [path for path in found if not (regular and path.stem.endswith("_stopped"))]

    def save(self, step: int, state: dict[str, Any], regular: bool = True) -> Path:
        """Write the state after `step` steps; older stopped ones go, and all but the last `keep` regular ones."""
        path = self.folder / f"state_{step:09d}{'' if regular else '_stopped'}.pt"
        save_state(path, {**state, "step": step, "key": self.key})
        newest = self.paths(regular=True)[-self.keep :]
        for old in self.paths():
            if old not in newest and old != path:
                old.unlink(missing_ok=True)
        return path

    def roll_back(self, step: int, state: dict[str, Any]) -> None:
        """Write the state that a training goes on from after a failure, then remove the newer ones."""
        path = self.save(step, state)
        for newer in self.paths():
            if newer.name > path.name:
                newer.unlink(missing_ok=True)

    def finish(self, keep: bool) -> None:
        """The training's result is written: leave the newest state, or none."""
        for path in self.paths()[: -1 if keep else None]:
            path.unlink(missing_ok=True)

    def latest(self, regular: bool = False) -> dict[str, Any] | None:
        """The newest state (`regular`: but those of a stop) with its `step`, or None where there is none yet.

        A damaged one or another training's is a DfdmError that says what moving it away leads to; no file is changed.
        """
        paths = self.paths(regular)
        if not paths:
            return None
        try:
            return self._own(paths[-1])
        except DfdmError as error:
            raise DfdmError(f"{error}; nothing was changed: {self._way_on(paths[:-1])}") from None

    def _own(self, path: Path) -> dict[str, Any]:
        state = load_state(path)
        if state["key"] != self.key:
            raise DfdmError(f"training state {path} belongs to another training (other settings or faces)")
        return state

    def _way_on(self, older: list[Path]) -> str:
        for path in reversed(older):
            try:
                self._own(path)
            except DfdmError:
                continue
            return f"move it away to go on from {path.name}, which is whole"
        return "move it away to begin anew, there is no whole state before it"


def go_back(
    folder: StateFolder,
    fresh: Callable[[], dict[str, Any]],
    rollbacks: list[int],
    fault: DivergedError,
    on_nan: str,
    rate: float,
) -> dict[str, Any]:
    """The state that a training which went astray goes on from: the last good one, else the beginning (`fresh`).

    `rollbacks`, the steps it went back to before, has the new one added in it; each halves the rate from there on.
    Raises DfdmError where `on_nan` is stop, or after the last of the rollbacks; `rate` is the one that failed.
    """
    if on_nan == "stop":
        raise DfdmError(f"{fault}, or on_nan: rollback") from fault
    if len(rollbacks) == ROLLBACKS:
        raise DfdmError(
            f"{fault.fact}, after {ROLLBACKS} rollbacks at a rate of {rate:.3g}; the last good state was kept: look "
            f"at what lies in {folder.folder}, try amp: false or other scenes, and move the states away to begin anew"
        ) from fault
    state = folder.latest(regular=True) or fresh()
    return {**state, "rollbacks": [*rollbacks, state.get("step", 0)]}


class Interrupt:
    """SIGTERM and Ctrl-C ask a loop to save and stop.

    `with Interrupt() as interrupt`, then look at `interrupt.signal` (0: go on).
    A second Ctrl-C stops at once. Outside the main thread nothing is caught.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._catch)
        return self

    def _catch(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def exit_if_set(self, where: str) -> None:
        """Leave with the caught signal's exit status (143 or 130), so a workflow sees unfinished work."""
        if self.signal:
            name = signal.Signals(self.signal).name
            print(f"{where}: stopped by {name}, state saved; run again to go on", file=sys.stderr, flush=True)
            raise SystemExit(128 + self.signal)
