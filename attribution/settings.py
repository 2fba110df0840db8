"""The settings of the classifiers, their comparison and their controls. Defaults are the full-size ones."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from dfdm.base.names import SPLIT
from dfdm.base.section import (
    BelowOne,
    Count,
    Crf,
    FilePath,
    Half,
    Number,
    Once,
    OnNan,
    Rate,
    Section,
    Seed,
    Share,
    Switch,
    Threads,
)

SplitName = Annotated[str, Field(pattern=f"^{SPLIT}$")]
Classifier = Annotated[str, Field(pattern="^[a-z][a-z0-9]*(_[a-z0-9]+)*$")]


class AttributionConfig(Section):
    """The classifier (docs/attribution.md)."""

    model: str = Field("dma_sta", description="Name of the classifier (docs/attribution.md, The models)")
    depth: Literal[18, 34, 50, 101] = Field(50, description="Layers of the classifiers that are ResNets")
    options: dict[str, Any] = Field({}, description="Settings that only this model has (docs/attribution.md)")
    split: SplitName = Field("scene", description="What divides the videos: scene, identity or one of splits.folds")
    resize: Count = Field(256, description="Shorter side in px to which a crop is resized before its centre is cut out")
    size: Count = Field(224, description="Side in px of the pictures that the network takes")
    clip: int = Field(10, strict=True, ge=2, description="Consecutive frames of a clip")
    test_clips: Count = Field(5, description="Fixed clips of a video for the scores; their logits are averaged")
    pixels: Literal["resized", "native"] = Field("resized", description="native: the crop's own pixels, never resized")
    region: Literal["all", "background"] = Field("all", description="background: what no model changed, as a control")
    real: Switch = Field(
        True, description="Whether unswapped scenes are a class, named real; without it real videos are accused"
    )
    augment: Switch = Field(
        False, description="Treat whole training clips: moved, recoloured, softened, noised, coded again"
    )
    batch: Count = Field(20, description="Clips in a step")
    epochs: Count = Field(299, description="Passes over the training videos")
    clips_per_epoch: Count = Field(1, description="Clips of a video in an epoch")
    optimizer: Literal["sgd", "adamw"] = Field("sgd", description="sgd as published, or adamw")
    schedule: Literal["steps", "cosine"] = Field("steps", description="lr falls at milestones, or to 0 over all steps")
    lr: Number = Field(1e-3, gt=0, description="Effective learning rate at the start")
    milestones: list[Count] = Field([40], description="Epochs at which lr is multiplied by gamma, with schedule steps")
    gamma: Share = Field(0.1, description="Factor on lr at a milestone")
    momentum: Share = Field(0.9, description="Momentum of sgd")
    weight_decay: Number = Field(5e-4, ge=0, description="Weight decay")
    label_smoothing: BelowOne = Field(0.0, description="Share of the target spread over all classes; 0: off")
    mixup: Number = Field(0.0, ge=0, le=10, description="Alpha of the beta distribution that mixes two clips; 0: off")
    on_nan: OnNan = "stop"
    weights: FilePath | None = Field(None, description="torchvision's pretrained weights for the model; null: random")
    threads: Threads = 2
    amp: Half = False
    channels_last: Switch = Field(True, description="Tensors in channels-last order, faster on most machines")
    save_every: Count = Field(1, description="Epochs between saved states")

    def hashed(self) -> dict[str, Any]:
        """The settings that determine a training's bytes; the split is in the videos (TrainConfig.hashed)."""
        left = {"save_every", "on_nan", "split"}
        return self.model_dump(exclude=left if self.augment else left | {"augment"})

    @model_validator(mode="after")
    def _fits(self) -> "AttributionConfig":
        if self.pixels == "resized" and self.size > self.resize:
            raise ValueError(f"size {self.size} is cut out of a crop resized to {self.resize}; make it no larger")
        if self.augment and (self.pixels == "native" or self.region == "background"):
            raise ValueError("augment treats resized pixels of whole crops; leave it out with native or background")
        if self.region == "background" and self.real:
            raise ValueError("region: background needs real: false, since an unswapped scene has no region")
        return self


class ComparisonConfig(Section):
    """Classifiers against each other, with the same budget (docs/attribution.md, Comparison)."""

    classifiers: dict[Classifier, dict[str, Any] | None] = Field(
        min_length=1, description="By name: keys over those of `attribution`; `model` is the name unless given"
    )
    crf: Crf = Field(10, description="Quality at which all are compared")
    seeds: Once[Seed] = Field([0, 1, 2], min_length=1, description="A training for each seed")
    rates: Once[Rate] = Field(
        [], description="Learning rates of which validation chooses each classifier's; none: attribution.lr"
    )
    tune_epochs: Count = Field(4, description="Epochs of the trainings that choose the rate")
    matrix: Once[Classifier] = Field([], description="Classifiers trained on each quality and all, scored on each")
    splits: Once[SplitName] = Field(["scene"], min_length=1, description="Splits of the matrix")


class UnseenConfig(Section):
    """Classifiers in each of `splits.folds` (docs/attribution.md, Unseen people)."""

    classifiers: Once[Classifier] = Field(min_length=1, description="Classifiers that train and test in every fold")
    train: Once[Crf | Literal["all"]] = Field([10], min_length=1, description="Qualities to train on; all: together")
    seeds: Once[Seed] = Field([0], min_length=1, description="A training for each seed")
    treatments: Once[str] = Field([], description="What is done to test videos (docs/attribution.md, Unseen people)")
    treated: Crf = Field(10, description="Quality of the test videos that are treated")


class ControlsConfig(Section):
    """What a score is compared with (docs/attribution.md, Controls)."""

    classifiers: Once[Classifier] = Field(min_length=1, description="Classifiers whose scores are checked")
    permutations: int = Field(20, strict=True, ge=20, description="How often the labels are permuted")
    background: Classifier | None = Field(None, description="Classifier with region background; null: no such control")
