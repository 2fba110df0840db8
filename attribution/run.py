"""One classifier of one quality, from manifest to scores: what `dfdm attribution` runs."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from attribution.clips import Clips, Video, find_videos
from attribution.predict import Trained, load, softmax, video_logits
from attribution.score import score
from attribution.train import train
from dfdm.config import AttributionConfig
from dfdm.dataset.splits import PARTS, check_leaks
from dfdm.errors import DfdmError
from dfdm.files import atomic, digest, write_json
from dfdm.names import parse_name
from dfdm.training import resolve_device

FILES = ("model.safetensors", "log.csv", "scores.json", "predictions.parquet")
NEEDED = ("name", "model", "crf", "crops", "sha256")


def read_manifest(path: Path, classes: list[str], kind: str, crf: int) -> pd.DataFrame:
    """The manifest's rows of the classes in a part of the split; checked for columns, quality and leaks."""
    try:
        rows = pd.read_parquet(path)
    except FileNotFoundError:
        raise DfdmError(f"{path} does not exist; build the manifest first") from None
    except (OSError, ValueError) as error:
        raise DfdmError(f"{path} is no readable parquet ({error}); build the manifest again") from None
    column = f"split_{kind}"
    missing = [name for name in (*NEEDED, column) if name not in rows]
    if missing:
        raise DfdmError(f"{path} lacks the column {missing[0]}; build the manifest again")
    if set(rows["crf"]) - {crf}:
        raise DfdmError(f"{path} holds videos of other qualities than crf {crf}; give the manifest of one quality")
    rows = rows[rows["model"].isin(classes) & rows[column].isin(PARTS)].rename(columns={column: "part"})
    check_leaks([parse_name(name) for name in rows["name"]], rows["part"].tolist(), "scene")
    if kind == "identity":
        check_leaks([parse_name(name) for name in rows["name"]], rows["part"].tolist(), "identity")
    return rows


def find_parts(
    rows: pd.DataFrame, crops: Path, classes: list[str], settings: AttributionConfig
) -> tuple[dict[str, list[Video]], dict[str, dict[str, int]]]:
    """The videos of every part, and those left out as shorter than a clip (told on stderr)."""
    videos: dict[str, list[Video]] = {}
    short: dict[str, dict[str, int]] = {}
    for part in PARTS:
        videos[part], short[part] = find_videos(rows[rows["part"] == part], crops, classes, settings.clip)
        if short[part]:
            print(
                f"attribution: {len(short[part])} {part} videos have fewer face frames than the clip "
                f"({settings.clip}) and are left out: {', '.join(short[part])}",
                file=sys.stderr,
            )
        if not videos[part]:
            raise DfdmError(
                f"the {part} part has no video with {settings.clip} face frames; lower attribution.clip "
                "or mend splits in the config"
            )
    absent = [name for i, name in enumerate(classes) if i not in {video.label for video in videos["train"]}]
    if absent:
        raise DfdmError(f"no training video shows the model {absent[0]}; mend splits or models in the config")
    return videos, short


def test(trained: Trained, videos: list[Video], device: str, seed: int) -> tuple[dict[str, Any], pd.DataFrame]:
    """Classify the test videos: the figures, and a line a video (name, truth, predicted, p_<class>...)."""
    probabilities = softmax(video_logits(trained.model, Clips(videos, trained.settings), resolve_device(device)))
    truth, predicted = np.array([video.label for video in videos]), probabilities.argmax(1)
    classes, names = trained.classes, [video.name for video in videos]
    predictions = pd.DataFrame(
        {"name": names, "truth": [classes[i] for i in truth], "predicted": [classes[i] for i in predicted]}
    )
    predictions[[f"p_{name}" for name in classes]] = probabilities
    return score(names, truth, predicted, classes, seed), predictions


def run(
    manifest: Path,
    crops: Path,
    classes: list[str],
    settings: AttributionConfig,
    seed: int,
    device: str,
    key: str,
    state_dir: Path,
    out: Path,
    crf: int,
) -> dict[str, Any]:
    """Train (or go on), pick the checkpoint by validation, score the test part; writes FILES into `out`.

    `manifest` is a parquet of one quality with a `split_scene` or `split_identity` column, `crops` the folder
    its `crops` column is relative to, `key` the hash of the settings behind it all; the videos' hashes are
    added to it, so every training has a state folder of its own. Returns the content of scores.json.
    """
    rows = read_manifest(manifest, classes, settings.split, crf)
    videos, short = find_parts(rows, crops, classes, settings)
    content = rows.sort_values("name")[["name", "part", "sha256"]].to_numpy().tolist()
    key = digest([key, crf, seed, classes, settings.model_dump(exclude={"save_every"}), content])
    training, validation = (Clips(videos[part], settings) for part in ("train", "validation"))
    best = train(training, validation, classes, seed, device, key, state_dir, out, {"crf": crf})
    figures, predictions = test(load(out / "model.safetensors", resolve_device(device)), videos["test"], device, seed)
    scores = {
        "crf": crf,
        "split": settings.split,
        "key": key,
        **figures,
        "training_videos": len(videos["train"]),
        "validation_videos": len(videos["validation"]),
        "chosen_epoch": best.epoch,
        "validation_accuracy": best.accuracy,
        "left_out": short,
        "left_out_videos": sum(len(names) for names in short.values()),
    }
    with atomic(out / "predictions.parquet") as path:
        predictions.to_parquet(path, index=False)
    write_json(out / "scores.json", scores)
    return scores
