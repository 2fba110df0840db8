from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from dfdm.base.errors import DfdmError
from dfdm.catalogue import config
from dfdm.catalogue.collect import collect
from dfdm.catalogue.foreign import find, video_name
from dfdm.catalogue.seen import autoencoder_saw
from dfdm.commands.dataset import collect as collect_command
from dfdm.dataset.crops import CropReader
from dfdm.dataset.splits import check_manifest
from dfdm.media.detectors import build
from dfdm.media.encoding import write_master
from dfdm.media.settings import EncodeConfig
from dfdm.media.video import probe, read_planes

ROOT = Path(__file__).parents[2]
SPLIT = {"scene": {"train": ["Video1"], "validation": ["Video2"], "test": ["Video3"]}}
CLASSES = {"DF_class1": "faceswap", "DF_class2": "iae"}


def make(demo: config.Config, clip: int = 2, **data: object) -> config.Config:
    attribution = demo.attribution.model_copy(update={"clip": clip})
    section = config.DataConfig.model_validate({"crf": 10, "splits": SPLIT, **data})
    return demo.model_copy(update={"data": section, "attribution": attribution})


def no_detector() -> None:
    raise AssertionError("nothing needs cropping")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two classes of three videos of three frames."""
    root = tmp_path / "df2_root"
    for label, folder in enumerate(CLASSES):
        for video in (1, 2, 3):
            where = root / folder / f"Video{video}"
            where.mkdir(parents=True)
            for frame in (1, 2, 3):
                pixels = np.random.default_rng([label, video, frame]).integers(0, 256, (12, 12, 3), np.uint8)
                Image.fromarray(pixels).save(where / f"Frame{frame}.png")
    return root


def test_folders_of_pictures_become_a_manifest_labelled_by_the_class_folder_alone(demo, tree, tmp_path):
    table = collect("frames", tree, tmp_path / "out", make(demo, classes=CLASSES), no_detector)
    assert table["model"].tolist() == ["faceswap"] * 3 + ["iae"] * 3
    assert table["name"].tolist()[:2] == ["DF_class1/Video1", "DF_class1/Video2"]
    assert not table["has_ids"].any()
    read = pd.read_parquet(tmp_path / "out/manifests/crf10.parquet").rename(columns={"split_scene": "part"})
    assert read["part"].tolist() == ["train", "validation", "test"] * 2  # a video's number keeps to one side
    assert (tmp_path / "out/manifest.csv").exists()
    check_manifest(read, "scene")
    with pytest.raises(DfdmError, match="identity split needs the ids"):
        check_manifest(read, "identity")


def test_list_files_divide_what_is_collected(demo, tree, tmp_path, capsys):
    scene = {part: str(tmp_path / f"{part}.txt") for part in SPLIT["scene"]}
    for part, (video,) in SPLIT["scene"].items():
        Path(scene[part]).write_text(f"# {part}\nDF_class1/{video} 0\nDF_class1/{video}9 0\n")
    cfg = make(demo, classes=CLASSES, splits={"scene": scene})
    table = collect("frames", tree, tmp_path / "out", cfg, no_detector)
    assert table["split_scene"].tolist() == ["train", "validation", "test"] * 2
    told = capsys.readouterr().err
    assert f"collect: scene split, test: 2 names in {scene['test']}; listed but absent: 1 (Video39)" in told


def test_an_unmapped_class_folder_is_an_error_that_names_it(demo, tree, tmp_path):
    with pytest.raises(DfdmError, match=r"DF_class2 is not a known class"):
        collect("frames", tree, tmp_path / "out", make(demo, classes={"DF_class1": "iae"}), no_detector)


def test_identity_of_a_tree_without_ids_is_refused_in_one_sentence(demo, tree, tmp_path):
    splits = {**SPLIT, "identity": {"train": ["id0"], "test": ["id1"]}}
    with pytest.raises(DfdmError, match="use the scene split") as told:
        collect("frames", tree, tmp_path / "out", make(demo, classes=CLASSES, splits=splits), no_detector)
    assert "\n" not in str(told.value)


def test_what_cannot_be_used_is_named_and_refused_or_left_out_as_config_says(demo, tree, tmp_path, capsys):
    extra = {name: tree / "DF_class1" / name for name in ("Video4", "Video5", "Video6", "Video7")}
    for folder in extra.values():
        folder.mkdir()
    (extra["Video4"] / "Frame1.png").write_bytes((tree / "DF_class1/Video1/Frame1.png").read_bytes()[:300])
    (extra["Video4"] / "Frame2.png").write_text("no picture")
    Image.new("RGB", (4, 4)).save(extra["Video5"] / "Frame1.png")
    for frame in (1, 3):
        Image.new("RGB", (4, 4)).save(extra["Video6"] / f"Frame{frame}.png")
    (tree / "DF_class1/Video1/notes.txt").write_text("")
    with pytest.raises(DfdmError, match="4 videos and 1 other files"):
        collect("frames", tree, tmp_path / "out", make(demo, classes=CLASSES), no_detector)
    assert not (tmp_path / "out/manifest.parquet").exists()
    told = capsys.readouterr().err
    for sentence in ("Video4/Frame1.png is damaged", "Video5 has 1 frames", "Video6 has no frame 2", "notes.txt is no"):
        assert sentence in told
    lenient = make(demo, classes=CLASSES, strict="leave_out")
    assert len(collect("frames", tree, tmp_path / "out", lenient, no_detector)) == 6
    assert "4 videos and 1 other files" in capsys.readouterr().err


def test_a_copy_of_a_training_video_in_the_test_part_is_caught_by_its_content(demo, tree, tmp_path):
    for frame in (1, 2, 3):
        source = tree / f"DF_class1/Video1/Frame{frame}.png"
        (tree / f"DF_class2/Video3/Frame{frame}.png").write_bytes(source.read_bytes())
    table = collect("frames", tree, tmp_path / "out", make(demo, classes=CLASSES), no_detector)
    with pytest.raises(DfdmError, match="DF_class1/Video1 and DF_class2/Video3 have the same content"):
        check_manifest(table.rename(columns={"split_scene": "part"}), "scene")


def test_names_with_ids_are_read_leniently_and_labels_never_come_from_them():
    assert str(video_name("ID12_id3_7_DFL-H128", "dfl_h128")) == "id12_id3_0007_dfl_h128"
    assert str(video_name("id1_id2_0003", "iae")) == "id1_id2_0003_iae"
    assert str(video_name("id1_0003", "real")) == "id1_0003_real"
    assert video_name("Video12", "iae") is None
    assert video_name("id1_0003", "iae") is None
    assert str(video_name("id1_id2_0003_1_original", "real")) == "id1_0003_real"


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_videos_take_model_and_quality_from_their_own_name_and_folder(demo, tmp_path):
    touch(tmp_path, "DFDM_crf10/x/id0_id1_0000_h128.mp4", "DFDM_crf23/id0_id1_0000_iae.mp4", "DFDM_crf23/holiday.mp4")
    with pytest.raises(DfdmError, match="'h128' is not a class"):
        find("videos", tmp_path, make(demo))
    items, faults, _ = find("videos", tmp_path, make(demo, spellings={"h128": "dfl_h128"}))
    assert [(item.name, item.crf) for item in items] == [("id0_id1_0000_dfl_h128", 10), ("id0_id1_0000_iae", 23)]
    assert [fault.path.name for fault in faults] == ["holiday.mp4"]


def test_dfdms_own_originals_are_originals_whatever_ids_their_names_carry(demo, tmp_path):
    originals = ["id0_id1_0003_1_original.mp4", "id0_id2_0003_1_original.mp4", "id1_id0_0003_original.mp4"]
    touch(tmp_path, *(f"DFDM_crf10/{name}" for name in originals), "DFDM_crf23/id0_0003_original.mp4")
    items, faults, left_out = find("videos", tmp_path, make(demo))
    assert faults == []
    assert [(item.name, item.model, item.crf) for item in items] == [
        ("id0_0003_real", "real", 10),
        ("id1_0003_real", "real", 10),
        ("id0_0003_real", "real", 23),
    ]
    assert left_out == {"the original of a scene that is there already": [Path("DFDM_crf10", originals[1])]}
    touch(tmp_path, "DFDM_crf23/again/id0_0003_original.mp4")
    with pytest.raises(DfdmError, match="are both id0_0003_real at crf 23"):
        find("videos", tmp_path, make(demo))


def test_videos_are_looked_for_as_by_scan_and_every_other_file_is_told(demo, tmp_path, capsys):
    real, root = tmp_path / "elsewhere", tmp_path / "DFDM_crf10"
    touch(real, "id0_id1_0001_iae.mp4")
    touch(root, "a/id0_id1_0000_iae.MP4", "a/._id0_id1_0000_iae.mp4", "train.txt", "x.mp4/id0_id1_0002_iae.mp4")
    (root / "b").symlink_to(real)
    (root / "c").symlink_to(real)
    (root / "a/up").symlink_to(root)
    items, faults, left_out = find("videos", root, make(demo))
    assert [item.name for item in items] == ["id0_id1_0000_iae", "id0_id1_0001_iae", "id0_id1_0002_iae"]
    assert faults == []
    assert {why: list(map(str, paths)) for why, paths in left_out.items()} == {
        "a link to a folder that was read already": ["c", "a/up"],
        "hidden": ["a/._id0_id1_0000_iae.mp4"],
        "no video by its suffix": ["train.txt"],
    }
    with pytest.raises(DfdmError, match="no video that can be used"):
        collect("videos", root, tmp_path / "out", make(demo, strict="leave_out"), lambda: None)
    assert "collect: left out, hidden: 1 (a/._id0_id1_0000_iae.mp4)" in capsys.readouterr().err


def test_files_beside_the_folders_of_frames_and_of_faceforensics_are_left_out_and_told(demo, tree, tmp_path):
    touch(tree, "index.csv", "DF_class1/notes.txt", "DF_class1/.DS_Store", "DF_class2/Video1/more/Frame1.png")
    (tree / "DF_class2/Video9").symlink_to(tree / "DF_class2/Video1")
    items, faults, left_out = find("frames", tree, make(demo, classes=CLASSES))
    assert (len(items), faults) == (6, [])
    assert {why: list(map(str, paths)) for why, paths in left_out.items()} == {
        "a file among folders": ["index.csv", "DF_class1/notes.txt"],
        "hidden": ["DF_class1/.DS_Store"],
        "a folder among frames": ["DF_class2/Video1/more"],
        "a link to a folder that was read already": ["DF_class2/Video9"],
    }
    fake = "fake/c23"
    touch(tmp_path / "ff", f"{fake}/000_003.mp4", f"{fake}/._000_003.mp4", "fake/c40/000_003.mp4", "splits/train.json")
    touch(tmp_path / "ff", "fake/README.md")
    items, faults, left_out = find("faceforensics", tmp_path / "ff", make(demo, faceforensics={fake: "deepfakes"}))
    assert ([item.name for item in items], faults) == (["id0_id3_0000_deepfakes"], [])
    assert {why: list(map(str, paths)) for why, paths in left_out.items()} == {
        "hidden": [f"{fake}/._000_003.mp4"],
        "not in a folder of data.faceforensics": ["fake/README.md"],
        "a folder that data.faceforensics does not map": ["fake/c40", "splits"],
    }


def test_a_folder_without_anything_of_the_layout_says_what_is_there(demo, tmp_path):
    touch(tmp_path, "a.mp4")
    with pytest.raises(DfdmError, match=r"nothing of the layout 'crops'.*; left out, no crop file by its suffix: 1"):
        find("crops", tmp_path, make(demo))


def test_the_command_ends_with_the_next_one(tree, tmp_path, capsys):
    values = yaml.safe_load((ROOT / "config.yaml").read_text())
    values["attribution"]["clip"], values["data"] = 2, {"crf": 10, "splits": SPLIT, "classes": CLASSES}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(values))
    collect_command(tree, config=tmp_path / "mine.yaml", layout="frames", out=tmp_path / "out")
    out = tmp_path / "out"
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"next: dfdm attribution train --crf 10 --manifest {out}/manifests/crf10.parquet --results {out} "
        f"--out {out}/attribution/dma_sta/scene/crf10/seed0 --config {tmp_path}/mine.yaml"
    )


def test_faceforensics_folders_give_classes_ids_and_quality(demo, tmp_path):
    fake, real = "manipulated_sequences/Deepfakes/c23/videos", "original_sequences/youtube/c40/videos"
    touch(tmp_path, f"{fake}/000_003.mp4", f"{fake}/003.mp4", f"{real}/000.mp4")
    cfg = make(demo, faceforensics={fake: "deepfakes", real: "real"})
    items, faults, _ = find("faceforensics", tmp_path, cfg)
    assert [(item.name, item.crf) for item in items] == [("id0_id3_0000_deepfakes", 23), ("id0_0000_real", 40)]
    assert [fault.path.name for fault in faults] == ["003.mp4"]
    assert cfg.classes == ["deepfakes"]
    assert make(demo).classes == list(demo.models)
    with pytest.raises(DfdmError, match=r"is not a folder; correct data\.faceforensics"):
        find("faceforensics", tmp_path, make(demo, faceforensics={"nowhere": "real"}))


@pytest.mark.long
def test_videos_are_cropped_once_and_their_crops_collected_again(demo, clips, predictor, tmp_path, capsys):
    source = clips / "single_face.mp4"
    record = probe(source, "id0_0000", {}, (0, 3))
    root = tmp_path / "DFDM_crf10"
    for scene in ("0000", "0001", "0002"):
        planes = list(islice(read_planes(source, record), 3))
        planes[0][:] = planes[0] ^ int(scene)  # other bytes
        write_master(
            root / f"id0_id1_{scene}_iae.mp4", iter(planes), record, source, EncodeConfig(preset="ultrafast"), {}
        )
    (root / "id0_id1_0003_iae.mp4").write_text("no video")
    parts = {"train": ["id0_0000"], "validation": ["id0_0001"], "test": ["id0_0002"]}
    cfg = make(demo, strict="leave_out", splits={"scene": parts})
    out = tmp_path / "out"
    table = collect("videos", root, out, cfg, lambda: build("dlib", predictor=predictor))
    assert "id0_id1_0003_iae.mp4 cannot be opened as a video" in capsys.readouterr().err
    assert table["crops"].tolist() == [f"crf10/iae/id0_id1_000{i}_iae.safetensors" for i in range(3)]
    assert table["split_scene"].tolist() == ["train", "validation", "test"]
    files = [out / "crops" / name for name in table["crops"]]
    assert [len(CropReader(file)) for file in files] == [3, 3, 3]
    assert autoencoder_saw(table, cfg, out) is None
    files[0].write_bytes(files[0].read_bytes()[:-100])  # as if cut off: it alone is made again
    before = [file.stat().st_mtime_ns for file in files]
    again = collect("videos", root, out, cfg, lambda: build("dlib", predictor=predictor))
    changed = [file.stat().st_mtime_ns != old for file, old in zip(files, before)]
    assert changed == [True, False, False]
    collected = collect("crops", out / "crops", tmp_path / "other", cfg, no_detector)
    assert collected["name"].tolist() == again["name"].tolist()
