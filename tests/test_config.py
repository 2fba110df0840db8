import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from dfdm.base.errors import DfdmError
from dfdm.base.names import VideoName, parse_name
from dfdm.catalogue import keys, layout
from dfdm.catalogue.config import Config, load

ROOT = Path(__file__).parent.parent


@pytest.fixture
def values() -> dict[str, Any]:
    return copy.deepcopy(yaml.safe_load((ROOT / "config.yaml").read_text()))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sead": 1}, "sead: unknown key"),
        ({"seed": "many"}, "seed: input should be a valid integer"),
        ({"crf": [0, 99]}, "crf.1: input should be less than or equal to 51"),
        ({"models": {"stylegan": {}}}, "models: 'stylegan' is unknown; known are"),
        ({"models": {"iae": {"width": 2}}}, "models.iae.width: input should be less than or equal to 1"),
        ({"models": {"iae": {"widht": 1}}}, "models.iae.widht: unknown key"),
        ({"faces": {"detector": "eyes"}}, "faces.detector: 'eyes' is unknown; known are"),
        ({"attribution": {"model": "oracle"}}, "attribution.model: 'oracle' is unknown"),
        ({"attribution": {"options": {"hidden": 3}}}, "attribution.options: 'hidden' is no option of dma_sta"),
        ({"swaps": ["id0_id7"]}, "swaps: 'id0_id7' names id7, who is not in sources.people"),
        ({"swaps": ["id0_id1_0009"]}, "swaps: 'id0_id1_0009' names a scene that id0 does not have"),
        ({"splits": {"scene": {"train": ["id9_0000"]}}}, "splits.scene.train names 'id9_0000'"),
        ({"crf": []}, "crf: list should have at least 1 item"),
        ({"seed": "1"}, "seed: input should be a valid integer"),
        ({"train": {"beta1": 1.0}}, "train.beta1: input should be less than 1"),
        ({"train": {"lr": float("inf")}}, "train.lr: input should be a finite number"),
        ({"train": {"compile": "yes"}}, "train.compile: input should be a valid boolean"),
        ({"faces": {"detector": "dlib"}}, "faces.predictor: the detector 'dlib' needs"),
        ({"faces": {"detector": "face_alignment"}}, "faces.weights: the detector 'face_alignment' needs"),
        ({"attribution": {"size": 64, "resize": 48}}, "attribution: size 64 is cut out of a crop resized to 48"),
        ({"attribution": {"split": "identity"}}, "attribution.split is 'identity', but splits.identity is null"),
    ],
)
def test_a_fault_is_one_sentence_that_names_its_key(
    values: dict[str, Any], change: dict[str, Any], sentence: str
) -> None:
    values.update(change)
    with pytest.raises(DfdmError) as caught:
        load(values)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["licence", "consent"])
def test_licence_and_consent_basis_are_required(values: dict[str, Any], key: str) -> None:
    del values["sources"]["people"]["id0"][key]
    with pytest.raises(DfdmError, match=rf"sources\.people\.id0\.{key}: this key is required"):
        load(values)


def test_the_demo_makes_90_swaps_and_18_originals(demo: Config) -> None:
    videos = layout.videos_of(demo, "dataset")
    assert sum(video.name.face_id is not None for video in videos) == 90
    assert sum(video.name.face_id is None for video in videos) == 18
    assert len(set(videos)) == len(videos)


@pytest.mark.parametrize(
    ("target", "count", "models", "qualities"),
    [
        ("iae", 18, {"iae"}, {0, 10, 23}),
        ("crf23", 36, {"faceswap", "lightweight", "iae", "dfaker", "dfl_h128", "real"}, {23}),
        ("iae_crf23", 6, {"iae"}, {23}),
        ("dfl_h128_crf0", 6, {"dfl_h128"}, {0}),
    ],
)
def test_a_named_target_holds_its_own_videos_only(
    demo: Config, target: str, count: int, models: set[str], qualities: set[int]
) -> None:
    videos = layout.videos_of(demo, target)
    assert len(videos) == count
    assert {video.name.model for video in videos} == models
    assert {video.crf for video in videos} == qualities


@pytest.mark.parametrize("text", ["id0_id1_0003_iae", "id10_id2_0000_dfl_h128", "id0_0003_real"])
def test_a_name_is_what_it_was_parsed_from(text: str) -> None:
    assert str(parse_name(text)) == text


@pytest.mark.parametrize(
    "text", ["id0_id1_iae", "id0_0003_iae", "id0_id1_0003_real", "a_b_0003_iae", "id0_id1_003_iae"]
)
def test_a_name_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(DfdmError, match="is no video name"):
        parse_name(text)


def test_a_pair_is_unordered_and_sorted_by_number() -> None:
    assert (
        VideoName("id10", "id2", "0000", "iae").pair == ("id2", "id10") == VideoName("id2", "id10", "0000", "iae").pair
    )


def test_keys_of_a_stage_hold_what_changes_its_bytes_and_nothing_else(values: dict[str, Any]) -> None:
    before = load(values)
    values["device"] = "cpu"
    values["results"] = "elsewhere"
    values["train"]["preview_every"] = 7
    values["render"]["mask_blur"] = 5.0
    after = load(values)
    assert keys.train_keys(before, "iae") == keys.train_keys(after, "iae")
    assert keys.faces_keys(before) == keys.faces_keys(after)
    assert keys.encode_keys(before) == keys.encode_keys(after)
    assert keys.classifier_keys(before, "dma_sta") == keys.classifier_keys(after, "dma_sta")
    assert keys.render_keys(before) != keys.render_keys(after)


def test_iterations_belong_to_the_state_only_where_the_rate_decays(values: dict[str, Any]) -> None:
    values["train"]["decay"] = 0.0
    constant = load(values)
    values["models"]["iae"]["iterations"] = 1
    assert keys.state_keys(constant, "iae") == keys.state_keys(load(values), "iae")
    assert keys.train_keys(constant, "iae") != keys.train_keys(load(values), "iae")
    values["train"]["decay"] = 0.5
    decaying = load(values)
    values["models"]["iae"]["iterations"] = 2
    assert keys.state_keys(decaying, "iae") != keys.state_keys(load(values), "iae")


def test_the_full_size_plan_has_59_people_and_430_videos_a_model() -> None:
    plan = load(ROOT / "workflow/configs/dfdm.yaml")
    assert len(plan.sources.people) == 59
    for model in plan.models:
        assert len(plan.clips) == 430
        assert plan.settings(model).width == 1
    assert {person for clip in plan.clips for person in (clip.video_id, clip.face_id)} == set(plan.sources.people)
    assert plan.qualities == [0, 10, 23]
    assert (plan.attribution.depth, plan.attribution.size) == (50, 224)


def test_environments_and_constraints_name_the_same_versions() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = dict(line.lower().split("==") for line in lines if "==" in line)
    for path in (ROOT / "envs").glob("*.yaml"):
        needs = yaml.safe_load(path.read_text())["dependencies"][-1]["pip"]
        for need in needs:
            name, _, version = need.lower().partition("==")
            assert pinned[name] == version, (path.name, need)


def test_a_scale_puts_its_keys_over_the_config_section_by_section() -> None:
    path = ROOT / "workflow/configs/five_people.yaml"
    small, values = load(path), yaml.safe_load(path.read_text())
    full = load({**values, "scale": "full"})
    assert (small.attribution.depth, full.attribution.depth) == (18, 50)
    assert (small.settings("dfl_h128").width, full.settings("dfl_h128").width) == (0.0625, 1.0)
    assert full.attribution.optimizer == small.attribution.optimizer == "adamw"  # what a scale leaves out stays
    assert set(small.classifier_names) < set(full.classifier_names)
    with pytest.raises(DfdmError, match="scale: 'huge' is not among its scales; known are full"):
        load({**values, "scale": "huge"})
