"""The result files of classifiers, as their writers fill them and every reader gets them (docs/data.md, Files)."""

from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field, model_validator

from attribution.run import Run
from dfdm.base.names import REAL
from dfdm.base.stored import OPEN, Stored
from dfdm.base.text import percent

Frames = Annotated[dict[str, int], OPEN]  # face frames by video
CueClassifier = Literal["logistic regression", "gradient boosting"]


class Interval(Stored):
    """A value and its 95 % interval (None: there is none); no value: it is undefined."""

    value: float | None
    low: float | None
    high: float | None


class Figure(Interval):
    """A figure of a test and how its interval was made."""

    method: str


class Bounded(Figure):
    """A figure that has an interval."""

    value: float
    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether a value is in the interval."""
        return self.low <= value <= self.high

    @property
    def ends(self) -> str:
        """The interval of a share in words."""
        return f"{percent(self.low, 1)} to {percent(self.high, 1)}"


class Figures(Stored):
    """The figures over all classes."""

    accuracy: Bounded
    balanced_accuracy: Figure
    macro_f1: Figure
    auc: Figure
    ece: Figure


class Bin(Stored):
    """The test videos whose highest probability is in (low, high]; confidence: its mean; accuracy: share right."""

    low: float
    high: float
    videos: int
    confidence: float | None
    accuracy: float | None


class OneTest(Stored):
    """One test (attribution.score): recall and AUC of a class without a video are None; rows of confusion: truth."""

    keyed: ClassVar = dict.fromkeys(("videos_per_class", "recall", "auc"), "classes")

    classes: list[str]
    videos: int
    videos_per_class: dict[str, int]
    clusters: int
    chance: float
    figures: Figures
    recall: dict[str, Bounded | None]
    auc: dict[str, Figure | None]
    confusion: list[list[int]]
    reliability: list[Bin]


class OfRun(Stored):
    """Which training a file belongs to (attribution.run.Run), and the network that its classifier is."""

    classifier: str
    model: str
    split: str
    crf: str
    seed: int

    def as_run(self) -> Run:
        """The training."""
        return Run(self.classifier, self.split, self.crf, self.seed)


class Parts(Stored):
    """Videos of the two parts that a training reads."""

    train: int
    validation: int


class LeftOut(Stored):
    """Videos with fewer face frames than a clip has, by part."""

    train: Frames
    validation: Frames


class LeftOutOfTest(LeftOut):
    """Those of the test part too."""

    test: Frames

    @property
    def lines(self) -> list[str]:
        """A line a video: `part: name (frames)`."""
        parts: dict[str, Frames] = dict(self)
        return [f"{part}: {name} ({n} frames)" for part, videos in parts.items() for name, n in videos.items()]


class RealBound(Stored):
    """The swap evidence above which a video is called a swap: the highest of so many real videos of so many people."""

    threshold: float
    videos: int
    people: int

    @property
    def stranger(self) -> float:
        """The least chance at which a real video of one more person, alike these, is above it."""
        return 1 / (self.people + 1)


class OpenSet(Stored):
    """The bounds of an answer (attribution.openset.describe): of "none of these", from validation's swaps, with the
    share at or below it; and of "real or unknown", where `real` is a class.
    """

    score: Literal["energy"]
    threshold: float
    accepted: float
    videos: int
    real: RealBound | None = None


class Training(OfRun):
    """training.json, and what the model's file says of itself; `epoch` is the one that validation chose.

    Training accuracy is that of the last epoch's clips; multiply-adds are a clip's.
    """

    stage = "attribution_train"

    run: str
    settings: Annotated[dict[str, Any], OPEN]  # attribution.settings.AttributionConfig of the version that trained
    lr: float
    rollbacks: list[int]
    classes: list[str]
    epoch: int
    epochs: int
    steps: int
    videos: Parts
    left_out: LeftOut
    training_accuracy: float
    training_clips: int
    learned: bool
    validation_accuracy: float
    validation_loss: float
    parameters: int
    multiply_adds: int
    open_set: OpenSet


class Speed(Stored):
    """speed.json: of the process that trained; None where it took no step."""

    stage = "attribution_train"

    clips_per_second: float | None
    seconds: float
    device: str


class Tried(Stored):
    """A learning rate and what validation says of it; no figures where the training diverged."""

    lr: float = Field(gt=0)
    validation_accuracy: float | None = None
    validation_loss: float | None = None
    diverged: bool = False

    @model_validator(mode="after")
    def _measured(self) -> "Tried":
        if not self.diverged and None in (self.validation_accuracy, self.validation_loss):
            raise ValueError("validation_accuracy or validation_loss is missing")
        return self


class Tune(Stored):
    """The learning rates tried for a classifier, and the one that validation chose."""

    stage = "attribution_tune"

    classifier: str
    lr: float = Field(gt=0)
    epochs: int
    crf: str
    tried: list[Tried]


class Scores(OneTest):
    """scores.json: a training on the test videos of one quality, treated (attribution.treatments) or as they are.

    `autoencoder_saw`: the share of those videos' frames that the autoencoders were trained on (None: not known).
    """

    stage = "attribution_score"

    run: OfRun
    crf: int
    treatment: str | None = None
    training: Training
    left_out: LeftOutOfTest
    autoencoder_saw: float | None


class Permuted(Stored):
    """A small head on frozen features, learned with permuted labels: accuracies, their middle 95 %.

    `true`: the accuracy of the same head learned with the true labels.
    """

    accuracies: list[float]
    low: float
    high: float
    true: float
    features: str
    permutations: int


class CueScores(OneTest):
    """The scores of trivial cues: which, the classifier that validation chose, validation's accuracy of each."""

    keyed: ClassVar = {**OneTest.keyed, "validation_accuracy": "classifiers"}
    classifiers: ClassVar = get_args(CueClassifier)

    cues: list[str]
    chosen: CueClassifier
    validation_accuracy: dict[CueClassifier, float]


class Background(Stored):
    """The scores of a classifier that saw the background alone, what they should be, and what they say."""

    figures: Figures
    chance: float
    expected: Literal["chance", "codec coupling"]
    above_chance: bool
    finding: str

    @property
    def is_defect(self) -> bool:
        """Whether it names generators although its pixels must be the same for all."""
        return self.above_chance and self.expected == "chance"


class Originals(Stored):
    """What a classifier says of unswapped videos: predicted classes, share "none of these", share accused (any answer
    but "real or unknown"), mean top probability.
    """

    videos: int
    predicted: dict[str, int]
    none_of_these: float
    accused: float
    confidence: float


class Controls(Stored):
    """The controls of one score; background, originals: None where there was nothing to score.

    A figure (`Bounded`, or `Figure | None`) with a title is a line of the report, its description the note beside it.
    """

    stage = "controls"
    keyed: ClassVar = {"originals.predicted": "trivial.classes"}

    classifier: str
    crf: int
    split: str
    accuracy: Bounded = Field(title="its accuracy", description="trained and scored on this quality, one seed")
    permuted: Permuted
    trivial: CueScores
    background: Background | None
    originals: Originals | None


class Budget(Stored):
    """What every classifier of a comparison was given; a list where it differs between them."""

    batch: int | list[int]
    clip: int | list[int]
    epochs: int | list[int]
    rates: list[float]
    size: int | list[int]
    steps: int | list[int]
    tune_epochs: int


class Entry(Stored):
    """A classifier of a comparison; accuracy and macro F1 over all its seeds, multiply-adds of a clip."""

    classifier: str
    model: str
    learned: bool
    rate: float
    seeds: list[int]
    accuracies: list[float]  # of each seed
    accuracy: Bounded
    macro_f1: Figure
    parameters: int
    multiply_adds: int
    clips_per_second: float | None  # of training; None: not measured


class Difference(Interval):
    """Of two accuracies, paired."""

    value: float


class Beats(Stored):
    """Whether classifier a beats b, and why or why not, as a sentence."""

    a: str
    b: str
    difference: Difference
    beats: bool
    why: str


class Cell(Stored):
    """A classifier trained on one quality (or all) and scored on another."""

    classifier: str
    split: str
    train: str
    test: int
    accuracy: Bounded


class Comparison(Stored):
    """comparison.json: classifiers side by side; `missing`: scores and rates that were not there yet."""

    stage = "attribution_comparison"

    crf: int
    split: str
    budget: Budget
    table: list[Entry]
    beats: list[Beats]
    matrix: list[Cell]
    missing: list[str]

    @property
    def ranked(self) -> list[Entry]:
        """The classifiers that learned, the best first."""
        return sorted((line for line in self.table if line.learned), key=lambda line: -line.accuracy.value)

    @property
    def not_learned(self) -> list[Entry]:
        """The others: they are not ranked."""
        return [line for line in self.table if not line.learned]

    @property
    def contests(self) -> list[Beats]:
        """Who beats whom, of those that learned."""
        learned = {line.classifier for line in self.ranked}
        return [pair for pair in self.beats if {pair.a, pair.b} <= learned]


class Among(Stored):
    """How often the classes of a group are told apart among themselves."""

    group: str
    chance: float
    accuracy: Interval


class UnseenLine(Stored):
    """A classifier on people nobody saw: the mean over the folds, over seeds, of swaps named rightly.

    `test` is the quality and the treatment, if any: `10`, `10 vp9`.

    Folds and directions (`id0_id1`: id0's frames with id1's face) have their own means; rows of confusion: truth.
    """

    classifier: str
    train: str
    test: str
    seeds: list[int]
    chance: float
    accuracy: Interval
    among: list[Among]
    folds: Annotated[dict[str, float], OPEN]
    directions: Annotated[dict[str, float], OPEN]
    classes: list[str]
    confusion: list[list[int]]

    @property
    def accused(self) -> tuple[int, int] | None:
        """Real videos that were called a model, of all; None where there were none, or `real` is no class."""
        if REAL not in self.classes:
            return None
        place = self.classes.index(REAL)
        row = self.confusion[place]
        return (sum(row) - row[place], sum(row)) if sum(row) else None


class Gap(Stored):
    """The paired difference of two classifiers on the same videos."""

    a: str
    b: str
    train: str
    test: str
    difference: Interval


class Unseen(Stored):
    """unseen.json: classifiers in every fold of people; intervals delete one person at a time."""

    stage = "attribution_unseen"

    lines: list[UnseenLine]
    gaps: list[Gap]
