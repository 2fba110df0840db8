import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attribution.results import Training
from attribution.run import Run
from attribution.settings import AttributionConfig
from dfdm.base.errors import DfdmError
from dfdm.catalogue.config import Config
from dfdm.commands import attribution, autoencoders, dataset
from dfdm.media.tracks import FaceTrack, TrackCounts
from dfdm.media.video import probe


def test_a_classifier_of_other_crops_is_another_training(
    demo: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keys: list[str] = []
    rates: list[float] = []

    def fake(run: Run, settings: AttributionConfig, models: list[str], places: Any, device: str, key: str, out: Path):
        keys.append(key)
        rates.append(settings.lr)
        figures = {"epoch": 1, "epochs": 1, "validation_accuracy": 0.2, "training_accuracy": 0.2, "learned": False}
        return Training.model_construct(**figures)

    monkeypatch.setattr("attribution.experiment.train", fake)
    monkeypatch.setattr(attribution, "keep", lambda *outputs, **read: None)  # nothing is written
    other = demo.model_copy(update={"crops": demo.crops.model_copy(update={"margin": 0.7})})
    for cfg in (demo, demo, other):
        attribution.train(cfg, "23", [Path("m.parquet")], Path("out"))
    assert keys[0] == keys[1] != keys[2]
    rate = tmp_path / "rate.json"
    chosen = {"classifier": "dma_sta", "lr": 0.5, "epochs": 1, "crf": "23", "tried": []}
    rate.write_text(json.dumps(chosen))
    attribution.train(demo, "23", [Path("m.parquet")], Path("out"), tune=rate)
    assert rates == [demo.attribution.lr] * 3 + [0.5]
    rate.write_text(json.dumps({**chosen, "classifier": "xception"}))
    with pytest.raises(DfdmError, match="contains no rate of dma_sta"):
        attribution.train(demo, "23", [Path("m.parquet")], Path("out"), tune=rate)


def test_the_content_of_the_file_to_start_from_is_part_of_the_training(
    demo: Config, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keys: list[str] = []
    monkeypatch.setattr("generators.trainer.train", lambda **given: keys.append(given["key"]))
    monkeypatch.setattr(autoencoders, "keep", lambda *outputs, **read: None)  # nothing is written

    def run(start: Path | None) -> None:
        named = demo.train.model_copy(update={"start_from": start and str(start)})
        autoencoders.train(demo.model_copy(update={"train": named}), "iae", ("id0", "id1"), [], tmp_path / "out")

    first, copy = tmp_path / "first.safetensors", tmp_path / "copy.safetensors"
    for path in (first, copy):
        path.write_bytes(b"one")
    for start in (None, first, copy):
        run(start)
    copy.write_bytes(b"two")
    run(copy)
    assert keys[1] == keys[2]
    assert len({keys[0], keys[1], keys[3]}) == 3
    with pytest.raises(DfdmError, match=r"train\.start_from: .*none is not a file"):
        run(tmp_path / "none")


@pytest.fixture
def track(clips: Path, tmp_path: Path) -> Path:
    record = probe(clips / "WolfgangLanger_Pexels.mp4", "id0_0000", {"path": "x"}, (0, 4))
    empty = np.zeros(0, np.int32)
    arrays = (empty, np.zeros((0, 68, 2), np.float32), np.zeros((0, 4), np.float32), np.zeros(0, np.float32), empty)
    FaceTrack(record, *arrays, TrackCounts(4, 0, 0, 0)).save(tmp_path / "t.npz")
    return tmp_path / "t.npz"


def test_an_original_never_gets_the_name_of_a_swap_nor_a_swap_that_of_an_original(
    demo: Config, track: Path, tmp_path: Path
) -> None:
    with pytest.raises(DfdmError, match="is the name of a swap"):
        dataset.original(demo, track, tmp_path / "DFDM_crf0/iae/id0_id1_0000_iae.mp4")
    with pytest.raises(DfdmError, match="is the name of an original"):
        dataset.render(demo, track, tmp_path / "w", tmp_path / "DFDM_crf0/real/id0_0000_real.mp4")
    with pytest.raises(DfdmError, match="is in a folder"):
        dataset.original(demo, track, tmp_path / "DFDM_crf0/iae/id0_0000_real.mp4")
    with pytest.raises(DfdmError, match="only the crf 0 master is rendered"):
        dataset.original(demo, track, tmp_path / "DFDM_crf10/real/id0_0000_real.mp4")


def test_a_quality_is_encoded_from_its_own_master_only(demo: Config, track: Path, tmp_path: Path) -> None:
    master = tmp_path / "DFDM_crf0/iae/id0_id1_0000_iae.mp4"
    for out in ("DFDM_crf0/iae/id0_id1_0000_iae.mp4", "DFDM_crf23/iae/id0_id1_0001_iae.mp4"):
        with pytest.raises(DfdmError, match="cannot give"):
            dataset.encode(demo, master, track, tmp_path / out)
