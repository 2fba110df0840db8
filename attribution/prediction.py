"""What is said of one video: verdict, figures and warnings, as text and as JSON (docs/attribution.md, Predict)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from attribution.openset import FEW, NONE, energy, of_models, swap_evidence, verdict
from attribution.results import OpenSet
from attribution.run import ALL
from attribution.shipped import MODEL
from dfdm.base.errors import shown
from dfdm.base.names import REAL
from dfdm.base.text import percent

LOW_SHARE = 0.5  # of frames with a face, below which a warning says so
WIDTH = 30  # characters of a full bar


@dataclass(frozen=True)
class Source:
    """The classifier that predicts: its file, that file's hash, and what it says of its own training."""

    path: str
    sha256: str
    about: dict[str, Any]

    @property
    def run(self) -> str:
        """Which training it is: `dma_sta/scene/crf10/seed0`, or the model's name in files that do not say."""
        return str(self.about.get("run") or self.about["settings"]["model"])

    @property
    def crf(self) -> str | None:
        """The quality it was trained on (`10`, `all`); None where the file does not say."""
        return None if self.about.get("crf") is None else str(self.about["crf"])

    @property
    def shipped(self) -> bool:
        """Whether it is the package's own (attribution.shipped)."""
        return Path(self.path) == MODEL

    @property
    def name(self) -> str:
        """Which classifier it is, in words."""
        return f"{self.run}, shipped with dfdm" if self.shipped else self.run

    @property
    def trained_on(self) -> str:
        """The videos of its training in words: `crf 10`, `all qualities`; empty where the file does not say."""
        return {None: "", ALL: "all qualities"}.get(self.crf, f"crf {self.crf}")

    @property
    def open_set(self) -> OpenSet | None:
        """The bounds and how they were found (attribution.openset.describe); None in files without them."""
        found = self.about.get("open_set")
        return None if found is None else OpenSet.of(found, self.path)


@dataclass(frozen=True)
class Seen:
    """What a video shows: frames; those looked at, of them with the face and with several; pieces; crop side (px)."""

    frames: int
    looked: int
    face_frames: int
    several: int
    pieces: int
    side: int

    @property
    def told(self) -> str:
        """In how many frames the face is, and which were looked at, in words."""
        if self.looked == self.frames:
            return f"{self.face_frames} of {self.frames} frames"
        return f"{self.face_frames} of the {self.looked} frames looked at, of {self.frames}"


@dataclass(frozen=True)
class Prediction:
    """Of one video: mean logits `[classes]` over `clips` clips; of `wanted` clips, of `clip` frames each."""

    video: str
    sha256: str
    seen: Seen
    classes: list[str]
    logits: np.ndarray
    clips: int
    wanted: int
    clip: int
    resize: int | None  # the crops' side for the classifier, px; None: read at their own size
    source: Source

    @property
    def probabilities(self) -> np.ndarray:
        """Softmax of the mean logits, `[classes]`."""
        return softmax(self.logits)

    @property
    def best(self) -> int:
        """The likeliest class."""
        return int(self.logits.argmax())

    @property
    def energy(self) -> float:
        """Energy of the models' mean logits; higher is stranger."""
        return float(energy(of_models(self.logits, self.classes)))

    @property
    def swap_evidence(self) -> float | None:
        """Log-odds of a swap by any model against an unswapped video; None where `real` is no class."""
        return float(swap_evidence(self.logits, self.classes)) if REAL in self.classes else None

    @property
    def threshold(self) -> float | None:
        """The energy above which the verdict is none of these; None where the classifier's file has none."""
        return self.source.open_set.threshold if self.source.open_set else None

    @property
    def verdict(self) -> str:
        """A model, NONE, or REAL, which says "real or unknown" (attribution.openset.verdict)."""
        return verdict(self.logits, self.classes, self.source.open_set)

    @property
    def accused(self) -> bool:
        """Whether the answer says that the video is a swap."""
        return self.verdict != REAL

    @property
    def sentence(self) -> str:
        """The verdict in words; the share is that of the likeliest model among the models."""
        models = [name for name in self.classes if name != REAL]
        shares = softmax(of_models(self.logits, self.classes))
        likeliest = f"{models[int(shares.argmax())]} ({percent(shares.max(), 1)})"
        if self.verdict == REAL:
            return "real or unknown: too little sign of a swap by one of these models"
        if self.verdict == NONE:
            what = "a swap, by none of these" if REAL in self.classes else "none of these"
            return f"{what}: too little evidence for any known model (nearest: {likeliest})"
        return f"most like {likeliest}"

    @property
    def warnings(self) -> list[str]:
        """Why the prediction may be worth less than it looks, a sentence each."""
        seen, found = self.seen, []
        if seen.face_frames < self.clip * self.wanted:
            found.append(
                f"short: {seen.face_frames} frames with a face are fewer than {self.wanted} clips of {self.clip}; "
                f"the {self.clips} clips overlap or are fewer"
            )
        if seen.face_frames < LOW_SHARE * seen.looked:
            found.append(f"only {percent(seen.face_frames / seen.looked)} of the frames show a face")
        if seen.several:
            found.append(f"several people in {seen.several} frames; only the one followed is judged")
        if seen.pieces > 1:
            found.append(f"the face is lost or cut {seen.pieces - 1} times; a clip may hold two shots, or two people")
        if self.resize and seen.side < self.resize / 2:
            found.append(f"small face: its crop of {seen.side} px is enlarged to {self.resize} px")
        if self.source.about.get("learned") is False:
            found.append("the classifier did not learn its own training videos; its predictions are chance")
        if self.source.open_set is None:
            found.append("the classifier's file has no threshold for 'none of these', so it never gives this answer")
        elif self.source.open_set.videos < FEW:
            found.append(
                f"the threshold for 'none of these' rests on {self.source.open_set.videos} validation videos only"
            )
        if self.source.shipped and self.accused:
            found.append(
                "on people that it was not trained on, the shipped classifier tells swaps from real videos, but names "
                "models no better than chance (its card: attribution/shipped/README.md)"
            )
        if REAL not in self.classes:
            found.append("the classifier was not trained on real videos: it may name a model for an unswapped one too")
        return found

    def text(self) -> str:
        """The prediction for people, several lines; classes by probability."""
        seen, source, wide = self.seen, self.source, max(map(len, self.classes))
        lines = [f"{self.video}: {self.sentence}"]
        for share, name in sorted(zip(self.probabilities, self.classes), key=lambda pair: -pair[0]):
            lines.append(f"  {name:<{wide}} {percent(share, 1):>8}  {'#' * round(share * WIDTH)}".rstrip())
        known, trained = "", f", trained on {source.trained_on}" if source.trained_on else ""
        if source.open_set:
            side = "above" if self.energy > source.open_set.threshold else "not above"
            accepted = percent(source.open_set.accepted)
            known = f", {side} the threshold {self.threshold:.2f} ({accepted} of validation's swaps are not)"
        if (bounds := source.open_set) and bounds.real and self.swap_evidence is not None:
            side = "above" if self.accused else "not above"
            lines.append(
                f"  swap evidence {self.swap_evidence:.2f}, {side} the bound {bounds.real.threshold:.2f} by "
                f"{bounds.real.videos} real videos of {bounds.real.people} people, so few that a stranger's real video "
                f"may be above it with a chance of up to {percent(bounds.real.stranger, 1)}"
            )
        lines += [
            f"  energy {self.energy:.2f}{known}",
            f"  face in {seen.told}; mean of {self.clips} clips of {self.clip} frames",
            f"  classifier {source.name}{trained}",
        ]
        return "\n".join([*lines, *(f"  warning: {warning}" for warning in self.warnings)])

    def plain(self) -> dict[str, Any]:
        """The prediction for machines: docs/attribution.md, Predict."""
        own = ("video", "sha256", "clips", "classes", "verdict", "sentence", "energy", "threshold", "swap_evidence")
        by_class = dict(zip(self.classes, map(float, self.probabilities)))
        seen = self.seen
        return {
            **{key: getattr(self, key) for key in (*own, "warnings")},
            **{
                "frames": seen.frames,
                "looked_at": seen.looked,
                "face_frames": seen.face_frames,
                "several_faces": seen.several,
            },
            **{"crop_side": seen.side, "clip_frames": self.clip},
            "probabilities": by_class,
            "logits": dict(zip(self.classes, map(float, self.logits))),
            "real": by_class.get(REAL),
            "classifier": {key: getattr(self.source, key) for key in ("path", "sha256", "run", "crf")},
        }


def document(predictions: list[Prediction], failures: dict[Path, str]) -> dict[str, Any]:
    """What `--json` writes: the predictions, and the sentence of every video that has none."""
    return {
        "videos": [prediction.plain() for prediction in predictions],
        "failures": [{"video": shown(path), "error": sentence} for path, sentence in failures.items()],
    }
