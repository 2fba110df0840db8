"""Training states on disk: written atomically, checked byte by byte, held by one process at a time."""

import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import torch
from filelock import lock_descriptor

from dfdm.base.errors import DfdmError, reason
from dfdm.base.files import atomic, writing


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
        raise DfdmError(f"training state {path} is damaged or no training state ({reason(error)})") from None
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

    _lock: IO[bytes]

    def __init__(self, folder: str | Path, key: str, keep: int = 2) -> None:
        self.folder, self.key, self.keep = Path(folder), key, keep

    def __enter__(self) -> "StateFolder":
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = open(self.folder / "lock", "wb")
        try:
            free = lock_descriptor(self._lock.fileno(), blocking=False)  # the system frees it when the process dies
        except OSError:
            free = True  # a file system without locks
        if not free:
            self._lock.close()
            raise DfdmError(f"another process is training in {self.folder}; wait for it or stop it")
        for leftover in self.folder.glob(".*.tmp*"):  # of a process killed while it wrote
            leftover.unlink(missing_ok=True)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
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
        """Write the state that a training continues from after a failure, then remove the newer ones."""
        path = self.save(step, state)
        for newer in self.paths():
            if newer.name > path.name:
                newer.unlink(missing_ok=True)

    def finish(self, keep: bool) -> None:
        """The training's result is written: leave the newest state, or none."""
        for path in self.paths()[: -1 if keep else None]:
            path.unlink(missing_ok=True)

    def latest(self, regular: bool = False) -> dict[str, Any] | None:
        """The newest state (`regular`: without those of a stop) with its `step`, or None where there is none yet.

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
            return f"move it away to continue from {path.name}, which is intact"
        return "move it away to start from the beginning, there is no intact state before it"
