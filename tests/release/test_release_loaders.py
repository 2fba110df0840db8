"""A release opens with what people use: the code of its card, `datasets`, mlcroissant, pandas and torch."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from dfdm.dataset.crops import CropReader

pytestmark = pytest.mark.long


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of `datasets`, which the network is kept from."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


def blocks(card: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", card.read_text(), re.DOTALL)


def test_the_code_on_the_card_runs_as_it_stands(released: Path, made: Path, cache: Path) -> None:
    found: dict[str, Any] = {"ROOT": str(released)}
    for block in blocks(released / "README.md"):
        exec(block, found)
    assert (len(found["data"]), len(found["test"])) == (18, 6)
    assert set(found["table"]["scene"]) == {"0000", "0001", "0002"}
    assert set(found["table"]["crf"]) == {0, 23}
    videos = found["Videos"](released, "test")
    clip, label = videos[0]
    assert (clip.shape, clip.dtype, videos.models) == ((12, 3, 96, 96), torch.uint8, ["dfaker", "iae", "real"])
    assert (len(videos), videos.models[label]) == (6, videos.rows.iloc[0]["model"])
    assert next(iter(torch.utils.data.DataLoader(videos, batch_size=3)))[0].shape == (3, 12, 3, 96, 96)
    assert len(list(found["records"])) == 18
    crops = CropReader(made / "results" / found["table"]["crops"][0])
    assert np.array_equal(found["frames"], crops.frames(range(len(crops))))


def test_videofolder_keeps_the_scene_as_text_and_gives_every_video_once(released: Path, cache: Path) -> None:
    from datasets import Video, load_dataset

    loaded = load_dataset("videofolder", data_dir=str(released))
    assert list(loaded) == ["train"]  # no list and no folder is taken for a split
    data = loaded["train"].cast_column("video", Video(decode=False))
    table = pd.read_parquet(released / "manifest.parquet").set_index("path")
    assert set(data["scene"]) == {"0000", "0001", "0002"}
    assert {str(Path(video["path"]).relative_to(released)) for video in data["video"]} == set(table.index)
    for row in data:
        line = table.loc[str(Path(row["video"]["path"]).relative_to(released))]
        assert (row["name"], row["crf"], row["model"]) == (line["name"], line["crf"], line["model"])
        assert row["face_id"] == (None if row["model"] == "real" else "id1")


def test_the_folder_itself_has_a_configuration_a_quality(released: Path, cache: Path) -> None:
    from datasets import get_dataset_config_names, load_dataset

    assert get_dataset_config_names(str(released)) == ["all", "crf0", "crf23"]
    assert load_dataset(str(released), "crf23", split="data").num_rows == 9
    assert load_dataset(str(released), split="data").num_rows == 18


def test_croissant_is_valid_and_gives_the_manifests_lines(released: Path) -> None:
    import mlcroissant

    described = mlcroissant.Dataset(released / "croissant.json")
    issues = described.metadata.ctx.issues
    assert (issues.errors, issues.warnings) == (set(), set())
    told = json.loads((released / "croissant.json").read_text())
    assert told["conformsTo"] == ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
    assert "id0: nobody is shown" in told["rai:personalSensitiveInformation"]
    assert {"rai:dataBiases", "rai:dataLimitations", "rai:dataUseCases"} <= told.keys()
    records = list(described.records("manifest"))
    table = pd.read_parquet(released / "manifest.parquet")
    assert [record["manifest/scene"].decode() for record in records] == list(table["scene"])
    assert [record["manifest/crf"] for record in records] == list(table["crf"])
    for file in told["distribution"]:
        if file["@type"] == "cr:FileSet":
            assert list(released.glob(file["includes"])), file
