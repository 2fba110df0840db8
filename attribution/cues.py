"""Cues that have nothing to do with how a face was made, a few numbers a video, and the best classifier on them.

A control (docs/attribution.md, Controls): what these alone can name, a network's score must beat to say anything.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from attribution.results import CueClassifier, CueScores
from attribution.score import score
from dfdm.base.errors import DfdmError
from dfdm.base.names import parse_name
from dfdm.dataset.crops import CropReader, spread
from dfdm.dataset.splits import Part
from dfdm.media.metrics import detail, ssim

CUES = ("bytes", "bits_per_second", "crop_side", "red", "green", "blue", "sharpness", "ssim")
FRAMES = 8  # spread over the video, for the cues that look at pictures


def picture_cues(crops: Path, original: Path) -> list[float]:
    """Crop side, mean R, G, B and sharpness of the face, and its SSIM against the original, means over FRAMES frames.

    The face is what the outline of the mask `extended` holds; `original` are the scene's crops at the same crf.
    """
    reader, before = CropReader(crops), CropReader(original)
    if not np.array_equal(reader.frame_index, before.frame_index):
        raise DfdmError(f"{crops} and {original} are not cut along the same track; run the crops stage again for both")
    rows = spread(len(reader), FRAMES)
    values = []
    for picture, old, outline in zip(reader.frames(rows), before.frames(rows), reader.polygon[rows]):
        inside = np.zeros(picture.shape[:2], np.uint8)
        cv2.fillPoly(inside, [np.rint(outline).astype(np.int32)], 1)
        face = inside.astype(bool)
        luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        values.append([*picture[face].mean(0), detail(luma, face), ssim(picture, old, inside.astype(np.float32))])
    return [float(reader.meta["size"]), *np.mean(values, 0).tolist()]


def cues_of(rows: pd.DataFrame, originals: pd.DataFrame, crops: Path) -> np.ndarray:
    """The CUES of every video of a manifest's rows, float64 [n, cues]; `originals`: the unswapped scenes' rows."""
    real = {parse_name(name).scene_key: crops / file for name, file in zip(originals["name"], originals["crops"])}
    values = []
    columns = (rows[column].tolist() for column in ("name", "bytes", "frames", "fps", "crops"))
    for name, size, frames, fps, file in zip(*columns, strict=True):
        scene = parse_name(name).scene_key
        if scene not in real:
            raise DfdmError(f"the manifest has no original of {name}; make the originals of that quality too")
        values.append([size, size * 8 * fps / frames, *picture_cues(crops / file, real[scene])])
    return np.array(values, np.float64).reshape(len(rows), len(CUES))


def logistic() -> Pipeline:
    """Logistic regression on standardised values, the cheapest classifier of the controls."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))


def trivial(
    parts: Mapping[Part, tuple[Sequence[str], np.ndarray, np.ndarray]], classes: Sequence[str], seed: int
) -> CueScores:
    """Score of the cues alone: logistic regression or gradient boosting, whichever does better on validation.

    `parts`: for train, validation and test the names, the cues [n, cues] and the class indices [n].
    """
    _, known, labels = parts["train"]
    kinds: dict[CueClassifier, BaseEstimator] = {
        "logistic regression": logistic(),
        "gradient boosting": GradientBoostingClassifier(random_state=seed),
    }
    of = parts["validation"][1:]
    validation = {kind: float(classifier.fit(known, labels).score(*of)) for kind, classifier in kinds.items()}
    chosen = max(validation, key=lambda kind: validation[kind])  # the first, which is the simpler, where both are equal
    names, cues, truth = parts["test"]
    probabilities = np.zeros((len(names), len(classes)))
    probabilities[:, kinds[chosen].classes_] = kinds[chosen].predict_proba(cues)
    found = score(names, truth, probabilities, classes, seed)
    return CueScores(**dict(found), cues=list(CUES), chosen=chosen, validation_accuracy=validation)
