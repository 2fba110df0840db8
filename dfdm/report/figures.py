"""Charts of the report, as SVG: loss curves of the autoencoders, learning curves and reliability of the classifiers."""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from markupsafe import Markup, escape

from attribution.results import Bin
from dfdm.base import palette
from dfdm.base.palette import BLUE, GREY, GRID, INK, ORANGE, QUIET
from dfdm.base.text import decimal

matplotlib.use("Agg")

from matplotlib import pyplot

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon"), False),
    "axes.grid": True,
    "grid.color": GRID,
    **dict.fromkeys(("axes.labelcolor", "xtick.color", "ytick.color"), QUIET),
    "lines.linewidth": 1.4,
    "svg.hashsalt": "dfdm",
    "svg.fonttype": "none",  # text stays text
}


def smooth(values: np.ndarray, span: int) -> np.ndarray:
    """The running mean over `span` values, shorter at both ends."""
    kernel = np.ones(span)
    return np.convolve(values, kernel, "same") / np.convolve(np.ones(len(values)), kernel, "same")


def loss_chart(model: str, log: pd.DataFrame, labels: Sequence[str]) -> str:
    """The loss of both sides over the iterations, raw (faint) and as a running mean.

    `log` has the columns iteration, loss_a, loss_b; `labels` names the two sides.
    """
    with _panel() as (figure, panel):
        for column, colour, label in (("loss_a", BLUE, labels[0]), ("loss_b", ORANGE, labels[1])):
            values = log[column].to_numpy(float)
            panel.plot(log["iteration"], values, color=colour, alpha=0.22, linewidth=0.8)
            panel.plot(log["iteration"], smooth(values, max(1, len(values) // 25)), color=colour, label=label)
        panel.set(title=model, yscale="log", xlabel="iteration", ylabel="loss")
        panel.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%.3g"))
        panel.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
        panel.yaxis.set_major_locator(matplotlib.ticker.LogLocator(base=10, subs=(1, 2, 5)))
        panel.legend(loc="upper right", fontsize=8)
        return _svg(figure, f"Loss of {model} over the iterations")


def learning_chart(title: str, log: pd.DataFrame, chance: float) -> str:
    """Accuracy on training and validation clips, and training loss, over the epochs.

    `log` has the columns epoch, train_loss, train_accuracy, validation_accuracy; `chance` is the accuracy of guessing.
    """
    with _panel() as (figure, panel):
        panel.axhline(chance, color=QUIET, linestyle=":", linewidth=1, label="chance")
        panel.plot(log["epoch"], log["train_accuracy"], color=BLUE, label="training accuracy")
        panel.plot(log["epoch"], log["validation_accuracy"], color=ORANGE, label="validation accuracy")
        panel.set(ylim=(0, 1.02), title=title, xlabel="epoch", ylabel="accuracy")
        panel.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
        loss = panel.twinx()
        loss.plot(log["epoch"], log["train_loss"], color=QUIET, linewidth=1, label="training loss (right)")
        loss.set_ylim(bottom=0)
        loss.grid(False)
        (handles, labels), (more, other) = (axes.get_legend_handles_labels() for axes in (panel, loss))
        figure.legend(handles + more, labels + other, loc="outside lower center", ncols=2, fontsize=8)
        return _svg(figure, f"Learning curves of the classifier at {title}")


def reliability_chart(title: str, bins: Sequence[Bin], error: float | None) -> str:
    """Share that is right over the stated probability, and the videos in each bin below.

    A dot is at its bin's mean probability, and larger where its bin has more videos; on the dotted line the stated
    probability is right. `error` is the calibration error.
    """
    with _panel(rows=2, height=4.2, sharex=True, height_ratios=(3.2, 1)) as (figure, (upper, lower)):
        most = max(1, *(part.videos for part in bins))
        upper.plot((0, 1), (0, 1), color=QUIET, linestyle=":", linewidth=1)
        for part in bins:
            if part.confidence is None or part.accuracy is None:  # no video
                continue
            colour = BLUE if part.accuracy >= part.confidence else ORANGE
            upper.plot((part.confidence,) * 2, (part.confidence, part.accuracy), color=colour, linewidth=2)
            area = 18 + 90 * part.videos / most
            upper.scatter(part.confidence, part.accuracy, s=area, color=colour, zorder=3, clip_on=False)
        upper.set(xlim=(0, 1), ylim=(0, 1.02), title=f"{title}: error {decimal(error)}", ylabel="share that is right")
        middles = [(part.low + part.high) / 2 for part in bins]
        bars = lower.bar(middles, [part.videos for part in bins], width=0.09, color=GREY)
        lower.bar_label(bars, [str(part.videos) if part.videos else "" for part in bins], fontsize=8, padding=1)
        lower.set(ylim=(0, 1.4 * most), yticks=[], xlabel="highest probability", xticks=np.arange(0, 1.1, 0.2))
        lower.set(ylabel="videos")
        lower.grid(False)
        return _svg(figure, f"Reliability of the classifier at {title}")


def risk_chart(title: str, answered: np.ndarray, wrong: np.ndarray, place: tuple[float, float] | None) -> str:
    """Share of the answers that is wrong over the share of swaps answered, both `[n]`, the surest first.

    `place`: where the classifier's thresholds stand; None: they let it name nothing.
    """
    with _panel() as (figure, panel):
        panel.plot(answered, wrong, color=BLUE, marker=".", markersize=4)
        if place:
            panel.scatter(*place, s=40, color=ORANGE, zorder=3, clip_on=False)
        panel.set(xlim=(0, 1.02), ylim=(0, 1.02), title=title, xlabel="share of swaps named", ylabel="share wrong")
        return _svg(figure, f"Share of wrong names over the share of swaps named at {title}")


@contextmanager
def _panel(rows: int = 1, height: float = 2.9, **layout: Any) -> Iterator[tuple[Any, Any]]:
    """A figure of the page's width for one panel, and its axes; the page puts several side by side."""
    with pyplot.rc_context(STYLE):
        figure, axes = pyplot.subplots(rows, figsize=(3.7, height), layout="constrained", **layout)
        try:
            yield figure, axes
        finally:
            pyplot.close(figure)


def _svg(figure: Any, label: str) -> str:
    """The chart as an element of the page, in whose colours it is drawn: they are other ones on a dark screen."""
    buffer = io.StringIO()
    figure.savefig(
        buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")), transparent=True
    )
    _, tag, drawn = buffer.getvalue().partition("<svg ")
    drawn = re.sub(r' id="[a-z]+_[0-9]+"', "", drawn)  # figure_1, axes_1: in every chart the same
    drawn = re.sub(r" font-family: '[^']*';", "", drawn)  # the page's
    for colour, name in palette.NAMES.items():
        drawn = drawn.replace(f": {colour}", f": var(--{name})")
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    drawn = re.sub(r'^(.*?)width="[^"]*"', rf'\1width="{width}"', drawn, count=1)
    drawn = re.sub(r'^(.*?)height="[^"]*"', rf'\1height="{height}"', drawn, count=1)
    return Markup(f'{tag}class="chart" role="img" aria-label="{escape(label)}" {drawn}')
