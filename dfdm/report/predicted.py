"""The page of one prediction: the answer in words, the frames that decided, where the classifier looked, its limits."""

import datetime
from pathlib import Path

import cv2
import numpy as np

from attribution.prediction import Prediction
from attribution.predictor import Telling
from dfdm import __version__
from dfdm.base import palette
from dfdm.base.files import atomic
from dfdm.base.names import REAL
from dfdm.base.text import listed
from dfdm.dataset.provenance import mark_or_unknown
from dfdm.report import pictures
from dfdm.report.template import template

SIDE = 260  # px of a frame on the page
LEVELS = (0.5, 0.75)  # of the heat, from this clip's lowest to its highest: where its outlines are
TINT = 0.22  # most that the heat covers of a face
LOOKED = {
    "attention": "the classifier's spatial attention: where its gates let most through",
    "saliency": "|gradient x input| of the likeliest class: where a change would move the answer most",
}


def write_page(out: Path, prediction: Prediction, telling: Telling) -> None:
    """Write the page (HTML), which loads nothing from anywhere; its folder is made."""
    faces, maps = faces_of(telling), telling.evidence.maps
    span, mark = (float(maps.min()), float(maps.max())), mark_or_unknown(Path(prediction.video))
    frames = [
        (int(index), float(weight), pictures.embedded(pictures.jpeg(face, mark, 90)), pictures.png(heat(places, *span)))
        for index, weight, face, places in zip(telling.frame_index, telling.evidence.weights, faces, maps)
    ]
    order = np.argsort(-prediction.probabilities, kind="stable")
    text = template("predicted.html").render(
        it=prediction,
        name=Path(prediction.video).name,
        telling=telling,
        looked=LOOKED[telling.evidence.kind],
        frames=frames,
        shares=[(prediction.classes[place], float(prediction.probabilities[place])) for place in order],
        limits=limits(prediction),
        now=datetime.datetime.now().astimezone(),
        version=__version__,
    )
    with atomic(out) as temporary:
        temporary.write_text(text, encoding="utf-8")


def faces_of(telling: Telling) -> np.ndarray:
    """What the classifier read of the clip, as sharp as the video has it: uint8 RGB [T, SIDE, SIDE, 3]."""
    frames = telling.frames
    if telling.share is not None:  # the middle of the crops, before they were made smaller
        side = telling.crops.shape[1]
        edge = round(side * (1 - min(telling.share, 1.0)) / 2)
        frames = telling.crops[:, edge : side - edge, edge : side - edge]
    shrinks = frames.shape[1] > SIDE
    return np.stack(
        [cv2.resize(one, (SIDE, SIDE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC) for one in frames]
    )


def heat(places: np.ndarray, low: float, high: float) -> np.ndarray:
    """A layer over a face, uint8 RGBA [SIDE, SIDE, 4]: outlines and a light tint, through which the face stays seen."""
    red, green, blue = (int(palette.ORANGE[at : at + 2], 16) for at in (1, 3, 5))
    values = cv2.resize(places.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    values = ((values - low) / ((high - low) or 1.0)).clip(0, 1)
    layer = np.empty((SIDE, SIDE, 4), np.uint8)
    layer[..., :3] = red, green, blue
    layer[..., 3] = (255 * TINT * values).round()
    for level, width in zip(LEVELS, (1, 2)):
        outlines, _ = cv2.findContours((values >= level).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(layer, outlines, -1, (255, 255, 255, 235), width + 1, cv2.LINE_AA)
        cv2.drawContours(layer, outlines, -1, (red, green, blue, 255), width, cv2.LINE_AA)
    return layer


def limits(prediction: Prediction) -> list[str]:
    """What no such answer can know, in sentences."""
    models = listed([name for name in prediction.classes if name != REAL])
    known = f"{models}, and real videos," if REAL in prediction.classes else models
    on = prediction.source.trained_on
    trained = f" It was trained on videos of {on}; other compression weakens what it looks for." if on else ""
    return [
        f"The classifier knows {known} and nothing else. A face made by another program may get one of these names.",
        f"It looks at the face alone, in {prediction.clips} clips of {prediction.clip} frames.{trained}",
        "It does not know who made a video, when, or whether what is said in it is true.",
        "An answer is a lead with an error rate, not proof: "
        + (
            "its card has it."
            if prediction.source.shipped
            else "'dfdm scores' prints how often it is right on test videos."
        ),
    ]
