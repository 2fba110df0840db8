"""Progress of long work on stderr: a bar on a terminal, a line now and then in a log."""

import sys
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TypeVar

Item = TypeVar("Item")
EVERY = 15.0  # seconds between two lines where stderr is not a terminal
FIRST = 2.0  # seconds until the first one


class Progress:
    """Counts work and shows rate and time left; a context manager.

    On a terminal this is a tqdm bar; elsewhere (a log, a workflow) it prints a line after two seconds, then
    every 15, and at the end.
    """

    def __init__(self, total: int, what: str, unit: str = "step", initial: int = 0) -> None:
        self.total, self.what, self.unit, self.done = total, what, unit, initial
        self._initial, self._start = initial, time.monotonic()
        self._shown, self._note = self._start - EVERY + FIRST, ""
        from tqdm import tqdm

        terminal = sys.stderr.isatty()
        self._bar = tqdm(total=total, desc=what, unit=unit, initial=initial, mininterval=0.5) if terminal else None

    def update(self, count: int = 1, note: str = "") -> None:
        """Count `count` more done; a `note` (losses, faces a second) replaces the one shown so far."""
        self.done += count
        self._note = note or self._note
        if self._bar is not None:
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(count)
        elif time.monotonic() - self._shown >= EVERY:
            self._line()

    def _line(self) -> None:
        from tqdm import tqdm

        self._shown = time.monotonic()
        elapsed = self._shown - self._start
        rate = (self.done - self._initial) / max(elapsed, 1e-9)
        left = tqdm.format_interval((self.total - self.done) / rate) if rate else "?"
        parts = [f"{self.what}: {self.done}/{self.total} {self.unit}", self._note, f"{left} left"]
        print(", ".join(part for part in parts if part), file=sys.stderr, flush=True)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.close()
        else:
            self._line()


def progress(items: Iterable[Item], total: int, what: str, unit: str = "step") -> Iterator[Item]:
    """Pass the items on and show how many of `total` are done."""
    with Progress(total, what, unit) as shown:
        for item in items:
            yield item
            shown.update()


def duration(seconds: float) -> str:
    """Seconds in words: `48 s`, `2 min 13 s`, `3 h 02 min`."""
    total = round(seconds)
    if total < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60:02d} s"
    return f"{total // 3600} h {total % 3600 // 60:02d} min"
