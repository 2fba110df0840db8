"""Clocks: medians of several runs, and contenders in turn, so that a slow moment of the machine hits them alike."""

import resource
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path


def seconds(run: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def in_turn(
    runs: Mapping[str, Callable[[], object]], budget: float, least: int = 1, most: int = 9
) -> dict[str, list[float]]:
    """Seconds of each contender, called in turn, as many rounds as fit into `budget` seconds, at least `least`."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    start = time.perf_counter()
    for done in range(most):
        passed = time.perf_counter() - start
        if done >= least and passed * (done + 1) / done > budget:
            break
        for name, run in runs.items():
            found[name].append(seconds(run))
    return found


def ratio(upper: list[float], lower: list[float]) -> float:
    """The median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(upper, lower))


class Others:
    """`with Others() as others:` then `others.share`: the CPUs that other processes kept busy meanwhile, on Linux."""

    def __enter__(self) -> "Others":
        self._before, self._own, self._start = _busy(), cpu_seconds(), time.perf_counter()
        self.share = 0.0
        return self

    def __exit__(self, *_: object) -> None:
        own = cpu_seconds() - self._own
        self.share = max(0.0, _busy() - self._before - own) / (time.perf_counter() - self._start)


def _busy() -> float:
    stat = Path("/proc/stat")
    if not stat.is_file():
        return 0.0
    user, nice, system, _, _, irq, softirq, steal, *_ = map(int, stat.read_text().split("\n")[0].split()[1:])
    return (user + nice + system + irq + softirq + steal) / 100


def cpu_seconds() -> float:
    """CPU time of this process and of those it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
