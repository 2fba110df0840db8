import numpy as np
import pytest

from attribution import score as score_module
from attribution.score import bootstrap, cluster, format_table, interval, score, wilson

CLASSES = ["faceswap", "lightweight", "iae", "dfaker", "dfl_h128"]


def names(count: int) -> list[str]:
    return [f"id{2 * i}_id{2 * i + 1}_0000_iae" for i in range(count)]


def test_confusion_matrix_and_recall_keep_absent_classes():
    truth, predicted = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 0])
    result = score(names(5), truth, predicted, CLASSES, seed=0)
    assert np.array(result["confusion"]).shape == (5, 5)
    assert result["confusion"][0] == [1, 1, 0, 0, 0]
    assert result["confusion"][4] == [0] * 5
    assert result["recall"] == {
        "faceswap": 0.5,
        "lightweight": 1.0,
        "iae": 0.0,
        "dfaker": None,
        "dfl_h128": None,
    }
    assert result["accuracy"] == pytest.approx(0.6)
    assert result["balanced_accuracy"] == pytest.approx(0.5)
    assert result["macro_f1"] == pytest.approx((0.5 + 0.8 + 0) / 3)
    assert result["chance"] == pytest.approx(0.2)
    assert result["videos_per_class"] == dict(zip(CLASSES, [2, 2, 1, 0, 0]))


def test_wilson_interval_has_its_known_values():
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)


def test_interval_is_wilsons_for_few_clusters_and_for_0_and_1_else_a_bootstrap():
    right = np.arange(12) % 3 > 0
    many, few = [str(i) for i in range(12)], [str(i % 9) for i in range(12)]
    assert "bootstrap" in interval(right, many, 0)["method"]
    assert interval(right, many, 0)["clusters"] == 12
    assert "Wilson" in interval(right, few, 0)["method"]
    assert "fewer than 10 clusters" in interval(right, few, 0)["method"]
    for constant in (np.ones(12, bool), np.zeros(12, bool)):
        assert "accuracy is 0 or 1" in interval(constant, many, 0)["method"]
    for clusters in (many, few):
        found = interval(right, clusters, 0)
        assert found["low"] < right.mean() < found["high"]


def test_bootstrap_is_seeded_and_draws_whole_clusters():
    right = np.repeat(np.arange(12) % 2 > 0, 20)  # 12 clusters, each all right or all wrong
    clusters = [str(i) for i in np.repeat(np.arange(12), 20)]
    low, high = bootstrap(right, clusters, 0)
    assert (low, high) == bootstrap(right, clusters, 0)
    alone_low, alone_high = bootstrap(right, [str(i) for i in range(240)], 0)
    assert high - low > 3 * (alone_high - alone_low)
    assert high - low == pytest.approx(2 * 1.96 * (0.25 / 12) ** 0.5, abs=0.1)
    assert score_module.RESAMPLES == 2000


def test_a_cluster_is_the_unordered_pair_and_the_scene_shown():
    assert cluster("id1_id0_0003_iae") == cluster("id1_id0_0003_dfaker") != cluster("id0_id1_0003_iae")
    assert cluster("id1_id0_0003_iae") != cluster("id1_id2_0003_iae")
    assert cluster("id10_id2_0003_iae") == "id2_id10_id10_0003"


def test_table_has_a_line_a_quality_with_chance_interval_and_left_out_videos():
    entry = score(names(5), np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 0]), CLASSES, seed=0)
    scores = [{**entry, "crf": crf, "left_out_videos": 1} for crf in (0, 23)]
    lines = format_table(scores).splitlines()
    assert len(lines) == 5
    assert len({len(line) for line in lines[:4]}) == 1
    for text in ("23", "60.0%", "20.0%", " to ", "-"):
        assert text in lines[3]
    assert "2 videos" in lines[4]
