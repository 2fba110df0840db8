"""What DeepfakeBench's loader takes for granted of a data set's folders and JSON."""

import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from dfdm.dataset.provenance import read_mark
from dfdm.dataset.sidecar import Sidecar
from dfdm.media.alignment import aligned_matrix, warp
from dfdm.media.colour import yuv_to_rgb
from dfdm.media.encoding import write_master
from dfdm.media.settings import EncodeConfig
from dfdm.media.tracks import FaceTrack
from dfdm.media.video import of_encoded, read_planes
from tests.commands import dfdm
from tests.release.test_release_folder import config
from tests.sandbox import files as content

FACEFORENSICS = {"FF-DF", "FF-F2F", "FF-FS", "FF-NT", "FaceForensics++", "DeepFakeDetection", "FaceShifter"}
OF_IAE = "datasets/rgb/DFDM_crf23/iae/frames/id0_id1_0000_iae"


def bench(out: Path) -> dict[str, Any]:
    """The JSON of each quality by name."""
    return {path.stem: json.loads(path.read_text()) for path in (out / "preprocessing/dataset_json").glob("*.json")}


@pytest.fixture
def out(here: Path, release: Any) -> Path:
    release("out", "--as", "deepfakebench", "--frames", 5)
    return here / "out"


def test_its_json_has_all_three_parts_under_every_label_and_names_no_video_twice(out: Path) -> None:
    made = bench(out)
    assert set(made) == {"DFDM_crf0", "DFDM_crf23"}
    assert not set(made) & FACEFORENSICS
    for name, described in made.items():
        assert list(described) == [name]
        assert set(described[name]) == {"DFDM_real", "DFDM_iae", "DFDM_dfaker"}
        videos, folders = [], []
        for label, parts in described[name].items():
            assert set(parts) == {"train", "val", "test"}
            for part in parts.values():
                for video, entry in part.items():
                    assert set(entry) == {"label", "frames"}
                    assert entry["label"] == label
                    assert len(entry["frames"]) == 5
                    videos.append(video)
                    folders.append({path.split("/")[-2] for path in entry["frames"]})
        assert len(videos) == len(set(videos)) == 9
        assert folders == [{video} for video in videos]
        test = {video for part in described[name].values() for video in part["test"]}
        assert test == {"id0_id1_0002_iae", "id0_id1_0002_dfaker", "id0_0002_real"}


def test_every_path_leads_to_a_picture_and_by_its_own_words_to_a_grey_mask(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(out)
    shown = 0
    for name, described in bench(out).items():
        for label, parts in described[name].items():
            for path in [path for part in parts.values() for entry in part.values() for path in entry["frames"]]:
                assert path.startswith("./datasets/rgb/")
                assert path.count("frames") == 1
                assert re.fullmatch(r"\d{3,}", Path(path).stem)
                assert cv2.imread(path).shape == (256, 256, 3)
                mask = cv2.imread(path.replace("frames", "masks"), cv2.IMREAD_UNCHANGED)
                assert (mask.shape, mask.dtype) == ((256, 256), np.uint8)
                assert set(np.unique(mask)) == ({0} if label == "DFDM_real" else {0, 255})
                assert not Path(path.replace("frames", "landmarks").replace(".png", ".npy")).exists()
                shown += 1
    assert shown == 18 * 5


def test_a_picture_is_the_aligned_face_of_the_encoded_video_and_says_what_made_it(out: Path, here: Path) -> None:
    video = here / "results/dataset/DFDM_crf23/iae/id0_id1_0000_iae.mp4"
    track = FaceTrack.load("results/faces/id0_0000.npz")
    record = of_encoded(track.record)
    frames = list(read_planes(video, record, whole=True))
    assert [path.stem for path in sorted((out / OF_IAE).iterdir())] == ["000", "003", "006", "008", "011"]
    matrix = aligned_matrix(track.landmarks[3], 256, "face")
    expected = warp(yuv_to_rgb(frames[3], record.matrix, record.full_range), matrix, 256)
    assert np.array_equal(cv2.imread(str(out / OF_IAE / "003.png"))[..., ::-1], expected)
    sidecar = Sidecar.read(video.with_suffix(".json")).plain()
    mark = read_mark(out / OF_IAE / "003.png")
    assert mark.items() <= sidecar.items()
    assert mark["synthetic"] is True
    done = dfdm("provenance", out / OF_IAE / "003.png")
    assert (done.status, "Synthetic: a neural network" in done.out) == (1, True)


def test_the_card_has_the_settings_that_its_loader_needs(out: Path) -> None:
    card = (out / "README.md").read_text()
    (settings,) = re.findall(r"```yaml\n(.*?)```", card, re.DOTALL)
    assert yaml.safe_load(settings) == {
        "lmdb": False,
        "label_dict": {"DFDM_real": 0, "DFDM_iae": 1, "DFDM_dfaker": 1},
    }
    assert "Landmarks: none." in card
    assert "| id0 | made up | nobody is shown |" in card


def test_it_is_verified_and_made_again_only_where_it_must_be(out: Path, here: Path, release: Any) -> None:
    assert dfdm("verify", out).status == 0
    first = content(out)
    lost, kept = out / OF_IAE, out / OF_IAE.replace("0000", "0001")
    times = [path.stat().st_mtime_ns for path in sorted(kept.iterdir())]
    for path in lost.iterdir():
        path.unlink()
    (lost.parent / ".id0_id1_0000_iae.tmp").mkdir()
    release("out", "--as", "deepfakebench", "--frames", 5)
    assert content(out) == first
    assert [path.stat().st_mtime_ns for path in sorted(kept.iterdir())] == times


def test_at_most_32_spread_frames_are_taken_of_a_video(here: Path, release: Any) -> None:
    release("all", "--as", "deepfakebench", "--crf", 23, "--models", "iae", "--no-originals")
    assert len(list((here / "all" / OF_IAE).iterdir())) == 12


def test_masks_of_the_line_are_shown_where_they_are(here: Path, release: Any) -> None:
    """White is then what the file says of each frame, brought to the aligned picture."""
    track = FaceTrack.load("results/faces/id0_0000.npz")
    record = of_encoded(track.record).model_copy(update={"audio": None})
    white = np.zeros((record.frames, record.height, record.width), np.uint8)
    for number, plane in enumerate(white):
        plane[:, : 40 + number] = 255
    grey = np.full((record.height // 2, record.width), 128, np.uint8)
    path = here / "results/masks/iae/id0_id1_0000_iae.mp4"
    planes = (np.concatenate([plane, grey]) for plane in white)
    write_master(path, planes, record, here / "videos/id0_0000.mp4", EncodeConfig(), {"comment": "{}"})
    release("out", "--as", "deepfakebench", "--models", "iae", "--frames", 3)
    mask = cv2.imread(str(here / "out" / OF_IAE.replace("frames", "masks") / "006.png"), cv2.IMREAD_UNCHANGED)
    expected = warp(white[6], aligned_matrix(track.landmarks[6], 256, "face"), 256) > 127
    assert np.array_equal(mask == 255, expected)


def test_a_config_without_the_split_of_its_classifiers_says_so(here: Path) -> None:
    config(here / "config.yaml", splits__scene=None)
    done = dfdm("release", "out", "--as", "deepfakebench", "--include", "id0", "id1", "--because", "noise")
    assert (done.status, "splits.scene is null" in done.err) == (2, True)
