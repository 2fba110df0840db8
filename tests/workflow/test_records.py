"""What is read is what was recorded: a file that changed since its stage wrote it is refused by every reader."""

import shutil
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pandas as pd
import pytest
from conftest import copy_run

from dfdm.base.errors import DfdmError
from dfdm.base.files import write_json
from dfdm.base.records import FOLDER, checked, every, keep, place, unrecorded
from dfdm.catalogue.layout import UNRECORDED
from dfdm.dataset.crops import CropReader
from tests import commands

Small = Callable[..., Path]
KINDS = {  # of each kind of file, one that the small run makes
    "source record": "sources/id0_0000.json",
    "predictor's record": "sources/predictor.json",
    "track": "faces/id0_0000.npz",
    "weights": "train/id0_id1/faceswap/model.safetensors",
    "loss log": "train/id0_id1/faceswap/loss.csv",
    "master": "dataset/DFDM_crf0/faceswap/id0_id1_0000_faceswap.mp4",
    "encoded video": "dataset/DFDM_crf23/faceswap/id0_id1_0000_faceswap.mp4",
    "sidecar": "dataset/DFDM_crf23/faceswap/id0_id1_0000_faceswap.json",
    "crops": "crops/crf23/faceswap/id0_id1_0002_faceswap.safetensors",  # of a test video
    "manifest": "manifests/crf23.parquet",
    "classifier": "attribution/dma_sta/scene/crf23/seed0/model.safetensors",
    "scores": "attribution/dma_sta/scene/crf23/seed0/test_crf23/scores.json",
    "predictions": "attribution/dma_sta/scene/crf23/seed0/test_crf23/predictions.parquet",
    "evaluation": "evaluate/id0_id1/faceswap.json",
    "report": "report.html",
}
TRACK = "--track", "faces/id0_0000.npz"
READERS = {  # a stage that reads the kind
    "track": ["crops", "--video", KINDS["encoded video"], *TRACK, "--out", "out.safetensors"],
    "master": ["encode", "--master", KINDS["master"], *TRACK, "--out", f"out/{KINDS['encoded video'][8:]}"],
    "encoded video": ["crops", "--video", KINDS["encoded video"], *TRACK, "--out", "out.safetensors"],
    "sidecar": ["manifest", "--target", "crf23", "--results", ".", "--out", "out.parquet"],
    "weights": [
        *("render", *TRACK, "--checkpoint", KINDS["weights"]),
        *("--out", f"out/{KINDS['master'][8:]}"),
    ],
    "manifest": [
        *("attribution", "score", "--model", KINDS["classifier"], "--crf", "23", "--manifest", KINDS["manifest"]),
        *("--results", ".", "--out", "out"),
    ],
    "classifier": [
        *("attribution", "score", "--model", KINDS["classifier"], "--crf", "23", "--manifest", KINDS["manifest"]),
        *("--results", ".", "--out", "out"),
    ],
    "crops": [
        *("attribution", "score", "--model", KINDS["classifier"], "--crf", "23", "--manifest", KINDS["manifest"]),
        *("--results", ".", "--out", "out"),
    ],
    "loss log": ["report", "--results", ".", "--out", "out.html"],
}


def flip_a_bit(path: Path, share: float = 0.6) -> None:
    content = bytearray(path.read_bytes())
    content[int(len(content) * share)] ^= 1
    path.unlink()  # it may be a link to the finished run's
    path.write_bytes(content)


def dfdm(folder: Path, config: Path, *words: object) -> commands.Done:
    with chdir(folder):
        return commands.dfdm(*words, "--config", config)


@pytest.fixture
def results(line: Path, tmp_path: Path) -> Path:
    """A copy of the finished small run that a test may damage."""
    return copy_run(line, tmp_path / "results", "state", "logs")


def test_every_file_that_a_stage_writes_has_a_record(line: Path) -> None:
    assert [path for path in unrecorded(line, UNRECORDED) if not path.name.startswith(".")] == []
    recorded = [path for path, _ in every(line)]
    assert {line / kind for kind in KINDS.values()} <= set(recorded)
    assert all(path.is_file() for path in recorded)


def test_verify_finds_one_flipped_bit_in_each_kind_of_file(results: Path, small: Small) -> None:
    whole = dfdm(results, small(), "verify", results)
    assert (whole.status, "0 faults" in whole.out) == (0, True), whole.out
    for kind in KINDS.values():
        flip_a_bit(results / kind)
    found = dfdm(results, small(), "verify", results)
    assert found.status == 1
    assert {line.split()[1] for line in found.out.splitlines() if line.startswith("changed:")} == {
        str(results / kind) for kind in KINDS.values()
    }


def test_verify_names_missing_files_and_files_of_no_stage(results: Path, small: Small) -> None:
    (results / KINDS["master"]).unlink()
    (results / "dataset/DFDM_crf0/real/stray.mp4").write_bytes(b"stray")
    found = dfdm(results, small(), "verify", results)
    assert found.status == 1
    assert f"missing: {results / KINDS['master']} (run the stage render)" in found.out
    assert f"written by no stage: {results / 'dataset/DFDM_crf0/real/stray.mp4'}" in found.out
    assert "2 faults" in found.out


@pytest.mark.parametrize("kind", READERS)
def test_a_stage_refuses_a_changed_input_by_name_and_leaves_no_output(kind: str, results: Path, small: Small) -> None:
    flip_a_bit(results / KINDS[kind])
    refused = dfdm(results, small(), *READERS[kind])
    assert refused.status == 2, refused.err
    assert Path(KINDS[kind]).name in refused.err
    assert "Traceback" not in refused.err
    assert not any(path.is_file() for path in results.glob("out*/**/*"))
    assert not list(results.glob("out.*"))


def test_an_edited_manifest_is_not_scored(results: Path, small: Small) -> None:
    path = results / KINDS["manifest"]
    table = pd.read_parquet(path)
    table["split_scene"] = "test"
    table.to_parquet(path, index=False)
    refused = dfdm(results, small(), *READERS["manifest"])
    assert refused.status == 2
    assert "crf23.parquet is not what the stage manifest wrote" in refused.err


def test_a_swap_replaced_by_its_original_is_not_cropped_as_a_swap(results: Path, small: Small) -> None:
    shutil.copy(results / "dataset/DFDM_crf23/real/id0_0000_real.mp4", results / KINDS["encoded video"])
    refused = dfdm(results, small(), *READERS["encoded video"])
    assert refused.status == 2
    assert "id0_id1_0000_faceswap.mp4 is not what the stage encode wrote" in refused.err


def test_a_classifier_knows_its_own_damage_where_no_record_is_beside_it(
    results: Path, small: Small, tmp_path: Path
) -> None:
    alone = shutil.copy(results / KINDS["classifier"], tmp_path / "alone.safetensors")
    flip_a_bit(Path(alone))
    refused = dfdm(results, small(), "predict", results / KINDS["encoded video"], "--classifier", alone)
    assert refused.status == 2
    assert "its content is not what was written" in refused.err


def test_each_crop_that_is_read_is_compared_with_its_checksum(results: Path) -> None:
    path = results / KINDS["crops"]
    flip_a_bit(path, 0.999)  # in the last frame
    reader = CropReader(path)
    assert len(reader.frames([0])) == 1
    with pytest.raises(DfdmError, match=f"damaged: crop {len(reader) - 1} is not what was written"):
        reader.frames([len(reader) - 1])


def test_records_move_with_their_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    write_json(tmp_path / "a/x.json", {"value": 1})
    keep("faces", tmp_path / "a/x.json")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert checked(tmp_path / "b/x.json") == checked(tmp_path / "a/x.json")
    write_json(tmp_path / "b/x.json", {"value": 2})
    with pytest.raises(DfdmError, match="run the stage faces again"):
        checked(tmp_path / "b/x.json")
    assert place("b/x.json") == Path("b", FOLDER, "x.json.json")
