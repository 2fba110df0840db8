"""What the report shows of attribution: scores with their controls, and what they do and do not show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from attribution.results import Cell, Comparison, Controls, Interval, Scores, Unseen
from attribution.run import ALL
from dfdm.base.names import REAL
from dfdm.base.text import decimal, listed, percent
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout
from dfdm.catalogue.schedule import checked_runs, main_runs
from dfdm.report import figures
from dfdm.report.evaluation import LEAST_SSIM, Row, table
from dfdm.report.results import read_or_note, read_table

EPOCHS = ("epoch", "train_loss", "train_accuracy", "validation_accuracy")  # of a classifier's log, what is drawn
FEW_VIDEOS = 100  # below this a score says little


class Named(NamedTuple):
    """A figure of the report: its key in scores.json, its name, whether it is a share, and its meaning in words."""

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
CONTROL_FIGURES = {name: field for name, field in Controls.model_fields.items() if field.title}


@dataclass(frozen=True)
class Matrix:
    """A classifier's accuracies: a row a training quality (and all), a cell a test quality; None: not there."""

    classifier: str
    split: str
    chance: float
    rows: Mapping[str, list[Cell | None]]


@dataclass(frozen=True)
class Attribution:
    """The attribution section: everything in the order of the report."""

    scores: list[Scores]
    controls: dict[str, dict[int, Controls]]  # by classifier and quality
    comparison: Comparison | None
    matrices: list[Matrix]
    unseen: Unseen | None
    rebuilt: dict[str, Row]  # the evaluation's mean, by generator
    verdict: list[str]
    learning: list[str]  # charts, as SVG
    reliability: list[str]
    least_ssim: float = LEAST_SSIM  # below it a generator looks undertrained, which makes it easy to name

    @property
    def methods(self) -> list[str]:
        """Every way in which an interval was made, in order; the report numbers them."""
        every = [[*dict(it.figures).values(), *it.recall.values(), *it.auc.values()] for it in self.scores]
        return list(dict.fromkeys(one.method for some in every for one in some if one and one.value is not None))


def read_attribution(
    cfg: Config, results: Path, evaluations: Mapping[str, list[Row]], missing: list[str]
) -> Attribution:
    """Scores, controls and comparison of a results folder; what is not there is added to `missing`.

    `evaluations` are the rows of dfdm.report.evaluation. Raises DfdmError for a damaged file.
    """
    layout, scores, logs = Layout(str(results)), list[Scores](), dict[str, pd.DataFrame]()
    for run in main_runs(cfg):
        file, what = layout.scores(str(run), run.crf), f"scores of {run.classifier} at crf {run.crf}"
        if score := read_or_note(Scores.read, file, f"{what} (stage {Scores.stage})", missing):
            scores.append(score)
            log = Path(layout.run(str(run), "log.csv"))
            if log.exists() and len(epochs := read_table(log, EPOCHS, "the stage attribution_train")):
                logs[f"crf {score.crf}"] = epochs
    comparison = None
    if cfg.comparison:
        what = f"the comparison of the classifiers (stage {Comparison.stage})"
        comparison = read_or_note(Comparison.read, layout.comparison, what, missing)
        missing += [f"comparison: {line}" for line in comparison.missing] if comparison else []
    unseen = None
    if cfg.unseen:
        what = f"the classifiers on people nobody saw (stage {Unseen.stage})"
        unseen = read_or_note(Unseen.read, layout.unseen, what, missing)
    controls: dict[str, dict[int, Controls]] = {}
    for run in checked_runs(cfg):
        file, what = layout.controls(run.classifier, run.crf), f"controls of {run.classifier} at crf {run.crf}"
        if control := read_or_note(Controls.read, file, f"{what} (stage {Controls.stage})", missing):
            controls.setdefault(run.classifier, {})[control.crf] = control
    learning = [figures.learning_chart(title, log, scores[0].chance) for title, log in logs.items()]
    reliability = [figures.reliability_chart(f"crf {it.crf}", it.reliability, it.figures.ece.value) for it in scores]
    crossed = matrices(cfg, comparison.matrix) if comparison else []
    rebuilt = {row.model: row for row in table(evaluations) if row.label == "mean"}
    said = verdict(scores, controls)
    return Attribution(scores, controls, comparison, crossed, unseen, rebuilt, said, learning, reliability)


def matrices(cfg: Config, cells: list[Cell]) -> list[Matrix]:
    """The matrices by classifier and split, in the order of the file; rows and columns in the config's."""
    found = {(cell.classifier, cell.split, cell.train, cell.test): cell for cell in cells}
    return [
        Matrix(
            classifier,
            split,
            1 / len([*cfg.classes, *([REAL] if cfg.classifier(classifier).real else [])]),
            {
                train: [found.get((classifier, split, train, test)) for test in cfg.qualities]
                for train in [*map(str, cfg.qualities), ALL]
            },
        )
        for classifier in dict.fromkeys(cell.classifier for cell in cells)
        for split in dict.fromkeys(cell.split for cell in cells if cell.classifier == classifier)
    ]


def verdict(scores: list[Scores], controls: Mapping[str, Mapping[int, Controls]]) -> list[str]:
    """What the scores do and do not show, in plain sentences."""
    if not scores:
        return ["No scores yet: the attribution stage has not run."]
    sentences = []
    if (fewest := min(score.videos for score in scores)) < FEW_VIDEOS:
        sentences.append(
            f"The test part has {fewest} videos of each quality. With so few, the scores show that the workflow runs "
            "from a video to a score, not how good the method is."
        )
    if lost := [score for score in scores if not score.training.learned]:
        named = listed(list(dict.fromkeys(percent(score.training.training_accuracy) for score in lost)))
        sentences.append(
            f"At {_crfs(lost)} {lost[0].run.classifier} did not learn: it names {named} of its own training clips, "
            f"which is not above chance ({percent(lost[0].chance)}). Its scores there say nothing of the method."
        )
    if unskilled := [score for score in scores if score.figures.accuracy.holds(score.chance)]:
        sentences.append(
            f"At {_crfs(unskilled)} the interval includes chance ({percent(unskilled[0].chance)}): "
            "no skill is shown there."
        )
    paired = [(score, controls.get(score.run.classifier, {}).get(score.crf)) for score in scores]
    sentences += _against([(score, control) for score, control in paired if control])
    if bare := [score for score, control in paired if control is None]:
        sentences.append(
            f"The scores of {_crfs(bare)} are shown without their controls: other explanations were not checked."
        )
    return sentences


def _against(paired: list[tuple[Scores, Controls]]) -> list[str]:
    """What the controls of scores say against them, a sentence for each kind of doubt and not for each quality."""
    sentences = []
    own = {score.crf: score.figures.accuracy for score, _ in paired}
    cues = {score.crf: control.trivial.figures.accuracy.value for score, control in paired}
    if weak := [one for one in paired if own[one[0].crf].value <= one[1].permuted.high]:
        reached = listed([percent(control.permuted.high) for _, control in weak])
        sentences.append(
            f"{_at(weak)} the {'score' if len(weak) == 1 else 'scores'} of "
            f"{listed([percent(own[score.crf].value) for score, _ in weak])} "
            f"{'is' if len(weak) == 1 else 'are'} within what permuted labels reach (up to {reached}): no skill is "
            "shown there."
        )
    for as_good, how in ((True, "as good as the classifier"), (False, "inside the classifier's interval")):
        cued = [one for one in paired if cues[one[0].crf] >= own[one[0].crf].low]
        if cued := [one for one in cued if (cues[one[0].crf] >= own[one[0].crf].value) == as_good]:
            named = listed([percent(cues[score.crf]) for score, _ in cued])
            sentences.append(
                f"{_at(cued)} trivial cues alone ({listed(cued[0][1].trivial.cues)}) name {named} of the videos, "
                f"{how}: the score need not come from the faces."
            )
    for defect, what in _BACKGROUND.items():
        seen = [(score, back) for score, control in paired if (back := control.background) and back.above_chance]
        if seen := [one for one in seen if one[1].is_defect == defect]:
            named = listed([percent(back.figures.accuracy.value) for _, back in seen])
            sentences.append(
                f"{_at(seen)} the background alone names {named} of the videos, above chance "
                f"({percent(seen[0][1].chance)}){what}"
            )
    return sentences


_BACKGROUND = {
    True: ", though its pixels must be the same for all generators: a defect in the data or in the region. Do not rely "
    "on this quality's scores before it is found.",
    False: ": the encoder carries traces of the face into it (codec coupling), so part of the score need not come from "
    "the face.",
}


def _at(paired: Sequence[tuple[Scores, object]]) -> str:
    return f"At {_crfs([score for score, _ in paired])}"


def _crfs(scores: list[Scores]) -> str:
    return listed([f"crf {score.crf}" for score in scores])


def bounds_text(figure: Interval | None, share: bool = True) -> str:
    """A figure with its interval: `60 % (31 to 83)` for a share, `0.63 (0.40 to 0.81)` else; a dash for None."""
    if figure is None or figure.value is None:
        return "–"
    value = percent(figure.value) if share else decimal(figure.value)
    ends = [f"{100 * end:.0f}" if share else decimal(end) for end in (figure.low, figure.high) if end is not None]
    return f"{value} ({' to '.join(ends)})" if ends else value
