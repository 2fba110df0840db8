from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attribution.comparison import Entrant, beats, format_comparison
from attribution.results import Comparison, Speed, Tried, Tune
from attribution.run import Run
from attribution.score import score
from attribution.settings import ComparisonConfig
from dfdm.base.errors import DfdmError
from dfdm.catalogue.comparing import compare_runs
from dfdm.catalogue.config import Config
from dfdm.catalogue.layout import Layout
from dfdm.catalogue.schedule import comparison_scores
from tests.report.made_up import scores, training
from tests.result_files import delete_each_key


def entrant(name: str, share: float, **changed) -> Entrant:
    """Three seeds on 60 videos of 12 clusters; the share of every cluster's five videos that is right is the same."""
    right = np.tile(np.arange(60) % 5 < share * 5, (3, 1))
    clusters = [str(i // 5) for i in range(60)]
    names = [f"v{i:02}" for i in range(60)]
    rates = (4, [0.003, 0.01])
    made = Entrant(name, True, [0, 1, 2], names, clusters, right, rates, low=share - 0.1, chance=0.2)
    return replace(made, **changed)


def test_a_beats_b_where_the_paired_interval_lies_above_0_and_b_is_above_chance():
    found = beats(entrant("a", 0.8), entrant("b", 0.6), 0)
    assert found.beats
    assert found.difference.plain() == {
        "value": pytest.approx(0.2),
        "low": pytest.approx(0.2),
        "high": pytest.approx(0.2),
    }
    assert "above 0 over 3 seeds" in found.why
    assert not beats(entrant("b", 0.6), entrant("a", 0.8), 0).beats
    equal = beats(entrant("a", 0.6), entrant("b", 0.6), 0)
    assert not equal.beats
    assert "is not above 0" in equal.why


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"learned": False}, "has not learned"),
        ({"low": 0.15}, "not above chance"),
        ({"rates": None}, "was not tuned"),
        ({"rates": (4, [0.01])}, "same list"),
        ({"seeds": [0, 1], "right": entrant("b", 0.6).right[:2]}, "2 seeds"),
        ({"names": ["other"] * 60}, "same test videos"),
    ],
)
def test_nothing_is_claimed_where_the_comparison_is_not_fair(changed, why):
    found = beats(entrant("a", 0.8), entrant("b", 0.6, **changed), 0)
    assert not found.beats
    assert why in found.why


def test_fewer_than_ten_clusters_show_nothing():
    few = [str(i // 20) for i in range(60)]
    found = beats(entrant("a", 0.8, clusters=few), entrant("b", 0.6, clusters=few), 0)
    assert not found.beats
    assert found.difference.low is None
    assert "3 clusters" in found.why


@pytest.fixture
def compared(demo: Config) -> Config:
    """The demo's config with two classifiers, three seeds, two rates and one in the matrix."""
    given = {"classifiers": {"dma_sta": None, "residual_dct": None}, "rates": [0.01, 0.001], "matrix": ["residual_dct"]}
    return demo.model_copy(update={"comparison": ComparisonConfig.model_validate(given)})


def write_run(cfg: Config, layout: Layout, run: Run, crf: int, right: int, learned: bool = True) -> None:
    """A scored run on 12 clusters of 5 videos, `right` of each cluster's named rightly."""
    classes = list(cfg.models)
    names = [f"id0_id1_{scene:04}_{model}" for scene in range(12) for model in classes]
    truth = np.tile(np.arange(5), 12)
    named = np.where(np.arange(60) % 5 < right, truth, (truth + 1) % 5)
    probabilities = np.full((60, 5), 0.05)
    probabilities[np.arange(60), named] = 0.8
    own = training(run, classes, learned).model_copy(update={"steps": 320})
    found = dict(score(names, truth, probabilities, classes, 0))
    scores(run, crf, classes, **{**found, "training": own}).write(layout.scores(str(run), crf))
    table = pd.DataFrame({"name": names, "truth": [classes[i] for i in truth]})
    table[[f"p_{name}" for name in classes]] = probabilities
    table.to_parquet(layout.scores(str(run), crf, "predictions.parquet"))
    Speed(clips_per_second=4.0 + run.seed, seconds=1.0, device="cpu").write(layout.run(str(run), "speed.json"))


def write_rate(layout: Layout, name: str) -> None:
    tried = [Tried(lr=lr, validation_accuracy=0.5, validation_loss=1.5) for lr in (0.001, 0.01)]
    Tune(classifier=name, lr=0.01, epochs=4, crf="10", tried=tried).write(layout.tune(name))


@pytest.mark.long
def test_a_results_folder_becomes_a_table_who_beats_whom_and_a_matrix(compared: Config, tmp_path: Path) -> None:
    layout = Layout(str(tmp_path))
    for run, crf in comparison_scores(compared):
        write_run(compared, layout, run, crf, right=4 if run.classifier == "residual_dct" else 3)
    for name in ("dma_sta", "residual_dct"):
        write_rate(layout, name)
    found = compare_runs(compared, tmp_path)
    found.write(tmp_path / "comparison.json")
    assert Comparison.read(tmp_path / "comparison.json") == found
    assert delete_each_key(Comparison, tmp_path / "comparison.json", tmp_path / "attribution") > 100
    assert found.missing == []
    lines = {line.classifier: line for line in found.table}
    assert lines["residual_dct"].accuracy.value == pytest.approx(0.8)
    assert lines["dma_sta"].accuracies == pytest.approx([0.6] * 3)
    assert (lines["dma_sta"].seeds, lines["dma_sta"].clips_per_second) == ([0, 1, 2], 5.0)
    assert {(pair.a, pair.b): pair.beats for pair in found.beats} == {
        ("residual_dct", "dma_sta"): True,
        ("dma_sta", "residual_dct"): False,
    }
    cells = {(cell.classifier, cell.train, cell.test) for cell in found.matrix}
    assert cells == {("residual_dct", train, test) for train in ("0", "10", "23", "all") for test in (0, 10, 23)}
    assert (found.budget.steps, found.budget.rates) == (320, [0.01, 0.001])
    text = format_comparison(found)
    assert text.index("residual_dct") < text.index("dma_sta")  # ranked
    assert "residual_dct beats dma_sta" in text


def test_what_is_missing_is_listed_and_what_was_not_learned_is_never_ranked(compared: Config, tmp_path: Path) -> None:
    layout = Layout(str(tmp_path))
    with pytest.raises(DfdmError, match="there are no scores of the comparison yet"):
        compare_runs(compared, tmp_path)
    for seed in (0, 1, 2):
        write_run(compared, layout, Run("residual_dct", "scene", "10", seed), 10, right=4)
    write_run(compared, layout, Run("dma_sta", "scene", "10", 0), 10, right=1, learned=False)
    write_rate(layout, "residual_dct")
    found = compare_runs(compared, tmp_path)
    assert "learning rate of dma_sta" in found.missing
    assert "scores of dma_sta/scene/crf10/seed1 on crf 10" in found.missing
    assert not any(pair.beats for pair in found.beats)
    text = format_comparison(found)
    assert "not learned: dma_sta" in text
    assert "20.0 %" not in text
