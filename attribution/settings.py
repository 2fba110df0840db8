"""The settings of the classifiers, their comparison and their controls. Defaults are the full-size ones."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from dfdm.base.section import BelowOne, Count, Section, Share, Switch

Classifier = Annotated[str, Field(pattern="^[a-z][a-z0-9]*(_[a-z0-9]+)*$")]


class AttributionConfig(Section):
    """The classifier (docs/attribution.md)."""

    model: str = "dma_sta"
    depth: Literal[18, 34, 50, 101] = 50  # of the models that are ResNets; others do not look at it
    options: dict[str, Any] = {}  # what only this model has (attribution/models/<model>.py, build)
    split: Literal["scene", "identity"] = "scene"
    resize: Count = 256  # shorter side before the centre crop
    size: Count = 224
    clip: Annotated[int, Field(ge=2)] = 10  # consecutive frames
    test_clips: Count = 5  # fixed clips a video when scoring; their logits are averaged
    pixels: Literal["resized", "native"] = "resized"  # native: the crop's own pixels around the face, never resized
    region: Literal["all", "background"] = "all"  # background: what no model changed; a control (docs/attribution.md)
    real: Switch = False  # unswapped scenes are a class of their own, `real`
    batch: Count = 20
    epochs: Count = 299
    clips_per_epoch: Count = 1  # a video
    optimizer: Literal["sgd", "adamw"] = "sgd"
    schedule: Literal["steps", "cosine"] = "steps"  # cosine: from lr to 0 over all steps
    lr: Annotated[float, Field(gt=0)] = 1e-3  # effective
    milestones: list[Count] = [40]  # of `steps`: epochs from which the rate is times gamma
    gamma: Share = 0.1
    momentum: Share = 0.9  # of sgd
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    label_smoothing: BelowOne = 0.0
    mixup: Annotated[float, Field(ge=0, le=10)] = 0.0  # alpha of the Beta that mixes two clips; 0: off
    on_nan: Literal["stop", "rollback"] = "stop"  # at a loss that is no number or explodes; docs/training.md
    weights: str | None = None  # pretrained weights (torchvision's file for this model)
    threads: Count = 2
    amp: Switch = False  # half precision on CUDA, bfloat16 on a CPU that has it; its bytes depend on the kind of CPU
    channels_last: Switch = True
    save_every: Count = 1  # epochs

    @model_validator(mode="after")
    def _fits(self) -> "AttributionConfig":
        if self.pixels == "resized" and self.size > self.resize:
            raise ValueError(f"size {self.size} is cut out of a crop resized to {self.resize}; make it no larger")
        if self.region == "background" and self.real:
            raise ValueError("region background goes without real: an unswapped scene has no region")
        return self


class ComparisonConfig(Section):
    """Classifiers against each other, with the same budget (docs/attribution.md, Comparison).

    A classifier is `attribution` with its own keys over it; `model` is its name unless it says another.
    """

    classifiers: dict[Classifier, dict[str, Any] | None] = Field(min_length=1)
    crf: Annotated[int, Field(ge=0, le=51, strict=True)] = 10  # the quality at which all are compared
    seeds: list[Annotated[int, Field(ge=0, strict=True)]] = Field(default=[0, 1, 2], min_length=1)
    rates: list[Annotated[float, Field(gt=0)]] = []  # each classifier takes the best by validation; []: attribution.lr
    tune_epochs: Count = 4  # of the trainings that choose the rate
    matrix: list[Classifier] = []  # also trained on every quality and on all together, scored on every quality
    splits: list[Literal["scene", "identity"]] = ["scene"]  # of the matrix


class ControlsConfig(Section):
    """What a score is worth nothing without (docs/attribution.md, Controls)."""

    classifiers: list[Classifier] = Field(min_length=1)  # whose scores are checked: of comparison, or attribution.model
    permutations: Annotated[int, Field(ge=20)] = 20
    background: Classifier | None = None  # one of comparison.classifiers with region: background; null: no such control
