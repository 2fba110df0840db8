"""Which config keys determine each stage's bytes: the one place that says so.

The workflow's rules carry these as params (a change reruns the stage and what follows), the training state is
kept under their hash, and the hash in each video's metadata is made of them and of the input files. What is not
here (device, where files are, how often a preview is made) changes no bytes and reruns nothing.
"""

from typing import Any

from attribution import models as classifiers
from dfdm.base.section import FileRef
from dfdm.catalogue.config import Config
from dfdm.media import detectors
from generators import models

NUMBERS: dict[str, int] = {}  # of the code of stages that have come to write other bytes; of the others 1


def number(stage: str) -> int:
    """The number of a stage's code: outputs of another one are made again."""
    return NUMBERS.get(stage, 1)


def reference(cfg: Config, file: FileRef) -> dict[str, str]:
    """A file as config names it, without its folder: a path, or package, hash and member."""
    if file.path is not None:
        return {"path": file.path}
    name, member = file.in_package
    package = cfg.sources.packages[name]
    return {"package": f"{package.name} {package.version}", "sha256": package.sha256, "member": member}


def source_keys(cfg: Config, scene_key: str) -> dict[str, Any]:
    """A scene: its video and its frames."""
    scene = cfg.scene(scene_key)
    return {"reference": reference(cfg, scene), "frames": list(scene.frames) if scene.frames else None}


def faces_keys(cfg: Config) -> dict[str, Any]:
    """Detection and tracking."""
    # the weights' hashes are in the predictor's record
    keys = cfg.faces.model_dump(exclude={"predictor", "weights", "on_missing"}) | detectors.package(cfg.faces.detector)
    keys["predictor"] = reference(cfg, cfg.faces.predictor) if cfg.faces.predictor else None
    return keys


def train_keys(cfg: Config, model: str) -> dict[str, Any]:
    """One model's training."""
    return {"model": model, **models.package(model), "seed": cfg.seed, **cfg.settings(model).hashed()}


def state_keys(cfg: Config, model: str) -> dict[str, Any]:
    """One model's resumable state: at a constant rate more iterations continue from the same state.

    `start_from` counts by the file's content, which the stage adds, not by where it is.
    """
    keys = train_keys(cfg, model)
    del keys["start_from"]
    if not keys["decay"]:
        del keys["iterations"]
    return keys


def encode_keys(cfg: Config) -> dict[str, Any]:
    """The encoder, at every quality."""
    return cfg.encode.model_dump()


def render_keys(cfg: Config) -> dict[str, Any]:
    """Rendering a swap and writing its crf 0 master."""
    return {**cfg.render.model_dump(), "encode": encode_keys(cfg)}


def identity_keys(cfg: Config) -> dict[str, str] | None:
    """The face recognition network, where there is one."""
    return reference(cfg, cfg.evaluate.identity) if cfg.evaluate.identity else None


def evaluate_keys(cfg: Config, model: str) -> dict[str, Any]:
    """Measuring one model's swaps: the frames, the detector that looks at them, the mask they were rendered with."""
    return {
        **cfg.evaluate.model_dump(exclude={"identity"}),
        "identity": identity_keys(cfg),
        "held_out": cfg.settings(model).held_out,
        "faces": faces_keys(cfg),
        "render": cfg.render.model_dump(),
    }


def crops_keys(cfg: Config) -> dict[str, Any]:
    """Face crops."""
    return cfg.crops.model_dump()


def manifest_keys(cfg: Config) -> dict[str, Any]:
    """The manifest's own columns: splits and licences."""
    people = {
        person: [entry.licence, entry.consent, *sorted(entry.scenes)] for person, entry in cfg.sources.people.items()
    }
    return {"seed": cfg.seed, "splits": cfg.splits.model_dump(), "people": people}


def classifier_keys(cfg: Config, classifier: str) -> dict[str, Any]:
    """A classifier's training; the rate that validation chose for it is an input of its own."""
    settings = cfg.classifier(classifier)
    return {"classes": cfg.classes, **classifiers.package(settings.model), **settings.hashed()}


def tune_keys(cfg: Config, classifier: str) -> dict[str, Any]:
    """The choice of a classifier's rate."""
    one = cfg.comparison
    assert one is not None
    tried = {"rates": one.rates, "tune_epochs": one.tune_epochs, "crf": one.crf, "seed": one.seeds[0]}
    return {**tried, **classifier_keys(cfg, classifier)}


def score_keys(cfg: Config) -> dict[str, Any]:
    """A trained classifier's scores: how it works is in its file, the videos' parts are in the manifest."""
    return {"classes": cfg.classes}


def control_keys(cfg: Config) -> dict[str, Any] | None:
    """The controls."""
    if cfg.controls is None:
        return None
    return {"seed": cfg.seed, "split": cfg.attribution.split, **cfg.controls.model_dump(exclude={"classifiers"})}


def comparison_keys(cfg: Config) -> dict[str, Any] | None:
    """What is set side by side."""
    return cfg.comparison.model_dump() if cfg.comparison else None


def report_keys(cfg: Config) -> dict[str, Any]:
    """The report's own: which videos, models and people it shows; what it reads are its inputs."""
    return {
        "swaps": [clip.clip for clip in cfg.clips],
        "crf": cfg.qualities,
        "comparison": comparison_keys(cfg),
        "controls": cfg.controls.model_dump() if cfg.controls else None,
        "train": {model: train_keys(cfg, model) for model in cfg.models},
        "people": {person: entry.model_dump(exclude={"scenes"}) for person, entry in cfg.sources.people.items()},
    }
