"""Many videos: each one's answer or the sentence why there is none, on several processors, and the table of them."""

import csv
import io
import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from pathlib import Path
from typing import Any

from attribution.prediction import Prediction, document
from attribution.predictor import Predictor, Telling
from dfdm.base.errors import DfdmError, reason, refused, shown
from dfdm.base.files import UNREADABLE, atomic, read_json, sha256, write_json

Answer = tuple[Prediction, Telling | None] | str  # a sentence where there is no prediction
AHEAD = 4  # videos a process that are given out before the first one's answer is taken
EVERY = 2.0  # seconds between two writings of a table

_own: Predictor | None = None  # a process's


def answer(predictor: Predictor, video: Path, telling: bool) -> Answer:
    """One video's prediction, or why it has none: a video that fails in any way must not cost the others theirs."""
    try:
        return predictor.predict(video, telling)
    except DfdmError as error:
        return str(error)
    except OSError as error:
        return refused(error, video)
    except Exception as error:
        return f"{shown(video)} cannot be judged ({type(error).__name__}: {reason(error)}); convert it, or leave it out"


def side_by_side(
    load: Callable[[], Predictor], videos: Sequence[Path], telling: bool, jobs: int
) -> Iterator[tuple[Path, Answer]]:
    """Every video's answer in the order given, from `jobs` processes with a predictor each.

    `load` is given to the processes. Where one ends (a decoder that crashes), the videos that were under way are tried
    again one by one, and the one at fault has a sentence.
    """
    left, several = list(videos), jobs
    while left:
        context = multiprocessing.get_context("spawn")  # a GPU's state does not survive a fork
        with ProcessPoolExecutor(jobs, context, _begin, (load,)) as pool:
            waiting, ahead = iter(list(left)), deque[Future[Answer]]()
            try:
                while left:
                    for video in islice(waiting, AHEAD * jobs - len(ahead)):
                        ahead.append(pool.submit(_answer, video, telling))
                    found = ahead.popleft().result()
                    yield left.pop(0), found
            except BrokenProcessPool:
                if jobs == 1:
                    fault = left.pop(0)
                    yield fault, f"{shown(fault)} ends the process that reads it; convert it, or leave it out"
                jobs = 1 if jobs > 1 else several
            finally:
                pool.shutdown(cancel_futures=True)


def _begin(load: Callable[[], Predictor]) -> None:
    global _own
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to answer
    _own = load()


def _answer(video: Path, telling: bool) -> Answer:
    assert _own is not None
    return answer(_own, video, telling)


class Table:
    """A row for each video in a .csv or .json, written as it grows, which a later call goes on with.

    DfdmError where the file is none, or another classifier's.
    """

    def __init__(self, path: Path, classifier: str, classes: Sequence[str]) -> None:
        self._path, self._classifier, self._written = path, classifier, time.monotonic()
        self._csv = path.suffix.lower() == ".csv"
        if not self._csv and path.suffix.lower() != ".json":
            raise DfdmError(f"--table is {path}, and is to end in .csv or .json; correct the name")
        self._columns = [*_COLUMNS, *(f"p_{name}" for name in classes), "warnings", "classifier", "error"]
        self._failures: dict[Path, str] = {}
        try:
            self._rows = {row["video"]: row for row in self._read() if row["sha256"]} if path.exists() else {}
            others = {self._made_by(row) for row in self._rows.values()} - {classifier}
        except (*UNREADABLE, DfdmError) as error:
            said = reason(error)
            raise DfdmError(f"{path} is not a table of predictions ({said}); give --table another name") from None
        if others:
            raise DfdmError(f"{path} has the answers of another classifier; give --table another name")

    def _read(self) -> list[dict[str, Any]]:
        if not self._csv:
            return list(read_json(self._path)["videos"])
        with open(self._path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames != self._columns:
                raise ValueError(f"its columns are not {', '.join(self._columns)}")
            return list(reader)

    def _made_by(self, row: dict[str, Any]) -> str:
        return str(row["classifier"] if self._csv else row["classifier"]["sha256"])

    def has(self, video: Path) -> bool:
        """Whether a row is of this very file, by its hash."""
        row = self._rows.get(str(video))
        return row is not None and video.is_file() and row["sha256"] == sha256(video)

    def add(self, video: Path, found: Prediction | str) -> None:
        """A video's row, in place of an earlier one; the file is written where that was long ago."""
        self._rows.pop(str(video), None)
        self._failures.pop(video, None)
        if isinstance(found, str):
            self._failures[video] = found
        else:
            self._rows[str(video)] = self._row(found) if self._csv else found.plain()
        if time.monotonic() - self._written > EVERY:
            self.write()

    def _row(self, found: Prediction) -> dict[str, Any]:
        plain = found.plain()
        shares = {f"p_{name}": f"{share:.6f}" for name, share in plain["probabilities"].items()}
        more = {"warnings": "; ".join(found.warnings), "classifier": found.source.sha256, "error": ""}
        return {**{key: plain[key] for key in _COLUMNS}, **shares, **more}

    def write(self) -> None:
        """All rows, and the sentences of the videos without one, atomically."""
        self._written = time.monotonic()
        if not self._csv:
            failures = document([], self._failures)["failures"]
            write_json(self._path, {"videos": list(self._rows.values()), "failures": failures})
            return
        text = io.StringIO(newline="")
        rows = csv.DictWriter(text, self._columns, restval="")
        rows.writeheader()
        rows.writerows(self._rows.values())
        rows.writerows({"video": shown(video), "error": said} for video, said in self._failures.items())
        with atomic(self._path) as temporary:
            temporary.write_text(text.getvalue(), encoding="utf-8", newline="")


_COLUMNS = (
    *("video", "sha256", "verdict", "sentence", "swap_evidence", "energy"),
    *("frames", "looked_at", "face_frames", "several_faces", "crop_side", "clips"),
)
