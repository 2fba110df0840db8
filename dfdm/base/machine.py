"""What is known of the machine that a job runs on."""

import ctypes
import os
import platform
from pathlib import Path


def available_memory() -> int | None:
    """Bytes that a process may still take: of the machine, or of its control group where that has less.

    None where the kernel does not say.
    """
    found = []
    try:
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        found.append(int(lines["MemAvailable"].split()[0]) * 1024)
    except (OSError, KeyError):
        pass
    groups = [(_number(limit), _number(used)) for limit, used in _GROUP_FILES]
    found += [limit - used for limit, used in groups if limit is not None and used is not None]
    return max(min(found), 0) if found else None


_GROUPS = Path("/sys/fs/cgroup")
_GROUP_FILES = [
    (_GROUPS / "memory.max", _GROUPS / "memory.current"),
    (_GROUPS / "memory/memory.limit_in_bytes", _GROUPS / "memory/memory.usage_in_bytes"),
]


def cpu_model() -> str:
    """The CPU's name, as the kernel gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def keep_freed_memory() -> None:
    """Have the C library keep freed memory for the next request of this process, where it is glibc.

    By default each large tensor is mapped again and its pages are cleared by the kernel one by one: 4 instead of
    30 GB/s, a tenth or more of a training step. What the process holds at its peak stays the same.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    trim_threshold, mmap_max = -1, -4  # malloc.h
    library = ctypes.CDLL(None)
    library.mallopt(mmap_max, 0)
    library.mallopt(trim_threshold, -1)


def memory_mb() -> int:
    """The memory that jobs on this machine may use together, in MB: what there is, or the control group's limit."""
    limits = [number for limit, _ in _GROUP_FILES if (number := _number(limit)) is not None]
    return min(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *limits) // 1_000_000


def _number(path: Path) -> int | None:
    """A number of a control group; None where there is no such version of groups, or no limit ("max")."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
