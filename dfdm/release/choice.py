"""Which videos of a results folder a release has, and the files that go with them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from dfdm.base.errors import DfdmError, shown
from dfdm.base.names import REAL, parse_name
from dfdm.base.text import some
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout
from dfdm.catalogue.manifest import build_manifest
from dfdm.dataset.sidecar import Sidecar


@dataclass(frozen=True)
class Choice:
    """What of a config's data set is released."""

    crf: tuple[int, ...]
    models: tuple[str, ...]
    people: tuple[str, ...]
    crops: bool = True
    originals: bool = True

    @classmethod
    def of(
        cls, cfg: Config, crf: Sequence[int] | None, models: Sequence[str] | None, people: Sequence[str] | None
    ) -> "Choice":
        """The given ones, or all of a config; DfdmError for one that it does not have."""
        known: dict[str, list[Any]] = {
            "crf": cfg.qualities,
            "models": list(cfg.models),
            "people": list(cfg.sources.people),
        }
        given: dict[str, Sequence[Any] | None] = {"crf": crf, "models": models, "people": people}
        for key, names in given.items():
            if strange := [name for name in names or () if name not in known[key]]:
                raise DfdmError(
                    f"--{key} names {shown(str(strange[0]))}, which this config does not have; "
                    f"known are {', '.join(map(str, known[key]))}"
                )
        chosen = {
            key: tuple(one for one in known[key] if names is None or one in names) for key, names in given.items()
        }
        return cls(chosen["crf"], chosen["models"], chosen["people"])


@dataclass(frozen=True)
class File:
    """A file of the line, its place in the release, and the sidecar of the video that it is (`is_video`) or is of."""

    source: Path
    target: str
    sidecar: Sidecar
    is_video: bool = False


def rows_of(cfg: Config, results: Path, choice: Choice) -> pd.DataFrame:
    """The manifest's lines of the chosen videos, with the parts that the splits of the whole data set gives them."""
    table = build_manifest(cfg, "dataset", results)
    real, people = table["model"] == REAL, set(choice.people)
    shown_by_choice = table["video_id"].isin(people) & (table["face_id"].isna() | table["face_id"].isin(people))
    wanted = table["model"].isin(choice.models) | (real & choice.originals)
    rows = table[table["crf"].isin(choice.crf) & wanted & shown_by_choice].reset_index(drop=True)
    if rows.empty:
        raise DfdmError(f"none of the {len(table)} videos of this config is of the chosen ones; choose others")
    return rows


def files_of(rows: pd.DataFrame, results: Path, choice: Choice) -> list[File]:
    """The files of the line that the rows' release has; sets the rows' `crops` to their place in it, or to null.

    Raises DfdmError where crops are to be there and are not.
    """
    layout, files, places = Layout(str(results)), list[File](), list[str | None]()
    sidecars: dict[str, Sidecar] = {}
    for row in rows.to_dict("records"):
        name, crf = parse_name(row["name"]), int(row["crf"])
        video = Path(layout.video(name.clip, name.model, crf))
        sidecars[str(name)] = sidecar = Sidecar.of_video(video)
        files.append(File(video, str(row["path"]), sidecar, is_video=True))
        if choice.crops:
            cut = Path(layout.crops(name.clip, name.model, crf))
            places.append(f"crops/{cut.relative_to(layout.crops_root)}")
            files.append(File(cut, str(places[-1]), sidecar))
    rows["crops"] = pd.array(places or [None] * len(rows), dtype="string")
    files += _masks(layout, sidecars)
    if lost := [str(file.source) for file in files if not file.source.is_file()]:
        raise DfdmError(f"{some(lost, 1)} not made yet; run the workflow's target dataset, or give --no-crops")
    return files


def _masks(layout: Layout, sidecars: dict[str, Sidecar]) -> Iterator[File]:
    """What the stage masks made of released videos: one mask serves every quality."""
    for name in map(parse_name, sidecars):
        for place in (layout.changed, layout.blend):
            if (path := Path(place(name.clip, name.model))).is_file():
                yield File(path, f"masks/{name.model}/{path.name}", sidecars[str(name)])
