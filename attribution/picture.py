"""The picture of a prediction: the strongest clip's frames, where the classifier looks, and the classes as bars."""

import io
from pathlib import Path
from textwrap import fill

import cv2
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from attribution.evidence import Evidence
from attribution.openset import NONE
from attribution.prediction import Prediction
from attribution.predictor import Telling
from dfdm.base.files import atomic
from dfdm.base.palette import BLUE, GREY, INK, ORANGE, QUIET
from dfdm.base.text import percent
from dfdm.dataset.provenance import mark_or_unknown
from dfdm.media.comments import commented

HEAT = "inferno"
ROW, SIDE = 15.0, 1.6  # inches: the frames' row at most, one frame at most
BARS = 5.2  # inches for the classes
LEGENDS = {
    "attention": (
        "spatial attention (mean of the gates)",
        "Frames' weights: the classifier's temporal attention. Overlay: its spatial attention, where its gates let "
        "most through; colours span this clip's own lowest to highest value.",
    ),
    "saliency": (
        "saliency",
        "This classifier has no attention. Overlay: |gradient x input| for the likeliest class; frames' weights: their "
        "share of it; colours span this clip's own lowest to highest value.",
    ),
}


def overlay(frames: np.ndarray, maps: np.ndarray, low: float, high: float) -> np.ndarray:
    """Grey frames under a heat: uint8 RGB `[T, H, W, 3]` and maps `[T, h, w]` -> uint8 `[T, H, W, 3]`.

    `low` is the coldest colour, `high` the hottest; where they are equal all is cold.
    """
    height, width = frames.shape[1:3]
    out = np.empty_like(frames)
    for index, (frame, places) in enumerate(zip(frames, maps)):
        heat = (cv2.resize(places, (width, height)) - low) / ((high - low) or 1.0)
        colours = colormaps[HEAT](heat.clip(0, 1))[..., :3] * 255
        grey = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY)[..., None]
        out[index] = (0.5 * grey + 0.5 * colours).round()
    return out


def draw(prediction: Prediction, telling: Telling) -> Figure:
    """The figure: two axes a frame (the crop, what was read of it), the weights, the heat's scale, the classes."""
    count = len(telling.frames)
    side = min(SIDE, ROW / count)
    wide, high = max(side * count, 6.0) + BARS, 2 * side + 2.75
    figure = Figure((wide, high), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    left, right = 0.75 / wide, 1 - BARS / wide
    step = (right - left) / count
    found = telling.evidence
    span = (float(found.maps.min()), float(found.maps.max()))
    heats = overlay(telling.frames, found.maps, *span)
    bottoms = (1.65 + side, 1.55)  # of the rows, inches
    for index in range(count):
        for frames, bottom in zip((telling.crops, heats), bottoms):
            axes = figure.add_axes((left + index * step, bottom / high, step * 0.97, side * 0.97 / high))
            axes.imshow(frames[index], interpolation="antialiased" if frames is telling.crops else "nearest")
            axes.axis("off")
            if frames is telling.crops:
                axes.set_title(f"frame {telling.frame_index[index]}", fontsize=8, color=QUIET, pad=2)
                _outline(axes, frames.shape[1], telling.share)
    for text, bottom in zip(("crop", "looked at"), bottoms):
        at = (left - 0.12 / wide, (bottom + side / 2) / high)
        figure.text(*at, text, rotation=90, ha="right", va="center", color=QUIET, size=9)
    _weights(figure.add_axes((left, 0.85 / high, right - left, 0.6 / high)), found)
    _scale(figure, (right + 0.18 / wide, 1.6 / high, 0.1 / wide, side * 0.9 / high), span, LEGENDS[found.kind][0])
    bars = figure.add_axes((right + 2.0 / wide, 1.55 / high, (BARS - 2.6) / wide, (2 * side - 0.1) / high))
    _classes(bars, prediction)
    _words(figure, prediction, telling, high)
    return figure


def _outline(axes: Axes, side: int, share: float | None) -> None:
    """A square around the middle of a crop that the classifier reads, where that is not all of it."""
    if share is not None and share < 0.95:
        start, length = (1 - share) / 2 * side, share * side
        axes.add_patch(Rectangle((start, start), length, length, fill=False, edgecolor="white", linewidth=2.4))
        axes.add_patch(Rectangle((start, start), length, length, fill=False, edgecolor=BLUE, linewidth=1.2))


def _weights(axes: Axes, found: Evidence) -> None:
    count = len(found.weights)
    axes.bar(range(count), found.weights, color=BLUE, width=0.5)
    axes.axhline(1 / count, color=ORANGE, linestyle="--", linewidth=1)
    axes.set_xlim(-0.5, count - 0.5)
    axes.set_ylim(0, max(found.weights.max(), 1 / count) * 1.1)
    axes.text(count - 0.5, 1 / count, " equal", color=ORANGE, fontsize=8, va="center", ha="left")
    axes.set_xticks(range(count), [percent(weight, 1) for weight in found.weights])
    axes.set_yticks([])
    axes.tick_params(labelsize=8, colors=INK, length=0)
    axes.set_ylabel("weight", color=QUIET, fontsize=9)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _scale(figure: Figure, place: tuple[float, float, float, float], span: tuple[float, float], text: str) -> None:
    axes = figure.add_axes(place)
    figure.colorbar(ScalarMappable(Normalize(*span), HEAT), cax=axes)
    axes.set_yticks(span, [f"{value:.2g}" for value in span])
    axes.tick_params(labelsize=8, colors=QUIET)
    axes.set_ylabel(text.replace(" (", "\n("), fontsize=8, color=QUIET, rotation=90)
    axes.yaxis.set_label_position("right")


def _classes(axes: Axes, prediction: Prediction) -> None:
    shares = prediction.probabilities
    order = np.argsort(shares, kind="stable")  # the likeliest on top
    likest = GREY if prediction.verdict == NONE else BLUE
    colours = [likest if i == prediction.best else GREY for i in order]
    axes.barh([prediction.classes[i] for i in order], shares[order], height=0.6, color=colours)
    for place, index in enumerate(order):
        axes.text(shares[index] + 0.02, place, percent(shares[index], 1), va="center", fontsize=9, color=INK)
    axes.set_xlim(0, 1.3)
    axes.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    axes.tick_params(labelsize=9, colors=INK, length=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(f"probability, mean of {prediction.clips} clips", fontsize=9, color=QUIET, loc="left")


def _words(figure: Figure, prediction: Prediction, telling: Telling, high: float) -> None:
    """Title, second line and caption."""
    wide = figure.get_figwidth()
    edge = 0.3 / wide
    title = f"{Path(prediction.video).name}: {prediction.sentence}"
    size = min(13.0, 13.0 * (wide - 0.6) / (0.105 * len(title)))
    figure.text(edge, 1 - 0.32 / high, title, fontsize=size, weight="bold", color=INK, va="center")
    limit = "" if prediction.threshold is None else f" (none of these above {prediction.threshold:.2f})"
    best, source = prediction.classes[prediction.best], prediction.source
    second = (
        f"clip {telling.number} of {prediction.clips}, the strongest for {best} "
        f"({percent(telling.probability, 1)}) · energy {prediction.energy:.2f}{limit} · classifier {source.run}"
    )
    figure.text(edge, 1 - 0.62 / high, second, fontsize=9, color=QUIET, va="center")
    caption = LEGENDS[telling.evidence.kind][1]
    if telling.share is not None and telling.share < 0.95:
        caption = f"The square is what the classifier reads of a crop, shown below it. {caption}"
    figure.text(edge, 0.34 / high, fill(caption, round((wide - 0.6) / 0.062)), fontsize=8, color=QUIET, va="center")


def save(path: Path, prediction: Prediction, telling: Telling) -> None:
    """Write the picture as PNG, with the video's mark in its comment; its folder is made."""
    with atomic(path) as temporary:
        drawn = io.BytesIO()
        draw(prediction, telling).savefig(drawn, format="png")
        temporary.write_bytes(commented(drawn.getvalue(), mark_or_unknown(Path(prediction.video))))
