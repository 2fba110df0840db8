"""Where everything is below the results folder; the workflow's rules and every reader take paths from here.

The arguments may be wildcards (`"{clip}"`), which is how the rules use them.
"""

from dataclasses import dataclass
from pathlib import Path

from dfdm.base.errors import DfdmError
from dfdm.base.names import REAL, Encoded, VideoName
from dfdm.catalogue.config import Config

FORGOTTEN = "forgotten"
UNRECORDED = (
    ".lock",
    "benchmarks",
    "config",
    "logs",
    "state",
    FORGOTTEN,
)  # in a results folder, what is no stage's output


class _Place:
    """A path below the results folder that takes no arguments."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __get__(self, layout: "Layout", owner: type["Layout"]) -> str:
        return f"{layout.results}/{self.path}"


@dataclass(frozen=True)
class Layout:
    """Paths below one results folder."""

    results: str

    predictor = _Place("sources/predictor.json")
    """The record of the landmark predictor's file."""
    identity = _Place("sources/identity.json")
    """The record of the face recognition network's file."""
    dataset = _Place("dataset")
    """The folder of the encoded videos."""
    crops_root = _Place("crops")
    """The folder of the crops."""
    comparison = _Place("attribution/comparison.json")
    """The classifiers side by side."""
    unseen = _Place("attribution/unseen.json")
    """The classifiers on people nobody saw; unseen.parquet, every prediction, is next to it."""
    regions_root = _Place("regions")
    """The folder of the regions."""
    report = _Place("report.html")
    """The report."""
    benchmarks = _Place("benchmarks")
    """The folder of the benchmarks; each stage has a folder in it."""

    def source(self, scene_key: str) -> str:
        """The record of a scene's video."""
        return f"{self.results}/sources/{scene_key}.json"

    def track(self, scene_key: str) -> str:
        """The face track of a scene."""
        return f"{self.results}/faces/{scene_key}.npz"

    def checkpoint(self, pair: str, model: str) -> str:
        """The weights of one training; loss.csv and preview.png are next to them."""
        return f"{self.results}/train/{pair}/{model}/model.safetensors"

    def training_file(self, pair: str, model: str, name: str) -> str:
        """A file next to the weights: loss.csv or preview.png."""
        return str(Path(self.checkpoint(pair, model)).with_name(name))

    def video(self, clip: str, model: str, crf: int | str) -> str:
        """An encoded video; its sidecar is next to it."""
        return f"{self.dataset}/DFDM_crf{crf}/{model}/{clip}_{model}.mp4"

    def sidecar(self, clip: str, model: str, crf: int | str) -> str:
        """The JSON next to an encoded video."""
        return f"{self.dataset}/DFDM_crf{crf}/{model}/{clip}_{model}.json"

    def crops(self, clip: str, model: str, crf: int | str) -> str:
        """The crops of an encoded video."""
        return f"{self.crops_root}/crf{crf}/{model}/{clip}_{model}.safetensors"

    def changed(self, clip: str, model: str) -> str:
        """The pixels that a master does not have from the original; what was blended is next to it."""
        return f"{self.results}/masks/{model}/{clip}_{model}.mp4"

    def blend(self, clip: str, model: str) -> str:
        """The masks that a master was blended with, by what determines them."""
        return f"{self.results}/masks/{model}/{clip}_{model}.safetensors"

    def manifest(self, target: str) -> str:
        """The manifest of a target; the CSV is next to it."""
        return f"{self.results}/manifests/{target}.parquet"

    def run(self, run: str, name: str = "model.safetensors") -> str:
        """A file of one training of a classifier (model.safetensors, log.csv, training.json)."""
        return f"{self.results}/attribution/{run}/{name}"

    def scores(self, run: str, crf: int | str, name: str = "scores.json", treatment: str | None = None) -> str:
        """How a trained classifier does on the test videos of one quality, treated or as they are: scores.json or
        predictions.parquet.
        """
        return f"{self.results}/attribution/{run}/test_crf{crf}{f'_{treatment}' if treatment else ''}/{name}"

    def tune(self, classifier: str) -> str:
        """The learning rates tried for a classifier and the one that validation chose."""
        return f"{self.results}/attribution/{classifier}/tune.json"

    def region(self, clip: str) -> str:
        """What any model changed of a clip's frames, grown from the mask's polygon."""
        return f"{self.regions_root}/{clip}.safetensors"

    def controls(self, classifier: str, crf: int | str) -> str:
        """The controls of a classifier's scores at one quality."""
        return f"{self.results}/controls/{classifier}/crf{crf}.json"

    def evaluate(self, pair: str, model: str) -> str:
        """How good one training's swaps are."""
        return f"{self.results}/evaluate/{pair}/{model}.json"

    def forgotten(self, person: str) -> str:
        """What went of a person whom the results folder has forgotten."""
        return f"{self.results}/{FORGOTTEN}/{person}.json"

    def log(self, *parts: str) -> str:
        """The log of a job."""
        return f"{self.results}/logs/{'/'.join(parts)}.log"

    def benchmark(self, *parts: str) -> str:
        """Snakemake's time and memory figures of a job."""
        return f"{self.benchmarks}/{'/'.join(parts)}.tsv"


def stage_of(rule: str) -> str:
    """The stage of a rule that runs a command: its name, and `train` of every autoencoder's."""
    return "train" if rule.startswith("train_") else rule


def targets(cfg: Config) -> list[str]:
    """The named targets that are sets of videos: dataset, each model, each quality, each of both."""
    qualities = [f"crf{crf}" for crf in cfg.qualities]
    both = [f"{model}_{quality}" for model in cfg.models for quality in qualities]
    return ["dataset", *cfg.models, *qualities, *both]


def videos_of(cfg: Config, target: str) -> list[Encoded]:
    """The encoded videos of a target, swaps first; originals belong to `dataset` and to the qualities."""
    if target not in targets(cfg):
        raise DfdmError(f"'{target}' is not a target of this config; known are {', '.join(targets(cfg))}")
    models = [model for model in cfg.models if target in ("dataset", model) or target.startswith(f"{model}_crf")]
    models = models or list(cfg.models)
    qualities = [crf for crf in cfg.qualities if target.endswith(f"crf{crf}")] or cfg.qualities
    swaps = [VideoName(clip.video_id, clip.face_id, clip.scene, model) for model in models for clip in cfg.clips]
    originals = originals_of(cfg) if target == "dataset" or target.startswith("crf") else []
    return [Encoded(name, crf) for crf in qualities for name in [*swaps, *originals]]


def originals_of(cfg: Config) -> list[VideoName]:
    """The unswapped scenes of the swaps: every scene whose frames a swap shows."""
    scenes = dict.fromkeys((clip.video_id, clip.scene) for clip in cfg.clips)
    return [VideoName(video_id, None, scene, REAL) for video_id, scene in scenes]
