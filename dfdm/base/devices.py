"""Which GPU a job computes on: one that no other job of this machine has, chosen before torch is imported.

A job holds a lock file (flock) a device until its process ends, however it ends. What an engine or a user has given to
the job by CUDA_VISIBLE_DEVICES is respected: a job chooses among those devices only, and inside a Slurm job, where
Slurm has divided the devices already, it takes the first of them without a lock.
"""

import os
import stat
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

VISIBLE = "CUDA_VISIBLE_DEVICES"
LOCKS = "DFDM_DEVICE_LOCKS"  # another folder for the locks; every job of a machine must use the same
_held: list[IO[bytes]] = []  # open for as long as the process lives


def installed() -> list[str]:
    """The GPUs of this machine by their UUIDs, in the order of nvidia-smi; without an NVIDIA driver an empty list.

    UUIDs, since CUDA numbers devices by speed and nvidia-smi by slot.
    """
    if not Path("/proc/driver/nvidia").is_dir():
        return []
    command = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    try:
        printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):  # a container may not have the program
        folders = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
        fields = [line.partition(":") for path in folders for line in path.read_text().splitlines()]
        return [value.strip() for name, _, value in fields if name.strip() == "GPU UUID"]
    return [line.strip() for line in printed.splitlines() if line.strip()]


def usable() -> list[str]:
    """The GPUs this process may use, as CUDA_VISIBLE_DEVICES names them; all of the machine's where it is not set.

    As CUDA reads it, the list ends at the first entry that is not a device (-1, or a number that the machine does not
    have).
    """
    there = installed()
    given = os.environ.get(VISIBLE)
    if given is None or not there:
        return there
    found = []
    for name in (part.strip() for part in given.split(",")):
        known = (name.isdigit() and int(name) < len(there)) or name.startswith(("GPU-", "MIG-"))
        if not known:
            break
        found.append(name)
    return found


def take(device: str) -> str | None:
    """Choose a free one of the usable GPUs, hold it until the process ends, and let CUDA see no other.

    `device` is the config's: with `cpu`, or where no GPU is usable, nothing is done and None is returned. Waits, with
    a line on stderr, while other jobs hold every one. To be called before torch is imported; a second call changes
    nothing. The one chosen is returned.
    """
    if device == "cpu":
        return None
    if _held:
        return os.environ[VISIBLE]
    names = usable()
    if not names:
        return None
    chosen = names[0] if os.environ.get("SLURM_JOB_ID") and VISIBLE in os.environ else _lock_one(names)
    os.environ[VISIBLE] = chosen
    return chosen


def _lock_one(names: Sequence[str]) -> str:
    from filelock import lock_descriptor  # here, since it is half of what the command line imports at its start

    there = installed()
    folder = Path(os.environ.get(LOCKS) or "/tmp/dfdm-devices")  # one for all users, so not TMPDIR
    told = False
    while True:
        for name in names:
            uuid = there[int(name)] if name.isdigit() else name
            file = _open(folder, uuid)
            if lock_descriptor(file.fileno(), blocking=False):
                _held.append(file)
                return name
            file.close()
        if not told:
            print(f"waiting for a GPU: other jobs hold all {len(names)} of them", file=sys.stderr, flush=True)
            told = True
        time.sleep(0.5)


def _open(folder: Path, name: str) -> IO[bytes]:
    """A lock file that every user of the machine can lock.

    Opened here and for reading, since in a folder for all Linux lets nobody create-or-open another user's file, and
    filelock's FileLock refuses to lock one.
    """
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(stat.S_ISVTX | 0o777)
    path = folder / f"{name}.lock"
    if not path.exists():
        path.touch()
    return open(path, "rb")
