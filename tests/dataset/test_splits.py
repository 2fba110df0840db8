import re
from collections import Counter

import pandas as pd
import pytest

from dfdm.base.errors import DfdmError
from dfdm.base.names import cluster_of, parse_name, scene_of
from dfdm.dataset import splits
from dfdm.dataset.settings import IdentitySplit, SceneSplit, SplitsConfig

MODELS = ("faceswap", "lightweight", "iae")


def videos(people: int = 4, scenes: int = 3) -> list:
    """Every ordered pair of the people in every scene by every model, and the originals."""
    ids = [f"id{i}" for i in range(people)]
    texts = [f"{a}_{s:04d}_real" for a in ids for s in range(scenes)]
    texts += [f"{a}_{b}_{s:04d}_{m}" for a in ids for b in ids if a != b for s in range(scenes) for m in MODELS]
    return [parse_name(text) for text in texts]


def test_hash_parts_take_about_their_shares_and_do_not_depend_on_the_process():
    counts = Counter(splits.hash_part(f"id{i}_0000", 0) for i in range(4000))
    assert counts["train"] / 4000 == pytest.approx(0.70, abs=0.03)
    assert counts["validation"] / 4000 == pytest.approx(0.15, abs=0.03)
    known = "".join(splits.hash_part(f"id{i}_0000", 0)[1] for i in range(12))
    assert known == "arearrrrarra"  # second letters: train, validation, test
    assert any(splits.hash_part(f"id{i}_0000", 0) != splits.hash_part(f"id{i}_0000", 1) for i in range(20))


def test_scene_split_keeps_everything_of_a_scene_on_one_side():
    names = videos(people=6, scenes=8)
    parts = splits.split_videos(names, "scene", SplitsConfig(), seed=0)
    for key in {name.scene_key for name in names}:
        assert len({part for name, part in zip(names, parts) if name.scene_key == key}) == 1
    assert set(parts) == set(splits.PARTS)


def test_scene_lists_are_followed_and_unlisted_scenes_dropped():
    split = SceneSplit(train=["id0_0000"], validation=["id0_0001"], test=["id1_0000"])
    expected = {"id0_id1_0000_iae": "train", "id0_0000_real": "train", "id0_id2_0001_iae": "validation"}
    expected |= {"id1_id0_0000_iae": "test", "id1_id0_0001_iae": None}
    for text, part in expected.items():
        assert splits.split_key(parse_name(text).scene_key, split, 0) == part


def test_a_partial_set_of_lists_is_an_error_that_names_the_missing_one():
    with pytest.raises(DfdmError, match=r"splits\.scene\.validation is null"):
        splits.split_key("id0_0000", SceneSplit(train=["id0_0000"], test=["id0_0001"]), 0)
    part = SplitsConfig(identity=IdentitySplit(train=["id0"], validation=["id1"]))
    with pytest.raises(DfdmError, match=r"splits\.identity\.test is null"):
        splits.split_identity(parse_name("id0_id1_0000_iae"), part, 0)


def test_identity_split_drops_pairs_between_parts_whatever_the_order_of_the_ids():
    config = SplitsConfig(identity=IdentitySplit(train=["id0", "id1"], validation=["id2", "id3"], test=["id4", "id5"]))
    expected = {"id0_id1_0000_iae": "train", "id1_id0_0000_iae": "train", "id0_0000_real": "train"}
    expected |= {"id2_id3_0000_iae": "validation", "id5_id4_0000_iae": "test", "id4_0000_real": "test"}
    expected |= {"id0_id4_0000_iae": None, "id4_id0_0000_iae": None, "id0_id9_0000_iae": None}
    for text, part in expected.items():
        assert splits.split_identity(parse_name(text), config, 0) == part
    names = videos(people=6)
    parts = splits.split_videos(names, "identity", config, 0)
    assert splits.describe(parts) == "train 24, validation 24, test 24, dropped 216"
    by_hash = SplitsConfig(identity=IdentitySplit())
    names = videos(people=30, scenes=1)
    splits.check_names(list(map(str, names)), splits.split_videos(names, "identity", by_hash, 0), "identity")


def test_identity_without_validation_people_validates_on_scenes_the_training_people_do_not_train_on():
    config = SplitsConfig(
        scene=SceneSplit(train=["id0_0000", "id1_0000"], validation=["id0_0001"], test=["id1_0001"]),
        identity=IdentitySplit(train=["id0", "id1"], test=["id2", "id3"]),
    )
    names = videos(people=4)
    parts = dict(zip(map(str, names), splits.split_videos(names, "identity", config, 0)))
    assert parts["id0_id1_0000_iae"] == "train"
    assert parts["id0_id1_0001_iae"] == parts["id1_id0_0001_iae"] == "validation"
    assert parts["id1_id0_0002_iae"] is None  # in no list of the scene split
    assert parts["id2_id3_0000_iae"] == parts["id3_0000_real"] == "test"


def test_an_empty_part_is_one_sentence_with_the_names_to_list():
    with pytest.raises(DfdmError, match=re.escape("there are: id0_0000, id0_0001, id1_0000, id1_0001")) as error:
        splits.split_videos(videos(people=2, scenes=2), "scene", SplitsConfig(), 0)
    assert "without a swapped video" in str(error.value)
    lists = SceneSplit(train=["id0_0000"], validation=["id0_0001"], test=[])
    with pytest.raises(DfdmError, match="leaves test without a swapped video"):
        splits.split_videos(videos(people=2, scenes=2), "scene", SplitsConfig(scene=lists), 0)


def test_planted_leaks_are_named():
    names = ["id0_id1_0000_iae", "id0_id2_0000_iae", "id3_id4_0001_iae"]
    with pytest.raises(DfdmError, match="scene id0_0000 is in two parts"):
        splits.check_names(names, ["train", "test", "test"], "scene")
    splits.check_names(names, ["train", "train", "test"], "scene")
    names[2] = "id3_id1_0001_iae"  # id1 is seen in training
    splits.check_names(names, ["train", "train", "test"], "scene")
    with pytest.raises(DfdmError, match="id1 of the test part"):
        splits.check_names(names, ["train", "train", "test"], "identity")
    splits.check_names(names, ["train", "train", None], "identity")


def manifest(*lines: tuple[str, int, str | None, str]) -> pd.DataFrame:
    return pd.DataFrame(lines, columns=["name", "crf", "part", "sha256"])


FAIR = [
    ("id0_id1_0000_iae", 0, "train", "a"),
    ("id0_id1_0000_iae", 23, "train", "b"),
    ("id1_id0_0001_iae", 0, "validation", "c"),
    ("id2_id3_0000_iae", 0, "test", "d"),
    ("id0_id3_0000_iae", 0, None, "a"),
]


def test_a_manifest_without_leaks_passes_and_dropped_videos_do_not_count():
    splits.check_manifest(manifest(*FAIR), "scene")
    splits.check_manifest(manifest(*FAIR), "identity")


@pytest.mark.parametrize(
    ("planted", "kind", "message"),
    [
        (("id0_id4_0000_faceswap", 10, "test", "e"), "scene", "scene id0_0000 is in two parts"),
        (("id1_id0_0001_iae", 23, "train", "e"), "scene", "scene id1_0001 is in two parts"),
        (("id9_id8_0000_iae", 0, "test", "a"), "scene", "id0_id1_0000_iae and id9_id8_0000_iae have the same content"),
        (("id3_id1_0007_iae", 0, "test", "e"), "identity", "id1 of the test part"),
        (("id0_id1_0000_iae", 0, "train", "e"), "scene", "id0_id1_0000_iae more than once"),
        (("DF_class1/Video1", 0, "test", "e"), "identity", "DF_class1/Video1 of 5 videos has none"),
    ],
)
def test_a_leak_planted_in_a_manifest_is_named(planted, kind, message):
    with pytest.raises(DfdmError, match=message):
        splits.check_manifest(manifest(*FAIR, planted), kind)


def test_videos_without_ids_keep_to_one_side_by_their_own_name_and_are_clusters_of_their_own():
    assert scene_of("DF_class1/Video1") == scene_of("DF_class2/Video1") == "Video1"
    assert cluster_of("DF_class1/Video1") == "DF_class1/Video1"
    assert cluster_of("id1_id0_0003_iae") == cluster_of("id1_id0_0003_dfaker") == "id0_id1_id1_0003"
    rows = manifest(("DF_class1/Video1", 0, "train", "a"), ("DF_class2/Video1", 0, "test", "b"))
    with pytest.raises(DfdmError, match="scene Video1 is in two parts"):
        splits.check_manifest(rows, "scene")
