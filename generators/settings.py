"""The settings of the autoencoders: training, rendering, evaluation. Defaults are the full-size ones."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationError

from dfdm.base.errors import DfdmError
from dfdm.base.files import at_home
from dfdm.base.section import (
    BelowOne,
    Count,
    FileRef,
    Half,
    Number,
    OnNan,
    Section,
    Share,
    Switch,
    Threads,
    sentence,
    usable,
)

Mask = Literal["components", "extended"]
Centering = Literal["legacy", "face", "head"]


def _filled(text: str, model: str, pair: str) -> str:
    return text.replace("{model}", model).replace("{pair}", pair)


def _usable_start(text: str) -> str:
    usable(_filled(text, "iae", "id0_id1"))
    return text


class _Counted(Section):
    """Settings whose hash stays when a version adds a key."""

    added: ClassVar[frozenset[str]]  # such keys: out of the hash at their default, which does as the versions before

    def counted(self, *without: str) -> dict[str, Any]:
        """The settings as a hash sees them, `without` those that change no bytes."""
        unused = self.added - self.model_dump(exclude_defaults=True).keys()
        return self.model_dump(exclude={*unused, *without})


class TrainConfig(_Counted):
    """One autoencoder's training (docs/architectures.md, Training and Augmentation)."""

    added = frozenset({"mask_blur", "mask_dilation", "eye_weight", "mouth_weight", "gradient"})

    width: Number = Field(1.0, gt=0, le=1, description="Factor on every hidden channel count and dense unit")
    batch: Count = Field(16, description="Faces of each person in an iteration")
    iterations: Count = Field(100_000, description="Optimizer steps")
    lr: Number = Field(5e-5, gt=0, description="Learning rate of Adam")
    decay: Share = Field(0.0, description="Share of the iterations, at the end, in which lr falls linearly to 0")
    beta1: BelowOne = Field(0.5, description="Decay rate of Adam's mean gradient")
    beta2: BelowOne = Field(0.99, description="Decay rate of Adam's mean squared gradient")
    epsilon: Number = Field(1e-7, gt=0, description="Adam's guard against a division by zero")
    centering: Centering = Field("face", description="Centre of the face crop (docs/architectures.md, Faces)")
    coverage: Number = Field(0.875, gt=0.5, le=1, description="Share of the crop's side that the network sees")
    mask: Mask = Field("extended", description="Face mask of the loss; extended reaches above the brows")
    mask_blur: Number = Field(
        3.0, ge=0, le=50, description="Kernel in px that blurs the loss's mask of 128 px; 0: none"
    )
    mask_dilation: Number = Field(
        0.0, ge=-50, le=50, description="Grows the loss's mask, in % of its size; below 0: shrinks it"
    )
    eye_weight: Number = Field(3.0, ge=0, description="Weight of the eyes' DSSIM in the loss; that of the face is 1")
    mouth_weight: Number = Field(2.0, ge=0, description="Weight of the mouth's DSSIM in the loss")
    augment_size: Literal["model", "384"] = Field("model", description="Side in px at which faces are augmented")
    color_augment: Switch = Field(True, description="Vary the colours of the training faces")
    clahe_chance: Share = Field(0.5, description="Chance of local contrast equalisation, where colours are varied")
    warp_sigma: Share | None = Field(
        None, description="Spread of the warp as a share of the face; null: 5/256, or 5/384 with augment_size 384"
    )
    gradient: Number = Field(
        0.0, ge=0, le=1000, description="Weight of a loss of the face's gradients; 0: none, as the original"
    )
    held_out: BelowOne = Field(0.1, description="Share of a scene's faces, at its end, that is never trained on")
    max_faces: Count = Field(10_000, description="Most faces of a person in memory; of more, evenly spread ones")
    threads: Threads = 1
    workers: Count = Field(1, description="Threads that prepare batches ahead; more where a GPU waits for them")
    channels_last: Switch = Field(True, description="Tensors in channels-last order, faster on most machines")
    amp: Half = False
    compile: Switch = Field(False, description="Compile the network with torch.compile")
    save_every: Count = Field(250, description="Iterations between saved states")
    preview_every: Count = Field(1000, description="Iterations between previews")
    keep: Count = Field(2, description="Saved states that are kept while it trains")
    keep_finished: Switch = Field(True, description="Keep the last state, so that more iterations can continue from it")
    on_nan: OnNan = "stop"
    start_from: Annotated[str, AfterValidator(_usable_start)] | None = Field(
        None, description="Weights to start from; {pair} and {model} are filled in; null: random weights"
    )

    def hashed(self) -> dict[str, Any]:
        """The settings that determine a training's bytes.

        on_nan and save_every decide where a training that diverged continues, so they change the bytes of such a one
        alone; they stay out, so that setting on_nan after a failure continues from the existing state.
        """
        return self.counted("save_every", "preview_every", "keep", "keep_finished", "on_nan", "workers")

    def start_file(self, model: str, pair: tuple[str, str]) -> Path | None:
        """The file whose weights this training begins with, None where it begins from the seed."""
        if self.start_from is None:
            return None
        return at_home(_filled(self.start_from, model, "_".join(pair)))


class RenderConfig(_Counted):
    """Conversion of a scene's frames (docs/architectures.md, Conversion)."""

    added = frozenset({"face_scale"})

    convert_crop: Literal["exact", "2021"] = Field("exact", description="2021: as the original then, 9 % too large")
    mask: Mask = Field("extended", description="Mask of the new face; extended reaches above the brows")
    mask_blur: Number = Field(3.0, ge=0, le=50, description="Kernel in px that blurs the mask of 128 px; 0: none")
    mask_threshold: Number = Field(4.0, ge=0, lt=50, description="Mask values within this % of 0 or 1 are set to them")
    erosion: Number = Field(0.0, ge=-50, le=50, description="Shrinks the mask, in % of its size; below 0: grows it")
    face_scale: Number = Field(0.0, ge=-10, le=10, description="Draws the new face this % larger; below 0: smaller")
    edge: Number = Field(0.0, ge=0, lt=0.25, description="Share of the crop over which the mask fades out at its edges")
    color: Literal["avg", "local", "reinhard", "histogram", "none"] = Field(
        "avg", description="Colour match to the old face; local: of each part of the face (docs/architectures.md)"
    )
    blend: Literal["alpha", "seamless"] = Field("alpha", description="seamless: Poisson blending before the alpha one")
    smooth: Number = Field(0.0, ge=0, le=10, description="Sigma in frames of a Gaussian over the landmarks; 0: none")
    batch: Count = Field(16, description="Frames that pass the network at once")
    threads: Threads = 1

    def placing(self) -> dict[str, Any]:
        """The settings that decide where a face is put and the mask that it is blended with."""
        return self.counted("color", "blend", "batch", "threads")


class EvaluateConfig(Section):
    """How good the swaps are, on frames that no training saw (docs/architectures.md, Evaluation)."""

    identity: FileRef | None = Field(None, description="dlib's recognition network; null: identity is not measured")
    frames: Count = Field(32, description="Most frames of a clip: the first held-out ones")
    references: Count = Field(16, description="Trained faces of a person whose mean embedding represents that person")


def train_settings(values: dict[str, Any]) -> TrainConfig:
    """Training settings from plain values over the defaults; the first fault is one sentence naming its key."""
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        raise DfdmError(sentence(error)) from None
