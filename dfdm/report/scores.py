"""The score files of classifiers, read for the page: figures with their intervals, and what they were trained on."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from dfdm.base.errors import DfdmError
from dfdm.base.files import read_json
from dfdm.base.names import REAL
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout
from dfdm.catalogue.schedule import main_runs


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval and how the interval was made; the ends are nan where it cannot be made."""

    value: float
    low: float
    high: float
    method: str

    @property
    def bounded(self) -> bool:
        """Whether it has an interval."""
        return not math.isnan(self.low)

    def holds(self, value: float) -> bool:
        """Whether a value lies in the interval."""
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Named:
    """A figure of the page: its key in the file, its name, whether it is a share, and its meaning in words."""

    key: str
    name: str
    share: bool
    meaning: str


NAMED = (
    Named("accuracy", "accuracy", True, "share of the test videos whose generator was named"),
    Named("balanced_accuracy", "balanced accuracy", True, "mean of the recalls: every generator counts alike"),
    Named("macro_f1", "macro F1", False, "mean over the generators of precision and recall together; 1 is perfect"),
    Named("auc", "AUC", False, "how well each generator's probability ranks its videos above others'; 0.5 is chance"),
    Named("ece", "calibration error", False, "the stated probability against the share that is right; 0 is best"),
)  # fmt: skip


@dataclass(frozen=True)
class Bin:
    """The test videos whose highest probability lies in [low, high]: how many, its mean, the share that is right."""

    low: float
    high: float
    videos: int
    confidence: float | None  # None: no video
    accuracy: float | None


@dataclass(frozen=True)
class Training:
    """How a classifier was trained; `epoch` is the one that validation chose, `accuracy` the last epoch's clips'."""

    videos: int
    validation_videos: int
    epoch: int
    epochs: int
    rate: float
    accuracy: float
    learned: bool


@dataclass(frozen=True)
class Score:
    """One training on the test videos of one quality; `confusion` is [true class][predicted class]."""

    classifier: str
    split: str
    crf: int
    classes: list[str]
    videos: int
    clusters: int
    chance: float
    figures: Mapping[str, Estimate | None]
    recall: list[Estimate | None]  # by class; None: no test video of it
    auc: list[Estimate | None]
    confusion: list[list[int]]
    reliability: list[Bin]
    training: Training
    left_out: list[str]  # `part: name (frames)`, videos with fewer faces than a clip has frames
    autoencoder_saw: float | None  # share of the test videos' frames that the autoencoders were trained on
    log: pd.DataFrame | None

    @property
    def accuracy(self) -> Estimate:
        """The figure that every file has."""
        found = self.figures["accuracy"]
        assert found is not None  # read_score saw to it
        return found


@contextmanager
def reading(path: Path, stage: str) -> Iterator[None]:
    """Turn what a file lacks, or holds in a wrong form, into one sentence that names it and the stage to run again."""
    try:
        yield
    except KeyError as error:
        raise DfdmError(f"{path} lacks {error}; delete it and run the {stage} stage again") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise DfdmError(f"{path} is damaged ({error}); delete it and run the {stage} stage again") from None


def estimate(values: Mapping[str, Any] | None) -> Estimate | None:
    """A figure of a score file; None where it could not be made (a class without a video, say)."""
    if values is None or values["value"] is None:
        return None
    low, high = (math.nan if values[end] is None else float(values[end]) for end in ("low", "high"))
    return Estimate(float(values["value"]), low, high, str(values["method"]))


def certain(values: Mapping[str, Any]) -> Estimate:
    """A figure that must be there."""
    found = estimate(values)
    if found is None or not found.bounded:
        raise ValueError("a figure or an end of its interval is null")
    return found


def read_scores(cfg: Config, results: Path, missing: list[str]) -> list[Score]:
    """The score of every quality's own classifier; those that are not there are added to `missing`.

    Raises DfdmError for a file that lacks a figure.
    """
    layout, scores = Layout(str(results)), []
    for run in main_runs(cfg):
        path = Path(layout.scores(str(run), run.crf))
        if path.exists():
            scores.append(read_score(path, Path(layout.run(str(run), "log.csv"))))
        else:
            missing.append(f"scores of {run.classifier} at crf {run.crf} (stage attribution)")
    return scores


def read_score(path: Path, log: Path) -> Score:
    """One score file, and the log of its training where there is one."""
    values = read_json(path)
    with reading(path, "attribution"):
        run, training, classes = values["run"], values["training"], values["classes"]
        certain(values["figures"]["accuracy"])
        return Score(
            classifier=run["classifier"],
            split=run["split"],
            crf=int(values["crf"]),
            classes=classes,
            videos=values["videos"],
            clusters=int(values["clusters"]),
            chance=values["chance"],
            figures={named.key: estimate(values["figures"][named.key]) for named in NAMED},
            recall=[estimate(values["recall"][name]) for name in classes],
            auc=[estimate(values["auc"][name]) for name in classes],
            confusion=values["confusion"],
            reliability=[
                Bin(part["low"], part["high"], part["videos"], part["confidence"], part["accuracy"])
                for part in values["reliability"]
            ],
            training=Training(
                videos=training["videos"]["train"],
                validation_videos=training["videos"]["validation"],
                epoch=training["epoch"],
                epochs=training["epochs"],
                rate=training["lr"],
                accuracy=training["training_accuracy"],
                learned=training["learned"],
            ),
            left_out=[
                f"{part}: {name} ({frames} frames)"
                for part, names in values["left_out"].items()
                for name, frames in names.items()
            ],
            autoencoder_saw=values["autoencoder_saw"],
            log=pd.read_csv(log) if log.exists() else None,
        )


def chance(cfg: Config, classifier: str) -> float:
    """The accuracy of guessing among a classifier's classes."""
    return 1 / len([*cfg.classes, *([REAL] if cfg.classifier(classifier).real else [])])
