"""The commands on classifiers: train, score, compare and check them, and name the model that made a video."""

import os
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dfdm import __version__
from dfdm.base import devices
from dfdm.base.errors import DfdmError, shown
from dfdm.base.files import at_home, digest, sha256
from dfdm.base.names import CRF, MODEL, REAL, encoded_of
from dfdm.base.records import checked, keep
from dfdm.base.text import percent
from dfdm.commands.interface import Unchecked

if TYPE_CHECKING:
    from attribution.experiment import Places
    from attribution.predictor import Predictor
    from attribution.settings import AttributionConfig
    from dfdm.catalogue.config import Config


def tune(cfg: "Config", classifier: str, manifest: Path, out: Path, results: Path | None = None) -> None:
    """Choose a classifier's learning rate among comparison.rates by validation.

    Args:
        classifier: a name in comparison.classifiers
        manifest: the manifest of comparison.crf
        out: the choice (.json)
        results: the folder that contains the results; default: the config's

    Example:
        dfdm attribution tune --classifier dma_sta --manifest results/manifests/crf10.parquet \\
          --out results/attribution/dma_sta/tune.json --config workflow/configs/five_people.yaml
    """
    devices.take(cfg.device)
    from attribution import experiment
    from attribution.run import Run

    if cfg.comparison is None or not cfg.comparison.rates:
        raise DfdmError("comparison.rates lists no learning rates; add some, or train at attribution.lr")
    settings = cfg.classifier(classifier)
    found = experiment.tune(
        cfg.comparison.rates,
        cfg.comparison.tune_epochs,
        Run(classifier, "scene", str(cfg.comparison.crf), cfg.comparison.seeds[0]),
        settings,
        cfg.classes,
        _places(cfg, [manifest], results),
        cfg.device,
        _made_of(cfg, settings),
        out,
    )
    keep("attribution_tune", out)
    print(f"{classifier}: lr {found.lr:g}, the best of {len(found.tried)} by validation")


def train(
    cfg: "Config",
    crf: str,
    manifest: list[Path],
    out: Path,
    classifier: str | None = None,
    split: str | None = None,
    seed: int | None = None,
    tune: Path | None = None,
    results: Path | None = None,
) -> None:
    """Train a classifier; the test videos are not read.

    Args:
        crf: the quality; all: every quality together
        manifest: its manifest; with all: one for each quality
        out: the folder for weights, log and figures of the training
        classifier: a name in comparison.classifiers; default: attribution.model
        split: scene, identity or one of splits.folds; default: attribution.split
        seed: default: the config's
        tune: the learning rate, from 'dfdm attribution tune', which overrides the config's
        results: the folder that contains the results; default: the config's

    Example:
        dfdm attribution train --crf 23 --manifest results/manifests/crf23.parquet \\
          --out results/attribution/dma_sta/scene/crf23/seed0
    """
    devices.take(cfg.device)
    from attribution import experiment
    from attribution.results import Tune
    from attribution.run import ALL, Run

    if crf not in (ALL, *map(str, CRF)):
        raise DfdmError(f"--crf is '{crf}'; give a number from 0 to 51, or all")
    name = classifier or cfg.attribution.model
    run = Run(name, split or cfg.attribution.split, crf, cfg.seed if seed is None else seed)
    settings = cfg.classifier(name)
    if tune:
        chosen = Tune.read(tune)
        if chosen.classifier != name:
            raise DfdmError(f"{tune} contains no rate of {name}; give its own, or leave --tune out")
        settings = settings.model_copy(update={"lr": chosen.lr})
    places, made_of = _places(cfg, manifest, results), _made_of(cfg, settings)
    about = experiment.train(run, settings, cfg.classes, places, cfg.device, made_of, out)
    keep("attribution_train", *(out / name for name in ("model.safetensors", "log.csv", "training.json", "speed.json")))
    print(
        f"{run}: epoch {about.epoch} of {about.epochs}, validation accuracy {percent(about.validation_accuracy, 1)}, "
        f"training accuracy {percent(about.training_accuracy, 1)}" + ("" if about.learned else ": not learned")
    )


def score(
    cfg: "Config",
    model: Path,
    crf: int,
    manifest: Path,
    out: Path,
    results: Path | None = None,
    treatment: str | None = None,
) -> None:
    """Score a trained classifier on the test videos of a quality.

    Args:
        model: the trained classifier (.safetensors)
        crf: the quality
        manifest: the manifest of that quality
        out: the folder for scores and predictions
        results: the folder that contains the results; default: the config's
        treatment: what is done to the videos' crops first: h265, vp9, again, scaled, cut, noise or half

    Example:
        dfdm attribution score --model results/attribution/dma_sta/scene/crf23/seed0/model.safetensors --crf 10 \\
          --manifest results/manifests/crf10.parquet --out scores
    """
    devices.take(cfg.device)
    from attribution.experiment import score_run
    from attribution.treatments import TREATMENTS
    from dfdm.catalogue.seen import autoencoder_saw

    if treatment and treatment not in TREATMENTS:
        raise DfdmError(f"--treatment is '{treatment}'; known are {', '.join(TREATMENTS)}")

    saw = partial(autoencoder_saw, cfg=cfg, results=results or Path(cfg.results))
    scores = score_run(model, _places(cfg, [manifest], results), crf, cfg.device, out, saw, treatment)
    keep("attribution_treated" if treatment else "attribution_score", out / "scores.json", out / "predictions.parquet")
    accuracy, chance = percent(scores.figures.accuracy.value, 1), percent(scores.chance, 1)
    print(f"crf {crf}: accuracy {accuracy} on {scores.videos} videos, chance {chance}")


def comparison(cfg: "Config", out: Path, results: Path | None = None) -> None:
    """Compare the config's classifiers, from the scores in the results folder.

    Args:
        out: the comparison (.json)
        results: the folder that contains the results; default: the config's

    Example:
        dfdm attribution comparison --out comparison.json --config workflow/configs/five_people.yaml
    """
    from dfdm.catalogue.comparing import compare_runs

    compare_runs(cfg, results or Path(cfg.results)).write(out)
    keep("attribution_comparison", out)


def unseen(cfg: "Config", out: Path, results: Path | None = None) -> None:
    """Take the scores of every fold together: classifiers on people nobody saw.

    Its intervals delete one person at a time.

    Args:
        out: the figures (.json); every prediction is written next to it as .parquet
        results: the folder that contains the results; default: the config's

    Example:
        dfdm attribution unseen --out unseen.json --config workflow/configs/five_people.yaml
    """
    from attribution.unseen import format_unseen
    from dfdm.base.files import atomic
    from dfdm.catalogue.comparing import unseen_people

    found, table = unseen_people(cfg, results or Path(cfg.results))
    with atomic(out.with_suffix(".parquet")) as path:
        table.to_parquet(path, index=False)
    found.write(out)
    keep("attribution_unseen", out, out.with_suffix(".parquet"))
    print(format_unseen(found))


def predict(
    videos: list[Unchecked],
    /,
    cfg: "Config",
    classifier: Path | None = None,
    json: Path | None = None,
    picture: Path | None = None,
    page: Path | None = None,
    table: Path | None = None,
    jobs: int | None = None,
) -> int:
    """Name the model that made a video, for any videos.

    Status: 0 every video has a prediction, 2 none has one, 3 some have one. A video without one is one line on stderr.

    Args:
        videos: video files, of any name
        classifier: a trained classifier (model.safetensors); default: the results folder's own, else the shipped one
        json: write the predictions as JSON; -: only to stdout
        picture: a .png for one video, or a folder for several
        page: a .html for one video, or a folder for several: the answer, the frames that decided, and its limits
        table: a row for each video, written as it goes: .csv or .json; what it has of the same files is not done again
        jobs: videos at a time; default: as many as processors

    Example:
        dfdm predict clip.mov --picture clip.png
    """
    devices.take(cfg.device)
    from attribution.predict import predict_all
    from dfdm.catalogue import sources

    if page:
        from dfdm.report.predicted import write_page
    if cfg.faces.predictor:
        sources.fetch(cfg.sources, cfg.faces.predictor)
    load = partial(_predictor, cfg, classifier or _own_classifier(cfg))
    several = load if len(videos) > 1 else None
    at_once = len(os.sched_getaffinity(0)) if jobs is None else max(jobs, 1)
    writing = write_page if page else None
    return predict_all(load(several is None), [*videos], json, picture, page, writing, table, several, at_once)


def import_checkpoint(
    checkpoint: Path,
    /,
    out: Path,
    classes: list[str] | None = None,
    depth: int = 50,
    clip: int = 10,
    size: int = 224,
    resize: int = 256,
) -> None:
    """Make a classifier out of a checkpoint of the published DMA-STA code.

    What the checkpoint does not say is given here; the defaults are the published ones.

    Args:
        checkpoint: its state dict (.pth), with or without module. before the names
        out: the classifier (.safetensors), for 'dfdm predict --classifier'
        classes: the classes in the order of its outputs; default: faceswap lightweight iae dfaker dfl_h128
        depth: layers of its ResNet
        clip: frames of a clip
        size: side in px of the pictures that it takes
        resize: shorter side in px to which a crop is resized before its centre is cut out

    Example:
        dfdm attribution import 60_0.71.pth --out model.safetensors
    """
    from pydantic import ValidationError

    from attribution.clips import MEAN, STD
    from attribution.published import import_file
    from attribution.settings import AttributionConfig
    from dfdm.base.section import sentence
    from dfdm.catalogue.config import MODELS

    names = classes or list(MODELS)
    for name in names:
        if not re.fullmatch(MODEL, name):
            raise DfdmError(f"--classes has '{shown(name)}'; a class has a name such as iae, in small letters")
    given = {"depth": depth, "clip": clip, "size": size, "resize": resize, "real": REAL in names}
    try:
        settings = AttributionConfig.model_validate(given)
    except ValidationError as error:
        raise DfdmError(sentence(error)) from None
    count = import_file(checkpoint, names, settings, out)
    print(
        f"{out}: all {count} entries; taken as given: classes {', '.join(names)}, depth {depth}, clip {clip}, "
        f"resized to {resize} px, middle {size} px, RGB mean {MEAN}, std {STD}"
    )


def region(cfg: "Config", clip: str, masters: list[Path], original: Path, track: Path, out: Path) -> None:
    """Find the part of a clip's frames that any model changed.

    Args:
        clip: the clip, such as id0_id1_0000
        masters: its crf 0 masters, one of every model
        original: the crf 0 master of the unswapped scene
        track: the track of the scene
        out: the region (.safetensors)

    Example:
        dfdm region --clip id0_id1_0000 --masters results/dataset/DFDM_crf0/*/id0_id1_0000_*.mp4 \\
          --original results/dataset/DFDM_crf0/real/id0_0000_real.mp4 --track results/faces/id0_0000.npz \\
          --out results/regions/id0_id1_0000.safetensors
    """
    from attribution.region import Region, write_region
    from dfdm.media.tracks import FaceTrack

    face = FaceTrack.load(track)
    found: dict[str, Path] = {}
    for path in masters:
        video = encoded_of(path)
        if video.name.clip != clip or video.crf != 0:
            raise DfdmError(f"{path} is not a crf 0 master of {clip}; leave it out")
        if (other := found.setdefault(video.name.model, path)) != path:
            raise DfdmError(f"--masters has {other} and {path} of {video.name.model}; give each model once")
    if lacking := [model for model in cfg.models if model not in found]:
        raise DfdmError(f"--masters has no {lacking[0]} of {clip}; one region serves all models")
    before, scene = encoded_of(original), face.record.scene_key
    if (before.name.model, before.crf, before.name.scene_key) != (REAL, 0, scene):
        raise DfdmError(f"{original} is not the crf 0 original of {scene}, whose track was given")
    if encoded_of(masters[0]).name.scene_key != scene:
        raise DfdmError(f"{track} is the track of {scene}, which {clip} does not show; give the right one")
    for path in (original, *masters):
        checked(path)
    write_region(out, clip, face, original, {model: found[model] for model in cfg.models})
    keep("region", out)
    print(f"{clip}: {len(face)} frames, the outline grown by at most {Region(out).about['grown']} blocks")


def controls(cfg: "Config", classifier: str, crf: int, manifest: Path, out: Path, results: Path | None = None) -> None:
    """Find what a classifier's score at one quality is worth.

    Args:
        classifier: one of the config's controls.classifiers
        crf: the quality
        manifest: the manifest of that quality
        out: the controls (.json)
        results: the folder that contains the results; default: the config's

    Example:
        dfdm controls --classifier dma_sta --crf 23 --manifest results/manifests/crf23.parquet --out controls.json
    """
    from dfdm.catalogue.layout import Layout
    from dfdm.catalogue.schedule import background_run, checked_runs

    run = next((run for run in checked_runs(cfg) if (run.classifier, run.crf) == (classifier, str(crf))), None)
    if cfg.controls is None or run is None:
        raise DfdmError(
            f"this config's controls do not include {classifier} at crf {crf}; add it to controls.classifiers "
            "(docs/attribution.md, Controls)"
        )
    devices.take(cfg.device)
    from attribution.controls import run_controls

    layout, other = Layout(str(results or cfg.results)), background_run(cfg, crf)
    model, scores, crops = Path(layout.run(str(run))), Path(layout.scores(str(run), crf)), Path(layout.crops_root)
    of_background = Path(layout.scores(str(other), crf)) if other else None
    found = run_controls(model, scores, manifest, crops, cfg.controls.permutations, cfg.device, of_background)
    found.write(out)
    keep("controls", out)
    low, high = percent(found.permuted.low, 1), percent(found.permuted.high, 1)
    print(f"{run}: permuted labels {low} to {high}, trivial cues {percent(found.trivial.figures.accuracy.value, 1)}")


def _predictor(cfg: "Config", classifier: Path, shown: bool = False) -> "Predictor":
    """A predictor of a config, also in another process."""
    from attribution.predictor import load_predictor
    from dfdm.base.compute import resolve_device
    from dfdm.commands.inputs import detector_of

    return load_predictor(classifier, detector_of(cfg), cfg.faces, cfg.crops, resolve_device(cfg.device), shown)


def _own_classifier(cfg: "Config") -> Path:
    """The results folder's classifier of its most compressed videos, else the one that the package ships.

    One without the class `real` would accuse every real video, so it is asked only where --classifier names it.
    """
    from attribution.shipped import MODEL
    from dfdm.catalogue.layout import Layout
    from dfdm.catalogue.schedule import main_runs

    layout = Layout(cfg.results)
    runs = [run for run in reversed(main_runs(cfg)) if cfg.classifier(run.classifier).real]
    trained = [Path(layout.run(str(run))) for run in runs]
    return next((path for path in trained if path.is_file()), MODEL)


def _places(cfg: "Config", manifests: Sequence[Path], results: Path | None) -> "Places":
    from attribution.experiment import Places
    from dfdm.catalogue.layout import Layout
    from dfdm.commands.inputs import state_dir

    layout = Layout(str(results or cfg.results))
    return Places(manifests, Path(layout.crops_root), Path(layout.regions_root), state_dir(cfg))


def _made_of(cfg: "Config", settings: "AttributionConfig") -> str:
    """The hash of what is behind a classifier's videos."""
    from attribution import models
    from dfdm.catalogue import keys

    weights = settings.weights and sha256(at_home(settings.weights))
    of = {"version": __version__, "crops": keys.crops_keys(cfg), "weights": weights}
    return digest({**of, **models.package(settings.model)})
