"""The settings of the autoencoders: training, rendering, evaluation. Defaults are the full-size ones."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from dfdm.base.errors import DfdmError
from dfdm.base.section import BelowOne, Count, FileRef, Section, Share, Switch, sentence

Centering = Literal["legacy", "face", "head"]


class TrainConfig(Section):
    """One autoencoder's training (docs/architectures.md, Training and Augmentation)."""

    width: Annotated[float, Field(gt=0, le=1)] = 1.0
    batch: Count = 16  # faces a side
    iterations: Count = 100_000
    lr: Annotated[float, Field(gt=0)] = 5e-5
    decay: Share = 0.0  # share of the iterations, at the end, over which the rate falls linearly to 0
    beta1: BelowOne = 0.5
    beta2: BelowOne = 0.99
    epsilon: Annotated[float, Field(gt=0)] = 1e-7
    centering: Centering = "face"
    coverage: Annotated[float, Field(gt=0.5, le=1)] = 0.875
    mask: Literal["components", "extended"] = "extended"
    augment_size: Literal["model", "384"] = "model"
    color_augment: Switch = True
    clahe_chance: Share = 0.5
    warp_sigma: Share | None = None  # spread of the warp grid, a share of the face; None: 5/256, at 384 5/384
    held_out: BelowOne = 0.1  # last share of a scene's frames with a face, never trained on
    max_faces: Count = 10_000  # a person; of more, evenly spread ones; what they need in memory: docs/training.md
    threads: Count = 1  # changes the bytes, so it is a config value
    workers: Count = 1  # threads that prepare batches ahead; changes no bytes. More where a GPU waits for them
    channels_last: Switch = True
    amp: Switch = False  # half precision on CUDA, bfloat16 on a CPU that has it; its bytes depend on the kind of CPU
    compile: Switch = False
    save_every: Count = 250
    preview_every: Count = 1000
    keep: Count = 2  # states kept
    keep_finished: Switch = True  # the newest state after the model is written; raising iterations goes on from it
    on_nan: Literal["stop", "rollback"] = "stop"  # at a loss that is no number or explodes; docs/training.md
    start_from: str | None = None  # model.safetensors or state_*.pt to begin with; {pair} and {model} are filled in

    def start_file(self, model: str, pair: tuple[str, str]) -> Path | None:
        """The file whose weights this training begins with, None where it begins from the seed."""
        if self.start_from is None:
            return None
        return Path(self.start_from.replace("{model}", model).replace("{pair}", "_".join(pair))).expanduser()


class RenderConfig(Section):
    """Conversion of a scene's frames (docs/architectures.md, Conversion)."""

    convert_crop: Literal["exact", "2021"] = "exact"
    mask: Literal["components", "extended"] = "extended"
    mask_blur: Annotated[float, Field(ge=0, le=50)] = 3.0  # kernel in px at 128 px; 0: none
    mask_threshold: Annotated[float, Field(ge=0, lt=50)] = 4.0  # per cent
    erosion: Annotated[float, Field(ge=-50, le=50)] = 0.0  # per cent of the mask's size
    edge: Annotated[float, Field(ge=0, lt=0.25)] = 0.0  # share of the crop over which the mask fades out at its edges
    color: Literal["avg", "reinhard", "histogram", "none"] = "avg"  # what of the old face's colours the new one takes
    blend: Literal["alpha", "seamless"] = "alpha"  # seamless: Poisson, then alpha
    smooth: Annotated[float, Field(ge=0, le=10)] = 0.0  # Gaussian over time on the landmarks, sigma in frames
    batch: Count = 16
    threads: Count = 1


class EvaluateConfig(Section):
    """How good the swaps are, on frames that no training saw (docs/architectures.md, Evaluation)."""

    identity: FileRef | None = None  # dlib's face recognition network; None: identity is not measured
    frames: Count = 32  # a clip at most: the first of its held-out ones
    references: Count = 16  # a person's trained faces whose mean embedding stands for the person


def train_settings(values: dict[str, Any]) -> TrainConfig:
    """Training settings from plain values over the defaults; the first fault is one sentence naming its key."""
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        raise DfdmError(sentence(error)) from None
