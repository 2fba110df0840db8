"""A classifier from manifests to its files, and from a trained file to its scores: what `dfdm attribution` runs."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import softmax

from attribution.clips import Clips, Video, find_videos
from attribution.fitting import COLUMNS, Job, Trainer, fit
from attribution.inference import Trained, load, video_logits
from attribution.intervals import learned
from attribution.models.blocks import cost
from attribution.openset import describe, energy, of_models, verdict
from attribution.results import (
    LeftOut,
    LeftOutOfTest,
    OfRun,
    OneTest,
    OpenSet,
    Parts,
    Scores,
    Speed,
    Training,
    Tried,
    Tune,
)
from attribution.run import ALL, Run
from attribution.score import score
from attribution.settings import AttributionConfig
from attribution.treatments import TREATMENTS
from dfdm.base.compute import resolve_device
from dfdm.base.errors import DfdmError
from dfdm.base.files import atomic, digest
from dfdm.base.names import REAL, known_name
from dfdm.base.tensorfile import write_weights
from dfdm.base.trainer import DivergedError
from dfdm.dataset.splits import PARTS, check_manifest, read_rows

NEEDED = ("name", "model", "crf", "crops", "sha256")
Saw = Callable[[pd.DataFrame], float | None]  # of rows of a manifest: the share of the frames trained on


@dataclass(frozen=True)
class Places:
    """Where things are: manifests (one for each quality), crops, regions, training states."""

    manifests: Sequence[Path]
    crops: Path
    regions: Path
    state: Path


def classes_of(generators: Sequence[str], settings: AttributionConfig) -> list[str]:
    """The classes in order: the generators, then `real` where the classifier has it."""
    return [*generators, *([REAL] if settings.real else [])]


def read_manifest(path: Path, classes: Sequence[str], kind: str) -> pd.DataFrame:
    """The manifest's rows of the classes in a part of the split (column `part`); checked for columns and leaks."""
    column = f"split_{kind}"
    rows = read_rows(path, (*NEEDED, column))
    if rows["crf"].nunique() > 1:
        raise DfdmError(f"{path} contains videos of several qualities; give the manifest of one quality")
    rows = rows[rows["model"].isin(classes)].rename(columns={column: "part"})
    check_manifest(rows, kind)
    return rows[rows["part"].isin(PARTS)]


def read_manifests(places: Places, classes: Sequence[str], run: Run) -> pd.DataFrame:
    """The rows of every quality that a run trains on, checked together: a scene is in the same part at all of them."""
    tables = [read_manifest(path, classes, run.split) for path in places.manifests]
    qualities = [str(crf) for table in tables for crf in table["crf"].unique()]
    if run.crf != ALL and qualities != [run.crf]:
        raise DfdmError(
            f"the manifest has videos of crf {', '.join(qualities) or '-'}, not of {run.crf}; give the manifest of "
            "the quality that --crf names"
        )
    if len(set(qualities)) != len(qualities):
        raise DfdmError("two manifests hold the same quality; give one of each")
    rows = pd.concat(tables)
    check_manifest(rows, run.split)
    return rows


def videos_of(
    rows: pd.DataFrame,
    places: Places,
    classes: Sequence[str],
    settings: AttributionConfig,
    part: str,
    treatment: str | None = None,
) -> tuple[list[Video], dict[str, int]]:
    """The videos of one part, and those left out because they are shorter than a clip (printed on stderr)."""
    videos: list[Video] = []
    short: dict[str, int] = {}
    need = settings.clip * (TREATMENTS[treatment].every if treatment else 1)
    regions = places.regions if settings.region == "background" else None
    for crf, table in rows[rows["part"] == part].groupby("crf"):
        found, few = find_videos(table, places.crops, list(classes), need, regions)
        videos += found
        short |= {f"{name} (crf {crf})": frames for name, frames in few.items()}
    if short:
        print(
            f"attribution: {len(short)} {part} videos have fewer face frames than the clip "
            f"({need}) and are left out: {', '.join(short)}",
            file=sys.stderr,
        )
    if not videos:
        raise DfdmError(
            f"the {part} part has no video with {need} face frames; lower attribution.clip "
            "or correct splits in the config"
        )
    return videos, short


def prepare(
    run: Run, settings: AttributionConfig, generators: Sequence[str], places: Places
) -> tuple[Job, str, LeftOut]:
    """The training of a run, the hash of its videos' content and parts, and what was left out of each part."""
    classes = classes_of(generators, settings)
    rows = read_manifests(places, classes, run)
    clips, short = {}, {}
    for part in ("train", "validation"):
        videos, short[part] = videos_of(rows, places, classes, settings, part)
        clips[part] = Clips(videos, settings)
    absent = [name for i, name in enumerate(classes) if i not in {v.label for v in clips["train"].videos}]
    if absent:
        raise DfdmError(f"no training video shows the model {absent[0]}; correct splits or models in the config")
    content = rows.sort_values(["crf", "name"])[["name", "crf", "part", "sha256"]].to_numpy().tolist()
    parts = clips["train"], clips["validation"]
    job = Job(f"attribution {run}", *parts, classes, run.seed, settings, len(places.manifests))
    return job, digest(content), LeftOut(**short)


def train(
    run: Run, settings: AttributionConfig, generators: Sequence[str], places: Places, device: str, key: str, out: Path
) -> Training:
    """Train a run, or continue; writes model.safetensors, log.csv, training.json and speed.json into `out`.

    `key` is the hash of what is behind the videos and settings; both are added to it, so that every training has
    a state folder of its own. The test part is not read.
    """
    job, content, short = prepare(run, settings, generators, places)
    key = training_key(job, key, content)
    trainer = fit(job, device, key, places.state)
    about = describe_training(run, trainer, short)
    tensors = {name: value.contiguous().numpy() for name, value in trainer.best_tensors.items()}
    write_weights(out / "model.safetensors", tensors, {**about.plain(), "key": key})
    with atomic(out / "log.csv") as path:
        log = pd.DataFrame(trainer.log, columns=list(COLUMNS))
        log.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
    if trainer.timed or not (out / "speed.json").exists():  # a finished training that only writes again keeps it
        speed = trainer.timed / trainer.seconds if trainer.timed else None
        Speed(clips_per_second=speed, seconds=trainer.seconds, device=device).write(out / "speed.json")
    about.write(out / "training.json")
    return about


def training_key(job: Job, key: str, content: str) -> str:
    """The hash of everything that changes a training."""
    return digest([key, job.seed, job.classes, job.settings.hashed(), content])


def describe_training(run: Run, trainer: Trainer, short: LeftOut) -> Training:
    """What training.json and the model's metadata say."""
    job, best = trainer.job, trainer.best
    assert best is not None
    count = trainer.clips_per_epoch
    right = round(trainer.log[-1][3] * count)  # of the last epoch
    size = cost(trainer.model, job.settings.clip, job.settings.size)
    return Training(
        **vars(run),
        **vars(size),
        **job.settings.model_dump(include={"model", "lr", "epochs"}),
        run=str(run),
        settings=job.settings.model_dump(exclude={"save_every"}),
        rollbacks=trainer.rollbacks,
        classes=job.classes,
        epoch=best.epoch,
        steps=trainer.steps,
        videos=Parts(train=len(job.training.videos), validation=len(job.validation.videos)),
        left_out=short,
        training_accuracy=right / count,
        training_clips=count,
        learned=learned(right, count, 1 / len(job.classes)),
        validation_accuracy=best.accuracy,
        validation_loss=best.loss,
        open_set=describe(trainer.best_logits.numpy(), *_about(job.validation.videos, job.classes), job.classes),
    )


def _about(videos: Sequence[Video], classes: Sequence[str]) -> tuple[list[str], list[str]]:
    """Each video's class, and the person in its frames; of names without ids the name itself."""
    people = [name.video_id if (name := known_name(video.name)) else video.name for video in videos]
    return [classes[video.label] for video in videos], people


def tune(
    rates: Sequence[float],
    epochs: int,
    run: Run,
    settings: AttributionConfig,
    generators: Sequence[str],
    places: Places,
    device: str,
    key: str,
    out: Path,
) -> Tune:
    """Train a classifier shortly at every rate and write which one validation chose, to `out`.

    Best: higher validation accuracy, then lower loss, then the lower rate. A rate at which the training diverges is
    listed as such; where all do, it is a DfdmError.
    """
    tried: list[Tried] = []
    fair: list[tuple[float, float, float]] = []  # validation accuracy, minus its loss, minus the rate
    whole, content, _ = prepare(run, settings, generators, places)
    for rate in sorted(rates):
        job = replace(whole, settings=settings.model_copy(update={"lr": rate, "epochs": epochs, "on_nan": "stop"}))
        try:
            best = fit(job, device, training_key(job, key, content), places.state).best
        except DfdmError as error:
            if not isinstance(error.__cause__, DivergedError):
                raise
            tried.append(Tried(lr=rate, diverged=True))
            continue
        assert best is not None
        tried.append(Tried(lr=rate, validation_accuracy=best.accuracy, validation_loss=best.loss))
        fair.append((best.accuracy, -best.loss, -rate))
    if not fair:
        raise DfdmError(f"{run.classifier} diverges at every one of comparison.rates; give lower ones")
    found = Tune(classifier=run.classifier, lr=-max(fair)[2], epochs=epochs, crf=run.crf, tried=tried)
    found.write(out)
    return found


def test(
    trained: Trained, videos: list[Video], device: str, seed: int, treatment: str | None
) -> tuple[OneTest, pd.DataFrame]:
    """Classify test videos: the figures, and a line a video (name, truth, predicted, p_<class>..., energy, verdict)."""
    clips = Clips(videos, trained.settings, treatment)
    logits = video_logits(trained.model, clips, resolve_device(device))
    probabilities, classes, names = softmax(logits, axis=1), trained.classes, [video.name for video in videos]
    truth = np.array([video.label for video in videos])
    lines = zip(names, (classes[i] for i in truth), (classes[i] for i in probabilities.argmax(1)))
    predictions = pd.DataFrame(lines, columns=["name", "truth", "predicted"])
    predictions[[f"p_{name}" for name in classes]] = probabilities
    predictions["energy"] = energy(of_models(logits, trained.classes))
    bounds = OpenSet.model_validate(trained.about["open_set"]) if trained.about.get("open_set") else None
    predictions["verdict"] = [verdict(each, trained.classes, bounds) for each in logits]
    return score(names, truth, probabilities, classes, seed), predictions


def score_run(
    model: Path,
    places: Places,
    crf: int,
    device: str,
    out: Path,
    saw: Saw | None = None,
    treatment: str | None = None,
) -> Scores:
    """Score a trained file on the test part of one quality; writes scores.json and predictions.parquet into `out`.

    Split, classes and settings are the file's own. `saw` gives, of the manifest's lines of the test videos, which
    share of their frames the swaps' autoencoders were trained on.
    """
    trained = load(model, resolve_device(device))
    about = Training.of(trained.about, model)
    run = about.as_run()
    rows = read_manifest(places.manifests[0], trained.classes, run.split)
    if set(rows["crf"]) != {crf}:
        raise DfdmError(f"{places.manifests[0]} contains no videos of crf {crf}; give the manifest of that quality")
    videos, short = videos_of(rows, places, trained.classes, trained.settings, "test", treatment)
    figures, predictions = test(trained, videos, device, run.seed, treatment)
    tested = {video.name for video in videos}
    scores = Scores(
        **dict(figures),
        run=OfRun(**vars(run), model=about.model),
        crf=crf,
        treatment=treatment,
        training=about,
        left_out=LeftOutOfTest(**dict(about.left_out), test=short),
        autoencoder_saw=saw(rows[rows["name"].isin(tested)]) if saw else None,
    )
    with atomic(out / "predictions.parquet") as path:
        predictions.to_parquet(path, index=False)
    scores.write(out / "scores.json")
    return scores
