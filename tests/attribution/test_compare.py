from dataclasses import replace

import numpy as np
import pytest

from attribution.compare import Entrant, beats


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
    assert found["beats"]
    assert found["difference"] == {"value": pytest.approx(0.2), "low": pytest.approx(0.2), "high": pytest.approx(0.2)}
    assert "above 0 over 3 seeds" in found["why"]
    assert not beats(entrant("b", 0.6), entrant("a", 0.8), 0)["beats"]
    equal = beats(entrant("a", 0.6), entrant("b", 0.6), 0)
    assert not equal["beats"]
    assert "does not lie above 0" in equal["why"]


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
    assert not found["beats"]
    assert why in found["why"]


def test_fewer_than_ten_clusters_show_nothing():
    few = [str(i // 20) for i in range(60)]
    found = beats(entrant("a", 0.8, clusters=few), entrant("b", 0.6, clusters=few), 0)
    assert not found["beats"]
    assert found["difference"]["low"] is None
    assert "3 clusters" in found["why"]
