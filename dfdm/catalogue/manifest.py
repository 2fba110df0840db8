"""The manifest: one row a video, merged from the sidecars, with the split columns."""

import sys
from pathlib import Path
from typing import Any

import pandas as pd

from dfdm.base.errors import DfdmError
from dfdm.base.files import atomic
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout, videos_of
from dfdm.dataset.settings import DataSplits, SplitsConfig
from dfdm.dataset.sidecar import Sidecar
from dfdm.dataset.splits import Part, describe, made, split_names

COLUMNS = [
    *("name", "video_id", "face_id", "scene", "model", "crf", "synthetic"),
    *("path", "crops", "sha256", "bytes", "frames", "face_frames", "width", "height", "fps", "variable_rate"),
    *("config_hash", "licence", "consent", "split_scene", "split_identity"),
]


def build_manifest(cfg: Config, target: str, results: Path) -> pd.DataFrame:
    """The rows of a target's videos below a results folder.

    `path` is relative to the dataset folder, `crops` to the crops folder. Scenes without a face have no row.
    Raises DfdmError when a sidecar is missing or is another video's, or when a part of a split is empty.
    """
    layout = Layout(str(results))
    videos = videos_of(cfg, target)
    rows: list[dict[str, Any]] = []
    faceless: dict[str, None] = {}
    for video in videos:
        name = video.name
        path = Path(layout.video(name.clip, name.model, video.crf))
        sidecar = Sidecar.of_video(path)
        if sidecar.face_frames == 0:
            faceless[name.scene_key] = None
            continue
        people = [cfg.sources.people[person] for person in (name.video_id, name.face_id) if person]
        rows.append(
            {
                **sidecar.model_dump(include=set(COLUMNS)),
                "path": str(path.relative_to(layout.dataset)),
                "crops": str(Path(layout.crops(name.clip, name.model, video.crf)).relative_to(layout.crops_root)),
                "licence": "; ".join(dict.fromkeys(person.licence for person in people)),
                "consent": "; ".join(dict.fromkeys(person.consent for person in people)),
            }
        )
    if faceless:
        print(f"left out, since they show no face: {', '.join(faceless)}", file=sys.stderr)
    if not rows:
        raise DfdmError(f"none of the {len(videos)} videos of {target} shows a face; correct sources.people")
    table = pd.DataFrame(rows)
    add_splits(table, cfg.splits, cfg.seed)
    return table[[*COLUMNS, *(f"split_{fold}" for fold in cfg.splits.folds)]]


def add_splits(table: pd.DataFrame, splits: SplitsConfig | DataSplits, seed: int) -> None:
    """Add a column for each split to a manifest's rows; split_scene and split_identity are null where not made."""
    names = list(dict.fromkeys(table["name"]))  # each once, whatever its qualities
    swapped = dict(zip(table["name"], table["synthetic"]))
    for kind in dict.fromkeys(["scene", "identity", *made(splits)]):
        part_of: dict[str, Part | None] = {}
        if kind in made(splits):
            parts = split_names(names, [swapped[name] for name in names], kind, splits, seed)
            print(f"{kind} split of {len(names)} videos: {describe(parts)}", file=sys.stderr)
            part_of = dict(zip(names, parts))
        table[f"split_{kind}"] = pd.array([part_of.get(name) for name in table["name"]], dtype="string")


def write_manifest(table: pd.DataFrame, path: Path) -> None:
    """Write the table as Parquet and, next to it, as CSV."""
    with atomic(path) as temporary:
        table.to_parquet(temporary, index=False)
    with atomic(path.with_suffix(".csv")) as temporary:
        table.to_csv(temporary, index=False)
