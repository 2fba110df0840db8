"""What the report says of attribution, from score, control and comparison files with known figures."""

import json
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from attribution.results import Bounded, Comparison, Controls, Figure, Scores, Unseen
from dfdm.base.errors import DfdmError
from dfdm.catalogue import config
from dfdm.catalogue.config import Config
from dfdm.catalogue.schedule import main_runs
from dfdm.report.attribution import bounds_text, read_attribution
from dfdm.report.build import build
from tests.report.made_up import (
    change,
    entry,
    training,
    write_comparison,
    write_controls,
    write_score,
    write_unseen,
)
from tests.result_files import delete_each_key

CLASSES = ["faceswap", "lightweight", "iae", "dfaker", "dfl_h128"]
SURE = {"half": 0.05, "videos": 400}


@pytest.fixture(scope="module")
def cfg(demo: Config) -> Config:
    """The demo, with two classifiers to compare and controls of the first."""
    own = {
        "comparison": {"classifiers": {"dma_sta": None, "resnet_avg": None}, "matrix": ["dma_sta", "resnet_avg"]},
        "controls": {"classifiers": ["dma_sta"]},
    }
    return config.load({**demo.model_dump(exclude_unset=True), **own})


def words(page: Path) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page.read_text().partition("<body>")[2]).split())


def only(cfg: Config, results: Path, crf: int, accuracy: float = 0.8, **other: object) -> list[str]:
    """The verdict on one quality's score with good controls."""
    run = next(run for run in main_runs(cfg) if run.crf == str(crf))
    write_score(results, run, crf, CLASSES, accuracy, **{**SURE, **other})
    return read_attribution(cfg, results, {}, []).verdict


@pytest.mark.long
def test_a_good_score_with_good_controls_needs_no_warning(cfg: Config, tmp_path: Path) -> None:
    write_controls(tmp_path, 0, "dma_sta", CLASSES)
    assert only(cfg, tmp_path, 0) == []


@pytest.mark.long
def test_a_score_without_its_controls_is_told(cfg: Config, tmp_path: Path) -> None:
    assert only(cfg, tmp_path, 0)[0].startswith("The scores of crf 0 are shown without their controls")
    write_controls(tmp_path, 0, "resnet_avg", CLASSES)  # another classifier's are not its own
    assert only(cfg, tmp_path, 0)[0].startswith("The scores of crf 0 are shown without their controls")


def test_few_videos_chance_and_no_learning_are_told(cfg: Config, tmp_path: Path) -> None:
    write_controls(tmp_path, 0, "dma_sta", CLASSES, trivial=0.05)
    told = only(cfg, tmp_path, 0, 0.22, videos=30, training=training(main_runs(cfg)[0], CLASSES, learned=False))
    assert len(told) == 4
    assert "30 videos" in told[0]
    assert "did not learn: it names 21 % of its own training clips" in told[1]
    assert told[2] == "At crf 0 the interval includes chance (20 %): no skill is shown there."
    assert "is within what permuted labels reach (up to 29 %)" in told[3]


@pytest.mark.parametrize(("trivial", "how"), [(0.85, "as good as"), (0.77, "inside"), (0.7, None)])
def test_trivial_cues_that_do_as_well_are_told(cfg: Config, tmp_path: Path, trivial: float, how: str | None) -> None:
    write_controls(tmp_path, 0, "dma_sta", CLASSES, trivial=trivial)
    told = only(cfg, tmp_path, 0)
    assert len(told) == (how is not None)
    assert all(how in sentence and "file size, bitrate" in sentence for sentence in told if how)


def test_a_doubt_of_several_qualities_is_one_sentence(cfg: Config, tmp_path: Path) -> None:
    for run in main_runs(cfg):
        write_score(tmp_path, run, int(run.crf), CLASSES, 0.25, **SURE)
        write_controls(tmp_path, int(run.crf), "dma_sta", CLASSES, trivial=0.25 if run.crf == "10" else 0.5)
    told = read_attribution(cfg, tmp_path, {}, []).verdict
    assert len(told) == 3
    assert told[1].startswith("At crf 0, crf 10 and crf 23 the scores of 25 %, 25 % and 25 % are within what permuted")
    assert "At crf 0, crf 10 and crf 23 trivial cues alone" in told[2]
    assert "name 50 %, 25 % and 50 % of the videos, as good as the classifier" in told[2]


@pytest.mark.parametrize(("crf", "what"), [(0, "a defect in the data"), (10, "codec coupling")])
def test_a_background_above_chance_is_a_defect_at_crf_0_only(cfg: Config, tmp_path: Path, crf: int, what: str) -> None:
    write_controls(tmp_path, crf, "dma_sta", CLASSES, background=0.35)
    told = only(cfg, tmp_path, crf)
    assert len(told) == 1
    assert what in told[0]
    assert ("defect" in told[0]) == (crf == 0)


@pytest.mark.long
def test_the_page_shows_everything_beside_its_controls(cfg: Config, tmp_path: Path) -> None:
    for run in main_runs(cfg):
        write_score(tmp_path, run, int(run.crf), CLASSES, 0.65)
    write_controls(tmp_path, 0, "dma_sta", CLASSES)
    table = [entry("resnet_avg", 0.5), entry("dma_sta", 0.7), entry("meso", 0.9, learned=False)]
    write_comparison(tmp_path, cfg, table, missing=["scores of r3d_18"])
    build(cfg, tmp_path, tmp_path / "report.html")
    text = words(tmp_path / "report.html")
    assert "65 % (45 to 85)" in text
    assert "90 %" in text  # frames that the autoencoder had seen
    assert "3 of 12" in text
    assert "left out 1 1 1" in text.lower()
    assert "test: id0_id1_0009_iae (7 frames)" in text
    assert "10 % to 29 %" in text
    assert "0.10 (0.05 to 0.15)" in text
    assert "comparison: scores of r3d_18" in text
    assert "steps 420" in text
    assert "resnet_avg beats dma_sta : +11 points (+2 to +20)" in text
    assert "dma_sta does not beat resnet_avg : -11 points (-20 to -2)" in text
    # ranked by accuracy; what did not learn comes after all others, whatever its accuracy
    table_text = text[text.index("classifier accuracy of each seed") :]
    places = [table_text.index(f"{name} {value}") for name, value in (("dma_sta", "70"), ("resnet_avg", "50"))]
    assert places == sorted(places)
    assert table_text.index("Not learned") < table_text.index("meso 90")
    assert "without its controls" in text  # crf 10 and 23
    assert "controls of dma_sta at crf 10 (stage controls)" in text


def test_a_matrix_has_a_row_a_training_quality_and_all(cfg: Config, tmp_path: Path) -> None:
    write_comparison(tmp_path, cfg, [entry("dma_sta", 0.7), entry("resnet_avg", 0.5)], ("scene", "identity"))
    found = read_attribution(cfg, tmp_path, {}, []).matrices
    assert [(matrix.classifier, matrix.split) for matrix in found] == [
        *[("dma_sta", "scene"), ("dma_sta", "identity")],
        *[("resnet_avg", "scene"), ("resnet_avg", "identity")],
    ]
    scene, identity = found[:2]
    assert list(scene.rows) == ["0", "10", "23", "all"]
    assert [cell.accuracy.value for cell in scene.rows["0"] if cell] == pytest.approx([0.75, 0.59, 0.43])
    weakest = identity.rows["23"][0]
    assert weakest is not None
    assert weakest.accuracy.value < identity.chance == 1 / 5
    build(cfg, tmp_path, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert re.search(r'<td style="--share: 0.000"><s>18 %</s>\s*<small>6 to 30</small>', text)
    assert re.search(r'<td style="--share: 0.688">75 %\s*<small>63 to 87</small>', text)


def test_a_file_that_lacks_a_figure_is_one_sentence(cfg: Config, tmp_path: Path) -> None:
    run = main_runs(cfg)[0]
    path = write_score(tmp_path, run, 0, CLASSES)
    figures = json.loads(path.read_text())["figures"]
    change(path, figures={**figures, "accuracy": {**figures["accuracy"], "value": None}})
    with pytest.raises(DfdmError, match=r"scores\.json: figures\.accuracy\.value: input should be a valid number"):
        read_attribution(cfg, tmp_path, {}, [])
    del figures["auc"]
    change(path, figures=figures)
    with pytest.raises(DfdmError, match=r"scores\.json: figures\.auc is missing; .* stage attribution_score again"):
        read_attribution(cfg, tmp_path, {}, [])
    path.unlink()
    path = write_controls(tmp_path, 0, "dma_sta", CLASSES)
    change(path, trivial={"cues": []})
    with pytest.raises(DfdmError, match=r"crf0\.json: trivial\.classes is missing; .* run the stage controls again"):
        read_attribution(cfg, tmp_path, {}, [])
    path.unlink()
    path = write_comparison(tmp_path, cfg, [entry("dma_sta", 0.7), entry("resnet_avg", 0.5)])
    change(path, beats=[{}])
    with pytest.raises(DfdmError, match=r"comparison\.json: beats\.0\.a is missing"):
        read_attribution(cfg, tmp_path, {}, [])


def test_every_key_of_a_result_file_is_needed(cfg: Config, tmp_path: Path) -> None:
    """Of files with everything in them; those of a run: tests/workflow/test_line.py."""
    run = main_runs(cfg)[0]
    assert delete_each_key(Scores, write_score(tmp_path, run, 0, CLASSES), tmp_path) > 150
    assert delete_each_key(Controls, write_controls(tmp_path, 0, "dma_sta", CLASSES), tmp_path) > 150
    table = [entry("dma_sta", 0.7), entry("resnet_avg", 0.5)]
    assert delete_each_key(Comparison, write_comparison(tmp_path, cfg, table), tmp_path) > 200
    assert delete_each_key(Unseen, write_unseen(tmp_path, cfg, [*CLASSES, "real"]), tmp_path) > 30


@pytest.mark.long
def test_the_page_shows_classifiers_on_people_nobody_saw(demo: Config, tmp_path: Path) -> None:
    folds = {"id0_id1": {"train": ["id2_id3"], "test": ["id0_id1"]}}  # of people that the demo does not have
    values = demo.model_dump(exclude_unset=True) | {"unseen": {"classifiers": ["dma_sta"]}}
    cfg = config.load(values | {"splits": values["splits"] | {"folds": folds}})
    build(cfg, tmp_path, tmp_path / "report.html")
    assert "On people nobody saw Not tested yet." in words(tmp_path / "report.html")
    write_unseen(tmp_path, cfg, [*CLASSES, "real"])
    build(cfg, tmp_path, tmp_path / "report.html")
    text = words(tmp_path / "report.html")
    assert "linear_dct 10 10 vp9 55 % (45 to 65) 17 % 40 % (30 to 50) id0_id4 50 % id1_id2 60 % 0 of 4" in text
    assert "dma_sta 10 10 35 % (25 to 45) 17 % 40 % (30 to 50) id0_id4 30 % id1_id2 40 % 1 of 4" in text


def test_a_class_without_a_test_video_has_a_dash(cfg: Config, tmp_path: Path) -> None:
    run = main_runs(cfg)[0]
    path = write_score(tmp_path, run, 0, CLASSES)
    values = json.loads(path.read_text())
    change(path, recall={**values["recall"], "iae": None}, auc={**values["auc"], "iae": None})
    assert Scores.read(path).recall["iae"] is None
    build(cfg, tmp_path, tmp_path / "report.html")
    assert re.search(r"iae – – – –", words(tmp_path / "report.html"))


def test_a_figure_without_an_interval_is_shown_bare() -> None:
    """The calibration error of a few clusters has none; an accuracy must have one."""
    bare = Figure(value=0.25, low=None, high=None, method="none: fewer than 10 clusters")
    assert bounds_text(bare, share=False) == "0.25"
    assert bounds_text(bare) == "25 %"
    with pytest.raises(ValidationError):
        Bounded(**dict(bare))


@pytest.mark.long
def test_controls_without_a_classifier_of_the_background_say_so(cfg: Config, tmp_path: Path) -> None:
    path = write_controls(tmp_path, 0, "dma_sta", CLASSES)
    change(path, background=None)
    assert Controls.read(path).background is None
    assert only(cfg, tmp_path, 0) == []
    build(cfg, tmp_path, tmp_path / "report.html")
    assert "background only not trained" in words(tmp_path / "report.html")


@pytest.mark.long
def test_controls_without_originals_to_test_are_shown(cfg: Config, tmp_path: Path) -> None:
    """A test part without an original is a control that is not available, not a damaged file."""
    path = write_controls(tmp_path, 0, "dma_sta", CLASSES)
    change(path, originals=None)
    assert only(cfg, tmp_path, 0) == []
    build(cfg, tmp_path, tmp_path / "report.html")
    text = words(tmp_path / "report.html")
    assert "originals taken for none in the test part" in text
    assert "originals, none of these –" in text
