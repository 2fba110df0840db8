"""Charts of the report, as SVG: loss curves of the autoencoders, learning curves and reliability of the classifiers."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd

from attribution.results import Bin
from dfdm.base.palette import BLUE, GREY, GRID, INK, ORANGE, QUIET
from dfdm.report.pictures import embedded

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
}


def smooth(values: np.ndarray, span: int) -> np.ndarray:
    """The running mean over `span` values, shorter at both ends."""
    kernel = np.ones(span)
    return np.convolve(values, kernel, "same") / np.convolve(np.ones(len(values)), kernel, "same")


def loss_chart(logs: Mapping[str, pd.DataFrame], labels: Sequence[str]) -> str:
    """One panel a model: the loss of both sides over the iterations, raw (faint) and as a running mean.

    `logs` maps a model to its loss table (columns iteration, loss_a, loss_b); `labels` names the two sides.
    """
    with pyplot.rc_context(STYLE):
        figure, axes = _panels(len(logs), height=2.5)
        for panel, (model, log) in zip(axes, logs.items()):
            for column, colour, label in (("loss_a", BLUE, labels[0]), ("loss_b", ORANGE, labels[1])):
                values = log[column].to_numpy(float)
                panel.plot(log["iteration"], values, color=colour, alpha=0.22, linewidth=0.8)
                panel.plot(log["iteration"], smooth(values, max(1, len(values) // 25)), color=colour, label=label)
            panel.set(title=model, yscale="log", xlabel="iteration")
            panel.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%.3g"))
            panel.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
            panel.yaxis.set_major_locator(matplotlib.ticker.LogLocator(base=10, subs=(1, 2, 5)))
        axes[0].set_ylabel("loss")
        axes[0].legend(loc="upper right", fontsize=8)
        return _svg(figure)


def learning_chart(logs: Mapping[str, pd.DataFrame], chance: float) -> str:
    """One panel a quality: training loss, and accuracy on training and validation clips over the epochs.

    `logs` maps a quality's name to its table (columns epoch, train_loss, train_accuracy, validation_accuracy);
    `chance` is the accuracy of guessing.
    """
    with pyplot.rc_context(STYLE):
        figure, axes = _panels(len(logs), height=2.8)
        for panel, (title, log) in zip(axes, logs.items()):
            panel.axhline(chance, color=QUIET, linestyle=":", linewidth=1, label="chance")
            panel.plot(log["epoch"], log["train_accuracy"], color=BLUE, label="training accuracy")
            panel.plot(log["epoch"], log["validation_accuracy"], color=ORANGE, label="validation accuracy")
            panel.set(ylim=(0, 1.02), title=title, xlabel="epoch")
            loss = panel.twinx()
            loss.plot(log["epoch"], log["train_loss"], color=QUIET, linewidth=1, label="training loss (right)")
            loss.set_ylim(bottom=0)
            loss.grid(False)
        axes[0].set_ylabel("accuracy")
        handles, labels = axes[0].get_legend_handles_labels()
        more_handles, more_labels = loss.get_legend_handles_labels()
        figure.legend(handles + more_handles, labels + more_labels, loc="outside lower center", ncols=4, fontsize=8)
        return _svg(figure)


def reliability_chart(panels: Mapping[str, Sequence[Bin]]) -> str:
    """Two panels a quality: share that is right over the stated probability, and the videos in each bin below.

    `panels` maps a title to bins. A dot is at its bin's mean probability, and larger where its bin has more videos; on
    the dotted line the stated probability is right.
    """
    with pyplot.rc_context(STYLE):
        count = len(panels)
        size = {"figsize": (3.7 * count, 4.6), "layout": "constrained", "squeeze": False, "sharex": True}
        figure, axes = pyplot.subplots(2, count, height_ratios=(3.2, 1), **size)
        for (upper, lower), (title, bins) in zip(axes.T, panels.items()):
            most = max(1, *(part.videos for part in bins))
            upper.plot((0, 1), (0, 1), color=QUIET, linestyle=":", linewidth=1)
            for part in bins:
                if part.confidence is None or part.accuracy is None:  # no video
                    continue
                colour = BLUE if part.accuracy >= part.confidence else ORANGE
                upper.plot((part.confidence,) * 2, (part.confidence, part.accuracy), color=colour, linewidth=2)
                area = 18 + 90 * part.videos / most
                upper.scatter(part.confidence, part.accuracy, s=area, color=colour, zorder=3, clip_on=False)
            upper.set(xlim=(0, 1), ylim=(0, 1.02), title=title)
            middles = [(part.low + part.high) / 2 for part in bins]
            bars = lower.bar(middles, [part.videos for part in bins], width=0.09, color=GREY)
            lower.bar_label(bars, [str(part.videos) if part.videos else "" for part in bins], fontsize=8, padding=1)
            lower.set(ylim=(0, 1.3 * most), yticks=[], xlabel="highest probability", xticks=np.arange(0, 1.1, 0.2))
            lower.grid(False)
        axes[0, 0].set_ylabel("share that is right")
        axes[1, 0].set_ylabel("videos")
        return _svg(figure)


def _panels(count: int, height: float) -> tuple[Any, list[Any]]:
    width = min(12.0, 2.4 * count + 0.4) if count > 3 else 4.0 * count
    figure, axes = pyplot.subplots(1, count, figsize=(width, height), layout="constrained", squeeze=False)
    return figure, list(axes[0])


def _svg(figure: Any) -> str:
    """The chart as a data address."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    return embedded(buffer.getvalue(), "image/svg+xml")
