"""The tables of a release: the manifest, what `videofolder` reads, and the lists of the splits."""

import csv
from pathlib import Path

import pandas as pd

from dfdm.base.files import atomic
from dfdm.dataset.splits import PARTS

MANIFEST = "manifest.parquet"
KINDS = ("scene", "identity")


def contents(rows: pd.DataFrame) -> dict[str, pd.DataFrame | list[str]]:
    """The tables and lists by the names of their files.

    A `metadata.parquet` beside the videos of a quality has its rows' `file_name`, which `videofolder` asks for; its
    columns have types, so that the scene 0000 stays text. A list is of names, which are those of every quality. No
    name of a file is one that `datasets` takes for a split of its own, such as train.txt.
    """
    found: dict[str, pd.DataFrame | list[str]] = {MANIFEST: rows, "manifest.csv": rows}
    for crf, own in rows.groupby("crf"):
        folder = f"DFDM_crf{crf}/"
        names = own["path"].str.removeprefix(folder)
        found[f"{folder}metadata.parquet"] = own.drop(columns="path").assign(file_name=names)
    for column in rows.columns[rows.columns.str.startswith("split_")]:
        kind = column.removeprefix("split_")
        stem = kind if kind in KINDS else f"fold{kind.replace('_', '')}"
        for part in PARTS:
            if listed := list(dict.fromkeys(rows["name"][rows[column].eq(part).fillna(False)])):
                found[f"splits/{stem}_{part}list.txt"] = listed
    return found


def write(path: Path, content: pd.DataFrame | list[str]) -> None:
    """Write one of them; text of a CSV is in quotes."""
    with atomic(path) as temporary:
        if isinstance(content, list):
            temporary.write_text("".join(f"{name}\n" for name in content))
        elif path.suffix == ".csv":
            content.to_csv(temporary, index=False, quoting=csv.QUOTE_NONNUMERIC)
        else:
            content.to_parquet(temporary, index=False)
