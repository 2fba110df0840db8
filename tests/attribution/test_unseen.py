"""Classifiers on people that nobody saw: what a fold holds, and figures that delete one person at a time."""

import math
from itertools import combinations

import pandas as pd
import pytest

from attribution.unseen import Column, jackknife, summarise
from dfdm.base.errors import DfdmError
from dfdm.base.names import parse_name
from dfdm.dataset.settings import Fold, SceneSplit, SplitsConfig
from dfdm.dataset.splits import leave_two_out, made, split_videos

PEOPLE = [f"id{i}" for i in range(5)]
PAIRS = ["_".join(pair) for pair in combinations(PEOPLE, 2)]
SCENES = SceneSplit(
    train=[f"{person}_0000" for person in PEOPLE],
    validation=[f"{person}_0001" for person in PEOPLE],
    test=[f"{person}_0002" for person in PEOPLE],
)


def videos():
    """Three scenes of five people, each with every other's face, and as they are."""
    swaps = [f"{a}_{b}_000{s}_iae" for a in PEOPLE for b in PEOPLE if a != b for s in range(3)]
    return [parse_name(text) for text in [*swaps, *(f"{a}_000{s}_real" for a in PEOPLE for s in range(3))]]


def parts(fold, name="fold"):
    splits = SplitsConfig(scene=SCENES, folds={name: fold})
    return {str(video): part for video, part in zip(videos(), split_videos(videos(), name, splits, 0))}


def test_leave_two_out_tests_each_pair_once_and_trains_on_pairs_without_its_people():
    folds = leave_two_out(PAIRS)
    assert list(folds) == PAIRS
    assert len(PAIRS) == 10
    for test, fold in folds.items():
        assert fold.test == [test]
        assert len(fold.train) == 3
        assert not {person for pair in fold.train for person in pair.split("_")} & set(test.split("_"))
        held = parts(fold)
        seen = {person for text, part in held.items() if part != "test" and part for person in people(text)}
        assert seen == set(PEOPLE) - set(test.split("_"))
        # of the test pair every scene in both directions, and its two people's originals
        assert sum(part == "test" for part in held.values()) == 2 * 3 + 2 * 3
        assert all(text.split("_")[-2] == "0001" for text, part in held.items() if part == "validation")


def people(text):
    video = parse_name(text)
    return video.pair or (video.video_id,)


def test_a_pair_that_everybody_is_in_cannot_be_left_out():
    with pytest.raises(ValueError, match="needs a pair without the people of id0_id1"):
        leave_two_out(["id0_id1", "id0_id2", "id1_id2"])


def test_a_fold_whose_pairs_share_a_person_tests_none_of_the_scenes_that_it_trains_on():
    held = parts(Fold(train=["id1_id2"], test=["id3_id1", "id2_id3"]))
    for scene in {(parse_name(text).video_id, text.split("_")[-2]) for text in held}:
        found = {part for text, part in held.items() if (parse_name(text).video_id, text.split("_")[-2]) == scene}
        assert len(found - {None}) <= 1, scene
    assert held["id1_id2_0000_iae"] == "train"
    assert held["id1_id3_0000_iae"] is None
    assert held["id1_id2_0002_iae"] is None
    assert held["id1_id3_0002_iae"] == "test"
    assert held["id3_id1_0000_iae"] == "test"  # id3's own frames are never trained on
    assert held["id0_id1_0000_iae"] is None


def test_folds_have_names_of_their_own_and_pairs_in_one_part():
    with pytest.raises(ValueError, match="'scene' is a split of its own"):
        SplitsConfig(folds={"scene": Fold(train=["id0_id1"], test=["id2_id3"])})
    with pytest.raises(ValueError, match="id0_id1 is in train and in test"):
        Fold(train=["id1_id0"], test=["id0_id1"])
    assert made(SplitsConfig(folds={"a": Fold(train=["id0_id1"], test=["id2_id3"])})) == ["scene", "a"]
    splits = SplitsConfig(scene=SCENES, folds={"a": Fold(train=["id0_id1"], test=["id7_id8"])})
    with pytest.raises(DfdmError, match="the fold a has no swapped video for test"):
        split_videos(videos(), "a", splits, 0)


def lines(values):
    """A video a pair with the given value."""
    return pd.DataFrame(
        [{"fold": pair, "people": tuple(pair.split("_")), "value": value} for pair, value in values.items()]
    )


def test_the_interval_is_the_jackknife_over_people_with_students_t():
    values = {pair: 0.4 + i / 100 for i, pair in enumerate(PAIRS)}
    found = jackknife(lines(values))
    without = [[v for pair, v in values.items() if person not in pair.split("_")] for person in PEOPLE]
    means = [sum(rest) / len(rest) for rest in without]  # of six pairs each
    assert [len(rest) for rest in without] == [6] * 5
    middle = sum(means) / 5
    error = math.sqrt(4 / 5 * sum((mean - middle) ** 2 for mean in means))
    assert found.value == pytest.approx(0.445)
    assert found.high - found.value == pytest.approx(2.776445105 * error)  # t with 4 degrees of freedom
    assert found.value - found.low == pytest.approx(found.high - found.value)
    wide = lines({pair: float(i % 2) for i, pair in enumerate(PAIRS)})
    assert (jackknife(wide).low, jackknife(wide, -1).low < 0) == (
        0,
        True,
    )  # a share is not below 0, a difference may be


def test_two_people_have_a_figure_and_no_interval():
    found = jackknife(lines({"id0_id1": 0.5}))
    assert (found.value, found.low, found.high) == (0.5, None, None)


def column(classifier, right):
    """A classifier that names `faceswap` rightly in the pairs of `right`, `real` always, among three classes."""
    rows = []
    for pair in PAIRS:
        for truth, name in (("faceswap", f"{pair}_0000_faceswap"), ("real", f"{pair[:3]}_0000_real")):
            answer = truth if truth == "real" or pair in right else "dfaker"
            shares = {f"p_{one}": 0.8 if one == answer else 0.1 for one in ("faceswap", "dfaker", "real")}
            people = tuple(pair.split("_")) if truth != "real" else (pair[:3],)
            at = {"fold": pair, "seed": 0, "name": name, "truth": truth, "people": people, "direction": pair}
            rows.append(at | shares)
    return Column(classifier, "10", "10", pd.DataFrame(rows), ["faceswap", "dfaker", "real"])


def test_figures_are_of_swaps_and_differences_are_paired():
    found = summarise([column("a", PAIRS), column("b", PAIRS[:5])], ["faceswap", "dfaker"], {"all": ["faceswap"]})
    first, second = found.lines
    assert (first.accuracy.value, second.accuracy.value) == (1.0, 0.5)
    assert second.folds == dict.fromkeys(PAIRS[:5], 1.0) | dict.fromkeys(PAIRS[5:], 0.0)
    assert second.confusion == [[5, 5, 0], [0, 0, 0], [0, 0, 10]]
    assert second.accused == (0, 10)
    assert second.among[0].accuracy.value == 1.0  # among itself a class is always right
    gap = next(gap for gap in found.gaps if (gap.a, gap.b) == ("a", "b")).difference
    assert gap.value == 0.5
    assert gap.low < 0.5 < gap.high
