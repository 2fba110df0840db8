"""What is known of the machine that a job runs on."""

import ctypes
import platform
from pathlib import Path


def cpu_model() -> str:
    """The CPU's name, as the kernel tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def keep_freed_memory() -> None:
    """Have the C library keep freed memory for the next request of this process, where it is glibc.

    By default each large tensor is mapped anew and its pages are cleared by the kernel one by one: 4 instead of
    30 GB/s, a tenth or more of a training step. What the process holds at its peak stays the same.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    trim_threshold, mmap_max = -1, -4  # malloc.h
    library = ctypes.CDLL(None)
    library.mallopt(mmap_max, 0)
    library.mallopt(trim_threshold, -1)
