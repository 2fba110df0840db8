"""What the page shows of attribution: scores with their controls beside them, and what they do and do not show."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dfdm.base.text import listed
from dfdm.catalogue.config import Config
from dfdm.report import figures, pictures
from dfdm.report.comparison import Comparison, read_comparison
from dfdm.report.controls import Controls, read_controls
from dfdm.report.evaluation import LEAST_SSIM, Row, table
from dfdm.report.scores import NAMED, Estimate, Score, read_scores

FEW_VIDEOS = 100  # below this a score says little


@dataclass(frozen=True)
class Rebuilt:
    """How well a generator rebuilds faces, over its directions; None where it was not measured."""

    ssim: float | None
    psnr: float | None

    @property
    def is_poor(self) -> bool:
        """Whether it looks undertrained, which makes it easy to name."""
        return self.ssim is not None and self.ssim < LEAST_SSIM


@dataclass(frozen=True)
class Attribution:
    """The attribution section: everything in the order of the page."""

    scores: list[Score]
    controls: dict[str, dict[int, Controls]]  # by classifier and quality
    comparison: Comparison | None
    rebuilt: dict[str, Rebuilt]  # by generator
    verdict: list[str]
    learning: str | None  # charts, as data addresses
    reliability: str | None

    def of(self, score: Score) -> Controls | None:
        """The controls that belong to a score: same quality, same classifier."""
        return self.controls.get(score.classifier, {}).get(score.crf)

    def is_controlled(self, classifier: str, crf: int) -> bool:
        """Whether a classifier's figures at a quality have controls beside them."""
        return crf in self.controls.get(classifier, {})

    @property
    def methods(self) -> list[str]:
        """Every way in which an interval was made, in order; the page numbers them."""
        found = [estimate for score in self.scores for estimate in [*score.figures.values(), *score.recall, *score.auc]]
        return list(dict.fromkeys(estimate.method for estimate in found if estimate is not None))


def read_attribution(
    cfg: Config, results: Path, evaluations: Mapping[str, list[Row]], missing: list[str]
) -> Attribution:
    """Scores, controls and comparison of a results folder; what is not there is added to `missing`.

    `evaluations` are the rows of dfdm.report.evaluation. Raises DfdmError for a file that lacks a figure.
    """
    scores = read_scores(cfg, results, missing)
    comparison = read_comparison(cfg, results, missing)
    controls = read_controls(cfg, results, missing)
    means = {row.model: row.figures for row in table(evaluations) if row.label == "mean"}
    return Attribution(
        scores=scores,
        controls=controls,
        comparison=comparison,
        rebuilt={model: Rebuilt(values["ssim"], values["psnr"]) for model, values in means.items()},
        verdict=verdict(scores, controls),
        learning=_learning(scores),
        reliability=_reliability(scores),
    )


def verdict(scores: list[Score], controls: Mapping[str, Mapping[int, Controls]]) -> list[str]:
    """What the scores do and do not show, in plain sentences."""
    if not scores:
        return ["No scores yet: the attribution stage has not run."]
    sentences = []
    fewest = min(score.videos for score in scores)
    if fewest < FEW_VIDEOS:
        sentences.append(
            f"The test part holds {fewest} videos of each quality. With so few, the scores show that the line runs "
            "from a video to a score, not how good the method is."
        )
    sentences += [_not_learned(score) for score in scores if not score.training.learned]
    unskilled = [score for score in scores if score.accuracy.holds(score.chance)]
    if unskilled:
        sentences.append(
            f"At {_crfs(unskilled)} the interval includes chance ({percent(unskilled[0].chance)}): "
            "no skill is shown there."
        )
    bare = []
    for score in scores:
        control = controls.get(score.classifier, {}).get(score.crf)
        if control is None:
            bare.append(score)
        else:
            sentences += _against(score, control)
    if bare:
        sentences.append(
            f"The scores of {_crfs(bare)} stand without their controls: what else could explain them was not looked at."
        )
    return sentences


def _not_learned(score: Score) -> str:
    return (
        f"At crf {score.crf} {score.classifier} did not learn: it names {percent(score.training.accuracy)} of its own "
        f"training clips, which does not leave chance ({percent(score.chance)}). Its scores there say nothing of the "
        "method."
    )


def _against(score: Score, control: Controls) -> list[str]:
    """What the controls of a score say against it."""
    sentences, where = [], f"At crf {score.crf}"
    own, trivial, background = score.accuracy, control.trivial.value, control.background
    if own.value <= control.chance[1]:
        sentences.append(
            f"{where} the score of {percent(own.value)} lies within what permuted labels reach (up to "
            f"{percent(control.chance[1])}): no skill is shown there."
        )
    if trivial >= own.low:
        how = "as good as the classifier" if trivial >= own.value else "inside the classifier's interval"
        sentences.append(
            f"{where} trivial cues alone ({listed(control.cues)}) name {percent(trivial)} of the videos, {how}: "
            "the score need not come from the faces."
        )
    if background and control.is_defect:
        sentences.append(
            f"{where} the background alone names {percent(background.value)} of the videos, above chance "
            f"({percent(control.chance_level)}), though its pixels must be the same for all generators: a defect in "
            "the data or in the region. Do not rely on this quality's scores before it is found."
        )
    elif background and control.above_chance:
        sentences.append(
            f"{where} the background alone names {percent(background.value)} of the videos: the encoder carries traces "
            "of the face into it (codec coupling), so part of the score need not come from the face."
        )
    return sentences


def _crfs(scores: list[Score]) -> str:
    return listed([f"crf {score.crf}" for score in scores])


def _learning(scores: list[Score]) -> str | None:
    logs = {f"crf {score.crf}": score.log for score in scores if score.log is not None and len(score.log)}
    if not logs:
        return None
    chart = figures.learning_chart(logs, scores[0].chance)
    return pictures.embedded(chart, "image/svg+xml")


def _reliability(scores: list[Score]) -> str | None:
    panels = {}
    for score in scores:
        error = score.figures["ece"]
        title = f"crf {score.crf}" + (f": calibration error {error.value:.2f}" if error else "")
        panels[title] = score.reliability
    return pictures.embedded(figures.reliability_chart(panels), "image/svg+xml") if panels else None


def bounds_text(estimate: Estimate | None, key: str = "accuracy") -> str:
    """A figure with its interval: `60 % (31 to 83)` for a share, `0.63 (0.40 to 0.81)` else; a dash for None."""
    if estimate is None:
        return "–"
    if not estimate.bounded:
        return f"{estimate.value:.2f}"
    share = key == "recall" or any(named.key == key and named.share for named in NAMED)
    if share:
        return f"{percent(estimate.value)} ({100 * estimate.low:.0f} to {100 * estimate.high:.0f})"
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"


def percent(share: float | None) -> str:
    """A share as a whole per cent; a dash for None."""
    return "–" if share is None else f"{100 * share:.0f} %"
