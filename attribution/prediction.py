"""What is said of one video: verdict, figures and warnings, as text and as JSON (docs/attribution.md, Predict)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from attribution.openset import FEW, energy
from dfdm.base.names import REAL
from dfdm.base.text import percent

NONE = "none_of_these"
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
    def open_set(self) -> dict[str, Any] | None:
        """Threshold and how it was found (attribution.openset.describe); None in files without it."""
        return self.about.get("open_set")


@dataclass(frozen=True)
class Seen:
    """What a video shows: frames, those with the face, with several faces, pieces of the track, crop side (px)."""

    frames: int
    face_frames: int
    several: int
    pieces: int
    side: int


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
        """Energy of the mean logits; higher is stranger."""
        return float(energy(self.logits))

    @property
    def threshold(self) -> float | None:
        """The energy above which the verdict is none of these; None where the classifier's file has none."""
        return self.source.open_set["threshold"] if self.source.open_set else None

    @property
    def verdict(self) -> str:
        """A class, or NONE."""
        stranger = self.threshold is not None and self.energy > self.threshold
        return NONE if stranger else self.classes[self.best]

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        share = percent(self.probabilities[self.best], 1)
        likest = "an unswapped video" if self.classes[self.best] == REAL else self.classes[self.best]
        if self.verdict == NONE:
            return f"none of these: too little evidence for any known class (most likely: {likest}, {share} among them)"
        if self.verdict == REAL:
            return f"an unswapped video, not made by one of these models (probability {share})"
        return f"made by {likest} (probability {share})"

    @property
    def warnings(self) -> list[str]:
        """Why the prediction may be worth less than it looks, a sentence each."""
        seen, found = self.seen, []
        if seen.face_frames < self.clip * self.wanted:
            found.append(
                f"short: {seen.face_frames} frames with a face are fewer than {self.wanted} clips of {self.clip}; "
                f"the {self.clips} clips overlap or are fewer"
            )
        if seen.face_frames < LOW_SHARE * seen.frames:
            found.append(f"only {percent(seen.face_frames / seen.frames)} of the frames show a face")
        if seen.several:
            found.append(f"several people in {seen.several} frames; only the one followed from the start is judged")
        if seen.pieces > 1:
            found.append(f"the face is lost or cut {seen.pieces - 1} times; a clip may hold two shots, or two people")
        if self.resize and seen.side < self.resize / 2:
            found.append(f"small face: its crop of {seen.side} px is enlarged to {self.resize} px")
        if self.source.about.get("learned") is False:
            found.append("the classifier did not learn its own training videos; its predictions are chance")
        if self.source.open_set is None:
            found.append("the classifier's file has no threshold for 'none of these', so it never gives this answer")
        elif self.source.open_set["videos"] < FEW:
            found.append(
                f"the threshold for 'none of these' rests on {self.source.open_set['videos']} validation videos only"
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
        known, trained = "", f", trained on crf {source.crf}" if source.crf else ""
        if source.open_set:
            side, accepted = "above" if self.verdict == NONE else "not above", percent(source.open_set["accepted"])
            known = f", {side} the threshold {self.threshold:.2f} ({accepted} of validation videos are not)"
        lines += [
            f"  energy {self.energy:.2f}{known}",
            f"  face in {seen.face_frames} of {seen.frames} frames; mean of {self.clips} clips of {self.clip} frames",
            f"  classifier {source.run}{trained}",
        ]
        return "\n".join([*lines, *(f"  warning: {warning}" for warning in self.warnings)])

    def plain(self) -> dict[str, Any]:
        """The prediction for machines: docs/attribution.md, Predict."""
        own = ("video", "sha256", "clips", "classes", "verdict", "energy", "threshold", "warnings")
        by_class = dict(zip(self.classes, map(float, self.probabilities)))
        seen = self.seen
        return {
            **{key: getattr(self, key) for key in own},
            **{"frames": seen.frames, "face_frames": seen.face_frames, "several_faces": seen.several},
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
        "failures": [{"video": str(path), "error": sentence} for path, sentence in failures.items()],
    }
