"""List files of data sets, for the generation line's splits and for data made elsewhere."""

import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from dfdm.base.errors import DfdmError
from dfdm.base.names import parse_name
from dfdm.catalogue import config
from dfdm.catalogue.collect import divided
from dfdm.catalogue.parts import told_lists
from dfdm.commands.views import check
from dfdm.dataset.lists import canonical, read
from dfdm.dataset.settings import DataSplits
from dfdm.dataset.splits import split_names

ROOT = Path(__file__).parents[2]


def files(folder: Path, **parts: str) -> dict[str, str]:
    """List files, by part."""
    for part, text in parts.items():
        (folder / f"{part}.txt").write_text(text)
    return {part: str(folder / f"{part}.txt") for part in parts}


def line(splits: dict[str, Any], people: int = 3, **changes: object) -> config.Config:
    """People with four scenes each, swapped in a ring in both directions."""
    values = yaml.safe_load((ROOT / "tests/configs/small.yaml").read_text())
    scenes = {f"000{place}": {"path": f"{place}.mp4"} for place in range(4)}
    about = {"licence": "own", "consent": "signed", "scenes": scenes}
    values["sources"]["people"] = {f"id{number}": about for number in range(people)}
    ends = [(number, (number + 1) % people) for number in range(people)]
    values["swaps"] = [f"id{a}_id{b}" for one, two in ends for a, b in ((one, two), (two, one))]
    return config.load({**values, "splits": splits, **changes})


@pytest.mark.parametrize(
    "text",
    [
        "id0_id1_0003",
        "id0_id1_0003.mp4",
        "DFDM_crf10/faceswap/id0_id1_0003_faceswap.mp4",
        r"DFDM_crf10\faceswap\id0_id1_0003_faceswap.mp4",
        "0 id0_id1_0003.mp4",
        "id0_id1_0003_DFL-H128.MP4 1",
        "id0_id1_0003,fake",
        "faceswap\tdata/id0_id1_0003.mp4\t0",
        '"id0_id1_0003.mp4"; 1',
        "ID0_ID1_3.avi  # seen twice",
    ],
)
def test_a_line_names_a_video_with_or_without_folder_suffix_label_and_model(tmp_path: Path, text: str) -> None:
    file = files(tmp_path, train=f"\ufeff# videos\n\n{text}\r\n")["train"]
    found = read(file, "scene", bare=False)
    assert (list(found), found.names) == (["id0_0003"], ["id0_id1_0003"])
    assert list(read(file, "identity", bare=False)) == ["id0", "id1"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("id0_0003.mp4", "id0_0003"),
        ("id12", "id12"),
        ("000_003.mp4 1", "id0_id3_0000"),
        ("0 071", "id71_0000"),
        ("1 YouTube-real/00170.mp4", "00170"),
        ("DF_class1/Video12 3", "Video12"),
        ("Video12", "Video12"),
        ("3 Video12", "Video12"),
    ],
)
def test_originals_people_numbers_and_names_without_ids_are_taken_too(tmp_path: Path, text: str, name: str) -> None:
    assert read(files(tmp_path, train=text)["train"], "scene", bare=True).names == [name]
    assert canonical(name) == name


@pytest.mark.parametrize("text", ["video,label", "id0_0001.mp4 id0_0002.mp4", "what is this", "7 8"])
def test_a_line_that_is_not_understood_is_named_with_its_file_and_number(tmp_path: Path, text: str) -> None:
    scene = files(tmp_path, train=f"# list\nid0_0000.mp4\n{text}\n", validation="id0_0001", test="id0_0002")
    with pytest.raises(DfdmError, match=rf"splits\.scene: \S*train\.txt, line 3: '{text}' names no video") as told:
        line({"scene": scene})
    assert "\n" not in str(told.value)
    with pytest.raises(DfdmError, match=r"data\.splits\.scene: \S*train\.txt, line 3"):
        line({}, data={"splits": {"scene": scene}})


def test_a_word_alone_is_a_video_of_data_made_elsewhere_and_none_of_this_line(tmp_path: Path) -> None:
    scene = files(tmp_path, train="Video1", validation="Video2", test="Video3")
    assert DataSplits.model_validate({"scene": scene}).scene.train == ["Video1"]
    with pytest.raises(DfdmError, match=r"train\.txt, line 1: 'Video1' names no video"):
        line({"scene": scene})


def test_a_file_that_is_absent_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(DfdmError, match=r"nowhere\.txt cannot be read .*; correct its path"):
        line({"scene": {"train": str(tmp_path / "nowhere.txt")}})
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00i")
    with pytest.raises(DfdmError, match=r"list\.txt cannot be read .*save it as UTF-8 text"):
        line({"scene": {"train": str(tmp_path / "list.txt")}})


LISTS = {
    "train": "id0_id1_0000_iae.mp4\nid0_id1_0000_dfaker.mp4\nid1_id0_0000\nid1_id0_0000.mp4\nid9_id0_0000\n",
    "validation": "id0_id1_0001\nid1_0001\n",
    "test": "id0_id1_0002\nid1_id0_0002\nid2_id0_0002\n",
}


def test_lists_divide_the_line_and_what_they_do_not_share_with_it_is_counted_and_named(tmp_path: Path) -> None:
    cfg = line({"scene": files(tmp_path, **LISTS)})
    split = cfg.splits.scene
    assert split is not None
    assert (split.train, split.validation) == (["id0_0000", "id1_0000"], ["id0_0001", "id1_0001"])
    told = told_lists(cfg)
    assert told[0].endswith("train.txt; listed but absent: 1 (id9_id0_0000); listed twice: 1 (id1_id0_0000)")
    assert told[3].startswith(
        "scene split: present but unlisted, left out: 5 (id0_0003, id1_0003, id2_0000, id2_0001, "
    )
    assert told[4].endswith(
        "taken with their scene: 6 (id0_id2_0000, id0_id2_0001, id0_id2_0002, id1_id2_0000, id1_id2_0002 and 1 more)"
    )
    again = config.load(json.loads(cfg.model_dump_json()))  # as the jobs of a run read it, without the files
    assert again.splits == cfg.splits
    assert again.model_dump_json() == cfg.model_dump_json()


def test_check_tells_it_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lists = files(tmp_path, **LISTS)
    values = json.loads(line({"scene": lists}).model_dump_json())
    values["splits"]["scene"], values["sources"]["root"] = lists, str(tmp_path)
    for person, scene in product(range(3), range(4)):
        values["sources"]["people"][f"id{person}"]["scenes"][f"000{scene}"]["path"] = f"{person}{scene}.mp4"
        (tmp_path / f"{person}{scene}.mp4").write_text(f"{person}{scene}")
    values["results"] = str(tmp_path / "results")
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(values))
    check(tmp_path / "mine.yaml")
    assert "listed but absent: 1 (id9_id0_0000)" in capsys.readouterr().err


def test_one_scene_in_two_parts_is_an_error_that_names_both_lines(tmp_path: Path) -> None:
    torn = {**LISTS, "test": "# the others\nid0_id2_0000_iae.mp4\n"}
    with pytest.raises(DfdmError) as told:
        line({"scene": files(tmp_path, **torn)})
    assert str(told.value) == (
        f"config: splits.scene: 'id0_0000' is in two parts, by {tmp_path}/train.txt, line 1 (id0_id1_0000_iae.mp4) "
        f"and by {tmp_path}/test.txt, line 2 (id0_id2_0000_iae.mp4); keep it in one"
    )
    with pytest.raises(DfdmError, match=r"data\.splits\.scene: 'Video1' is in two parts, by train and by test"):
        line({}, data={"splits": {"scene": {"train": ["Video1"], "validation": [], "test": ["Video1"]}}})


def test_train_and_test_alone_as_data_sets_ship_them_leave_scenes_of_train_for_validation(tmp_path: Path) -> None:
    lists = files(
        tmp_path, train="id0_id1_0000\nid1_id0_0000\nid0_id1_0001\nid1_id0_0001\nid9_0000", test="id0_id1_0003"
    )
    split = line({"scene": lists}).splits.scene
    assert split is not None
    assert (len(split.train or []), len(split.validation or []), split.test) == (3, 1, ["id0_0003"])
    assert sorted([*(split.train or []), *(split.validation or [])]) == ["id0_0000", "id0_0001", "id1_0000", "id1_0001"]
    assert "of the scenes in" in told_lists(line({"scene": lists}))[1]


def pairs(folder: Path, **parts: object) -> dict[str, str]:
    for part, value in parts.items():
        (folder / f"{part}.json").write_text(json.dumps(value))
    return {part: str(folder / f"{part}.json") for part in parts}


def test_faceforensics_pairs_give_their_two_people_to_a_part(tmp_path: Path) -> None:
    lists = pairs(
        tmp_path,
        train=[["id0", "id1"], ["id1", "id0"]],
        validation=[["002", "003"]],
        test=[["004", "id5"], ["071", "054"]],
    )
    cfg = line({"scene": lists, "identity": lists}, people=6)
    scene, identity = cfg.splits.scene, cfg.splits.identity
    assert scene is not None
    assert identity is not None
    assert scene.train == [f"id{person}_000{place}" for person in (0, 1) for place in range(4)]
    assert (identity.train, identity.validation, identity.test) == (["id0", "id1"], ["id2", "id3"], ["id4", "id5"])
    told = told_lists(cfg)
    assert told[0].endswith("listed twice: 1 (id0 and id1)")
    assert told[2].endswith("listed but absent: 2 (id54, id71)")
    with pytest.raises(
        DfdmError, match=r"identity: 'id1' is in two parts, by .*entry 1 \(id0 and id1\) and by .*entry 1"
    ):
        line({"identity": pairs(tmp_path, train=[["0", "1"]], test=[["1", "2"]])})
    with pytest.raises(DfdmError, match=r"train\.json, entry 2: \['0'\] is no pair of ids such as"):
        line({"scene": pairs(tmp_path, train=[["0", "1"], ["0"]])})


def test_lists_divide_data_made_elsewhere_with_ids_with_numbers_and_without(tmp_path: Path, capsys: Any) -> None:
    names = ["id0_id3_0000_df", "id3_id0_0000_df", "id3_0000_real", "id71_id54_0000_df", "id8_id9_0000_df"]
    given = DataSplits.model_validate(
        {"scene": pairs(tmp_path, train=[["000", "003"]], validation=[], test=[["071", "54"]])}
    )
    splits = divided(given, names)
    told = capsys.readouterr().err
    assert "present but unlisted, left out: 1 (id8_0000)" in told
    assert "listed but absent: 1 (id54)" in told
    with pytest.raises(DfdmError, match="leaves validation without"):
        split_names(names, [parse_name(name).face_id is not None for name in names], "scene", splits, 0)
    folders = [f"DF_class{label}/{video}" for label in (1, 2) for video in ("Video1", "Video2", "000_003")]
    lists = files(tmp_path, train="DF_class1/Video1", validation="Video2 0", test="000_003.mp4")
    splits = divided(DataSplits.model_validate({"scene": lists}), folders)
    assert split_names(folders, [True] * 6, "scene", splits, 0) == ["train", "validation", "test"] * 2
    assert "absent" not in capsys.readouterr().err


def test_a_list_nested_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(DfdmError, match=r"deep\.json is not readable JSON \(it is nested too deep\)"):
        line({"scene": {"train": str(tmp_path / "deep.json"), "validation": [], "test": []}})
