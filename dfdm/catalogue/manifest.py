"""The manifest: one row a video, merged from the sidecars, with the split columns."""

import sys
from pathlib import Path
from typing import Any

import pandas as pd

from dfdm.base.errors import DfdmError
from dfdm.base.files import atomic
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout, videos_of
from dfdm.dataset.sidecar import read_sidecar
from dfdm.dataset.splits import Kind, describe, split_videos

COLUMNS = [
    "name",
    "video_id",
    "face_id",
    "scene",
    "model",
    "crf",
    "synthetic",
    "path",
    "crops",
    "sha256",
    "bytes",
    "frames",
    "face_frames",
    "width",
    "height",
    "fps",
    "variable_rate",
    "config_hash",
    "licence",
    "consent",
    "split_scene",
    "split_identity",
]


def build_manifest(cfg: Config, target: str, results: Path) -> pd.DataFrame:
    """The rows of a target's videos below a results folder.

    `path` is relative to the dataset folder, `crops` to the crops folder.
    Raises DfdmError when a sidecar is missing or is another video's, or when a part of a split is empty.
    """
    layout = Layout(str(results))
    videos = videos_of(cfg, target)
    rows: list[dict[str, Any]] = []
    for video in videos:
        name = video.name
        path = Path(layout.video(name.clip, name.model, video.crf))
        sidecar = read_sidecar(path)
        if (sidecar.name, sidecar.crf) != (str(name), video.crf):
            raise DfdmError(f"{path.with_suffix('.json')} describes another video; delete it and make it again")
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
    table = pd.DataFrame(rows)
    names = list(dict.fromkeys(video.name for video in videos))  # each once, whatever its qualities
    kinds: tuple[Kind, ...] = ("scene", "identity")
    for kind in kinds:
        parts = split_videos(names, kind, cfg.splits, cfg.seed) if getattr(cfg.splits, kind) else [None] * len(names)
        if getattr(cfg.splits, kind):
            print(f"{kind} split of {len(names)} videos: {describe(parts)}", file=sys.stderr)
        part_of = dict(zip(names, parts))
        table[f"split_{kind}"] = pd.array([part_of[video.name] for video in videos], dtype="string")
    return table[list(COLUMNS)]


def write_manifest(table: pd.DataFrame, path: Path) -> None:
    """Write the table as Parquet and, beside it, as CSV."""
    with atomic(path) as temporary:
        table.to_parquet(temporary, index=False)
    with atomic(path.with_suffix(".csv")) as temporary:
        table.to_csv(temporary, index=False)
