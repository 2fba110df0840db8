"""The controls of the scores, read for the page: what a score is worth nothing without."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dfdm.base.files import read_json
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout
from dfdm.catalogue.schedule import checked_runs
from dfdm.report.scores import Estimate, certain, reading

AT_CHANCE = "chance"  # what the background's score must be; else "codec coupling"


@dataclass(frozen=True)
class Controls:
    """One quality's controls of one classifier.

    `chance` is the 95 % range of a cheap head on the classifier's frozen features with permuted labels, and
    `same_head` what that head reaches with the true ones.
    """

    classifier: str
    crf: int
    accuracy: Estimate  # the score that they belong to
    permutations: int
    chance: tuple[float, float]
    same_head: float
    trivial: Estimate
    cues: list[str]
    background: Estimate | None  # None: no classifier of the background was trained
    expected: str  # of the background: "chance" or "codec coupling"
    originals: Mapping[str, int]  # by the class that an unswapped video was taken for
    none_of_these: float | None  # share of the originals told to be of no known generator
    confidence: float | None  # mean of their highest probability

    @property
    def is_defect(self) -> bool:
        """Whether the background names generators where its pixels should be the same for all."""
        return self.expected == AT_CHANCE and self.above_chance

    @property
    def above_chance(self) -> bool:
        """Whether the background names generators."""
        return self.background is not None and self.background.low > self.chance_level

    @property
    def chance_level(self) -> float:
        """The accuracy of guessing, 1 over the classes that originals could be taken for."""
        return 1 / len(self.originals)


def read_controls(cfg: Config, results: Path, missing: list[str]) -> dict[str, dict[int, Controls]]:
    """The controls by classifier and quality; those that are not there are added to `missing`.

    Raises DfdmError for a damaged file.
    """
    found: dict[str, dict[int, Controls]] = {}
    for run in checked_runs(cfg):
        path = Path(Layout(str(results)).controls(run.classifier, run.crf))
        if path.exists():
            found.setdefault(run.classifier, {})[int(run.crf)] = read_control(path)
        else:
            missing.append(f"controls of {run.classifier} at crf {run.crf} (stage controls)")
    return found


def read_control(path: Path) -> Controls:
    """One file of controls."""
    values = read_json(path)
    with reading(path, "controls"):
        permuted, trivial, background = values["permuted"], values["trivial"], values["background"]
        originals = values["originals"]
        return Controls(
            classifier=values["classifier"],
            crf=int(values["crf"]),
            accuracy=certain(values["accuracy"]),
            permutations=permuted["permutations"],
            chance=(float(permuted["low"]), float(permuted["high"])),
            same_head=float(permuted["true"]),
            trivial=certain(trivial["figures"]["accuracy"]),
            cues=list(trivial["cues"]),
            background=certain(background["figures"]["accuracy"]) if background else None,
            expected=background["expected"] if background else "",
            originals=originals["predicted"],
            none_of_these=originals["none_of_these"],
            confidence=originals["confidence"],
        )
