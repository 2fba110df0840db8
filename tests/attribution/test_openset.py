import numpy as np
import pytest

from attribution import openset


def test_energy_is_minus_the_logarithm_of_the_sum_of_powers() -> None:
    logits = np.array([[0.0, 0.0], [np.log(3.0), 0.0]])
    assert openset.energy(logits) == pytest.approx([-np.log(2), -np.log(4)])
    assert openset.energy(np.array([1000.0, 0.0])) == pytest.approx(-1000)  # no overflow


def test_evidence_for_any_class_lowers_the_energy() -> None:
    assert openset.energy(np.array([9.0, 0, 0])) < openset.energy(np.array([2.0, 2, 2])) < openset.energy(np.zeros(3))


def test_the_threshold_is_the_energy_at_or_below_which_the_share_of_videos_lies() -> None:
    logits = np.repeat(-np.arange(1.0, 21)[:, None], 2, 1) - np.log(2)  # energies 1 to 20
    assert openset.energy(logits) == pytest.approx(np.arange(1, 21))
    assert openset.threshold(logits) == pytest.approx(19)  # 19 of 20 are 95 %
    assert openset.threshold(logits, 0.5) == pytest.approx(10)
    assert openset.threshold(logits[:7]) == pytest.approx(7)  # of few videos the strangest


def test_a_file_says_how_many_videos_its_threshold_rests_on() -> None:
    logits = np.random.default_rng(0).normal(size=(8, 3))
    assert openset.describe(logits).plain() == {
        "score": "energy",
        "threshold": openset.energy(logits).max(),
        "accepted": 0.95,
        "videos": 8,
    }
