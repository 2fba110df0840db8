import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from attribution.intervals import RESAMPLES, Predictions, draws, learned, resampled_auc, resampled_confusion, wilson
from attribution.results import LeftOutOfTest, OneTest
from attribution.run import Run
from attribution.score import format_table, score
from dfdm.base.names import cluster_of
from tests.report.made_up import scores

CLASSES = ["faceswap", "lightweight", "iae", "dfaker", "dfl_h128"]
FIGURES = ("accuracy", "balanced_accuracy", "macro_f1", "auc", "ece")


def clusters(videos: int, size: int = 5) -> list[str]:
    return [str(i // size) for i in range(videos)]


def sure(predicted: np.ndarray, top: float = 1.0) -> np.ndarray:
    """Probabilities with `top` on the predicted class and the rest spread evenly."""
    rest = np.full((len(predicted), len(CLASSES)), (1 - top) / (len(CLASSES) - 1))
    rest[np.arange(len(predicted)), predicted] = top
    return rest


def noisy(videos: int, skill: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random, truth = np.random.default_rng(seed), np.arange(videos) % 5
    logits = random.normal(0, 1, (videos, 5))
    logits[np.arange(videos), truth] += skill
    powers = np.exp(logits)
    return truth, powers / powers.sum(1, keepdims=True)


def scored(truth: np.ndarray, probabilities: np.ndarray, groups: list[str]) -> OneTest:
    return score([""] * len(truth), truth, probabilities, CLASSES, 0, groups)


def test_confusion_matrix_and_recall_keep_absent_classes():
    truth, predicted = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 0])
    result = scored(truth, sure(predicted), clusters(5, 1))
    assert np.array(result.confusion).shape == (5, 5)
    assert result.confusion[0] == [1, 1, 0, 0, 0]
    assert result.confusion[4] == [0] * 5
    values = {name: found and found.value for name, found in result.recall.items()}
    assert values == {"faceswap": 0.5, "lightweight": 1.0, "iae": 0.0, "dfaker": None, "dfl_h128": None}
    assert result.auc["dfaker"] is None
    assert result.auc["faceswap"].value == pytest.approx(3.5 / 6)
    figures = result.figures
    assert figures.accuracy.value == pytest.approx(0.6)
    assert figures.balanced_accuracy.value == pytest.approx(0.5)
    assert figures.macro_f1.value == pytest.approx((0.5 + 0.8 + 0) / 3)
    assert result.chance == pytest.approx(0.2)
    assert result.videos_per_class == dict(zip(CLASSES, [2, 2, 1, 0, 0]))


def test_wilson_interval_has_its_known_values_and_decides_what_is_learned():
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    assert learned(8, 10, 0.49)
    assert not learned(8, 10, 0.5)
    assert not learned(0, 0, 0.2)


def test_a_perfect_test_has_wilsons_intervals_and_no_calibration_error():
    truth = np.arange(60) % 5
    result = scored(truth, sure(truth), clusters(60))
    figures = dict(result.figures)
    assert [figures[name].value for name in FIGURES] == [1, 1, 1, 1, 0]
    for share in (figures["accuracy"], result.recall["iae"]):
        assert "Wilson" in share.method
        assert "0 or 1" in share.method
        assert share.low < 1
        assert share.high == pytest.approx(1)
    assert figures["accuracy"].low == pytest.approx(wilson(60, 60)[0])
    for other in (*(figures[name] for name in FIGURES[1:]), result.auc["iae"]):
        assert (other.low, other.high) == (None, None)
        assert other.method == "none: the figure is 0 or 1"


def test_three_clusters_have_wilsons_and_twelve_a_bootstrap_that_holds_the_figure():
    truth, probabilities = noisy(60, 1.2)
    few = scored(truth, probabilities, clusters(60, 20))
    many = scored(truth, probabilities, clusters(60))
    assert (few.clusters, many.clusters) == (3, 12)
    for name in FIGURES:
        bare, found = getattr(few.figures, name), getattr(many.figures, name)
        assert found.low < found.value < found.high
        assert "bootstrap over clusters" in found.method
        assert "fewer than 10 clusters" in bare.method
        assert bare.value == found.value
        if name == "accuracy":
            assert bare.low < bare.value < bare.high
        else:
            assert bare.low is None
            assert bare.method.startswith("none: ")


def test_guessing_has_chance_and_half_in_its_intervals():
    truth, probabilities = noisy(300, 0.0, seed=3)
    figures = dict(scored(truth, probabilities, clusters(300)).figures)
    for name, expected in (("accuracy", 0.2), ("balanced_accuracy", 0.2), ("auc", 0.5)):
        assert figures[name].low < expected < figures[name].high


def test_clusters_that_agree_make_the_interval_wider_than_videos_alone():
    truth = np.arange(240) % 5
    predicted = np.where(np.arange(240) // 20 % 2, truth, (truth + 1) % 5)  # 12 clusters, all right or all wrong
    whole = scored(truth, sure(predicted), clusters(240, 20)).figures.accuracy
    alone = scored(truth, sure(predicted), clusters(240, 1)).figures.accuracy
    assert whole.high - whole.low > 3 * (alone.high - alone.low)
    assert whole.high - whole.low == pytest.approx(2 * 1.96 * (0.25 / 12) ** 0.5, abs=0.1)
    assert whole == scored(truth, sure(predicted), clusters(240, 20)).figures.accuracy


def test_resampled_figures_are_scikit_learns_on_the_drawn_videos():
    truth, probabilities = noisy(60, 1.0)
    probabilities = probabilities.round(1)  # ties
    index = np.arange(60) // 5
    test = Predictions(truth, probabilities.argmax(1), probabilities, index)
    times = draws(12, 0)
    assert times.shape == (RESAMPLES, 12)
    assert (times.sum(1) == 12).all()
    aucs, matrices = resampled_auc(test, times[:3]), resampled_confusion(test, times[:3])
    for row, drawn in enumerate(times[:3]):
        rows = np.repeat(np.arange(60), drawn[index].astype(int))
        for label in range(5):
            expected = roc_auc_score(truth[rows] == label, probabilities[rows, label])
            assert aucs[row, label] == pytest.approx(expected)
        hits = np.diagonal(matrices[row])
        f1 = 2 * hits / (matrices[row].sum(0) + matrices[row].sum(1))
        assert f1.mean() == pytest.approx(f1_score(truth[rows], test.predicted[rows], average="macro"))


def test_reliability_and_calibration_error_of_a_known_case():
    truth = np.zeros(20, int)
    predicted = np.where(np.arange(20) < 10, 0, 1)  # half right, always 0.85 sure
    result = scored(truth, sure(predicted, 0.85), clusters(20, 1))
    filled = [row.plain() for row in result.reliability if row.videos]
    assert len(result.reliability) == 10
    assert len(filled) == 1
    assert filled[0] == {"low": 0.8, "high": 0.9, "videos": 20, "confidence": pytest.approx(0.85), "accuracy": 0.5}
    assert result.figures.ece.value == pytest.approx(0.35)
    assert result.figures.auc.value is None
    assert "one class" in result.figures.auc.method


def test_a_cluster_is_the_unordered_pair_and_the_scene_shown():
    assert cluster_of("id1_id0_0003_iae") == cluster_of("id1_id0_0003_dfaker") != cluster_of("id0_id1_0003_iae")
    assert cluster_of("id1_id0_0003_iae") != cluster_of("id1_id2_0003_iae")
    assert cluster_of("id10_id2_0003_iae") == "id2_id10_id10_0003"


def test_table_has_a_line_a_run_and_names_left_out_videos():
    truth, probabilities = noisy(20, 1.0)
    entry = scored(truth[truth < 4], probabilities[truth < 4], clusters(16))
    left = LeftOutOfTest(train={}, validation={}, test={"id0_id1_0003_iae": 2})
    own = {**dict(entry), "left_out": left}
    table = [scores(Run("dma_sta", "scene", "all", 0), crf, CLASSES, **own) for crf in (0, 23)]
    lines = format_table(table).splitlines()
    assert len(lines) == 5
    assert len({len(line) for line in lines[:4]}) == 1
    for text in ("dma_sta", "scene", "all", "23", "20.0 %", " to ", "–"):
        assert text in lines[3]
    assert "1 videos (id0_id1_0003_iae)" in lines[4]
    assert "test" in lines[4]
