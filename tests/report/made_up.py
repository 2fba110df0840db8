"""Score, control and comparison files with known figures, written through the stages' own models."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from attribution.results import (
    Among,
    Background,
    Beats,
    Bin,
    Bounded,
    Budget,
    Cell,
    Comparison,
    Controls,
    CueScores,
    Difference,
    Entry,
    Figures,
    Gap,
    Interval,
    LeftOut,
    LeftOutOfTest,
    OfRun,
    OneTest,
    OpenSet,
    Originals,
    Parts,
    Permuted,
    Scores,
    Training,
    Unseen,
    UnseenLine,
)
from attribution.run import Run
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout

WILSON = "Wilson, videos taken as independent (fewer than 10 clusters)"
BOOTSTRAP = "bootstrap over clusters of pair and scene, 2000 resamples, percentiles"


def figure(value: float, half: float = 0.2, method: str = WILSON) -> Bounded:
    return Bounded(value=value, low=max(0.0, value - half), high=min(1.0, value + half), method=method)


def figures(accuracy: float, half: float = 0.2) -> Figures:
    names = ("accuracy", "balanced_accuracy", "macro_f1", "auc")
    return Figures(**{name: figure(accuracy, half) for name in names}, ece=figure(0.1, 0.05, BOOTSTRAP))


def training(run: Run, classes: Sequence[str], learned: bool = True) -> Training:
    return Training(
        **vars(run),
        model=run.classifier,
        run=str(run),
        settings={},
        lr=0.01,
        rollbacks=[],
        classes=list(classes),
        epoch=3,
        epochs=12,
        steps=60,
        videos=Parts(train=40, validation=10),
        left_out=LeftOut(train={}, validation={}),
        training_accuracy=0.9 if learned else 0.21,
        training_clips=40,
        learned=learned,
        validation_accuracy=0.5,
        validation_loss=1.5,
        parameters=11_179_961,
        multiply_adds=1_666_000_000,
        open_set=OpenSet(score="energy", threshold=-1.5, accepted=0.95, videos=10),
    )


def one_test(classes: Sequence[str], accuracy: float, half: float = 0.2) -> OneTest:
    """A test of 20 videos a class."""
    right, count = round(20 * accuracy), len(classes)
    filled = [(8, 0.36, 0.5), (12, 0.45, 0.5), (20, 0.55, 0.6), (0, None, None)]
    filled += [(22, 0.76, 0.59), (18, 0.84, 0.67), (20, 0.97, 0.7)]
    return OneTest(
        classes=list(classes),
        videos=20 * count,
        videos_per_class=dict.fromkeys(classes, 20),
        clusters=4,
        chance=0.2,
        figures=figures(accuracy, half),
        recall={name: figure(accuracy, 0.25) for name in classes},
        auc={name: figure(0.8, 0.1) for name in classes},
        confusion=[
            [right if j == i else 20 - right if j == (i + 1) % count else 0 for j in range(count)] for i in range(count)
        ],
        reliability=[
            Bin(low=i / 10, high=(i + 1) / 10, videos=n, confidence=c, accuracy=a)
            for i, (n, c, a) in enumerate([(0, None, None)] * 3 + filled)
        ],
    )


def scores(
    run: Run, crf: int, classes: Sequence[str], /, accuracy: float = 0.6, half: float = 0.2, **other: Any
) -> Scores:
    """`other` replaces what the file contains at its top."""
    values = {
        **dict(one_test(classes, accuracy, half)),
        "run": OfRun(**vars(run), model=run.classifier),
        "crf": crf,
        "training": training(run, classes),
        "left_out": LeftOutOfTest(train={}, validation={}, test={"id0_id1_0009_iae": 7}),
        "autoencoder_saw": 0.9,
        **other,
    }
    return Scores(**values)


def write_score(
    results: Path, run: Run, crf: int, classes: Sequence[str], accuracy: float = 0.6, half: float = 0.2, **other: Any
) -> Path:
    """A score of 20 videos a class, and its training's log."""
    path = Path(Layout(str(results)).scores(str(run), crf))
    scores(run, crf, classes, accuracy, half, **other).write(path)
    log = pd.DataFrame({"epoch": [1, 2, 3], "lr": 0.01, "train_loss": [1.6, 1.2, 0.9]})
    log["train_accuracy"], log["validation_loss"], log["validation_accuracy"] = [0.2, 0.5, 0.7], 1.5, [0.3, 0.4, 0.5]
    log.to_csv(Layout(str(results)).run(str(run), "log.csv"), index=False)
    return path


def write_controls(
    results: Path, crf: int, classifier: str, classes: Sequence[str], trivial: float = 0.25, background: float = 0.2
) -> Path:
    path = Path(Layout(str(results)).controls(classifier, crf))
    hidden = figures(background, 0.1)
    Controls(
        classifier=classifier,
        crf=crf,
        split="scene",
        accuracy=figure(0.6, 0.2),
        permuted=Permuted(
            accuracies=[0.1 + 0.01 * i for i in range(20)],
            low=0.1,
            high=0.29,
            true=0.55,
            features="input of the last layer",
            permutations=20,
        ),
        trivial=CueScores(
            **dict(one_test(classes, trivial, 0.1)),
            cues=["file size", "bitrate", "crop size", "mean colour", "sharpness", "SSIM of the face"],
            chosen="gradient boosting",
            validation_accuracy={"logistic regression": 0.2, "gradient boosting": 0.3},
        ),
        background=Background(
            figures=hidden,
            chance=0.2,
            expected="codec coupling" if crf else "chance",
            above_chance=hidden.accuracy.low > 0.2,
            finding="",
        ),
        originals=Originals(
            videos=4,
            predicted={**dict.fromkeys(classes, 0), classes[0]: 3, classes[-1]: 1},
            none_of_these=0.5,
            accused=1.0,
            confidence=0.61,
        ),
    ).write(path)
    return path


def entry(name: str, accuracy: float, learned: bool = True) -> Entry:
    return Entry(
        classifier=name,
        model=name,
        learned=learned,
        rate=0.003,
        seeds=[0, 1, 2],
        accuracies=[accuracy - 0.04, accuracy, accuracy + 0.04],
        accuracy=figure(accuracy, 0.08),
        macro_f1=figure(accuracy - 0.02, 0.08),
        parameters=11_179_961,
        multiply_adds=1_666_000_000,
        clips_per_second=8.25,
    )


def write_comparison(
    results: Path,
    cfg: Config,
    table: Sequence[Entry],
    splits: Sequence[str] = ("scene",),
    missing: Sequence[str] = (),
) -> Path:
    path = Path(Layout(str(results)).comparison)
    first, second = table[0].classifier, table[1].classifier
    matrix = [
        Cell(classifier=name, split=split, train=train, test=crf, accuracy=figure(value, 0.12))
        for name in (first, second)
        for split in splits
        for row, train in enumerate([*map(str, cfg.qualities), "all"])
        for column, crf in enumerate(cfg.qualities)
        for value in [(0.75 if split == "scene" else 0.5) - 0.16 * abs(row - column) * (row < len(cfg.qualities))]
    ]
    beats = [
        Beats(a=first, b=second, difference=Difference(value=0.11, low=0.02, high=0.2), beats=True,
              why="The interval of the paired difference is above 0 over 3 seeds."),
        Beats(a=second, b=first, difference=Difference(value=-0.11, low=-0.2, high=-0.02), beats=False,
              why="The interval of the paired difference includes or is below 0."),
    ]  # fmt: skip
    budget = Budget(batch=8, clip=5, epochs=12, rates=[0.003, 0.01, 0.03], size=[64, 96], steps=420, tune_epochs=4)
    Comparison(
        crf=10,
        split="scene",
        budget=budget,
        table=list(table),
        beats=beats,
        matrix=matrix,
        missing=list(missing),
    ).write(path)
    return path


def write_unseen(results: Path, cfg: Config, classes: Sequence[str]) -> Path:
    """Two classifiers in two folds, the second of which accuses one real video in four."""

    def share(value: float) -> Interval:
        return Interval(value=value, low=value - 0.1, high=value + 0.1)

    right = [[4 if row == column else 0 for column in range(len(classes))] for row in range(len(classes))]
    lines = [
        UnseenLine(
            classifier=name,
            train="10",
            test=test,
            seeds=[0],
            chance=1 / len(classes),
            accuracy=share(value),
            among=[Among(group="64 px", chance=1 / 3, accuracy=share(0.4))],
            folds={"id0_id4": value - 0.05, "id1_id2": value + 0.05},
            directions={"id0_id4": value},
            classes=list(classes),
            confusion=[*right[:-1], [accused, *[0] * (len(classes) - 2), 4 - accused]],
        )
        for name, test, value, accused in (("linear_dct", "10 vp9", 0.55, 0), ("dma_sta", "10", 0.35, 1))
    ]
    gap = Gap(a="linear_dct", b="dma_sta", train="10", test="10", difference=share(0.2))
    path = Path(Layout(str(results)).unseen)
    Unseen(lines=lines, gaps=[gap]).write(path)
    return path


def change(path: Path, **values: Any) -> None:
    """Replace values at the top of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
