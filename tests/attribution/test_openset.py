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


CLASSES = ["a", "b", "real"]


def test_a_file_says_what_its_bounds_rest_on() -> None:
    logits = np.random.default_rng(0).normal(size=(8, 3))
    truths, people = ["a", "b"] * 3 + ["real", "real"], ["id0"] * 7 + ["id1"]
    found = openset.describe(logits, truths, people, CLASSES)
    assert found.threshold == openset.energy(logits[:6, :2]).max()
    assert (found.accepted, found.videos) == (0.95, 6)
    evidence = openset.swap_evidence(logits, CLASSES)[6:]
    assert found.real is not None
    assert (found.real.threshold, found.real.videos, found.real.people) == (max(0.0, *evidence), 2, 2)
    assert found.real.stranger == pytest.approx(1 / 3)
    assert openset.describe(logits[:, :2], truths, people, ["a", "b"]).real is None


def test_real_videos_that_set_the_bound_are_never_accused() -> None:
    random = np.random.default_rng(1)
    logits, truths = random.normal(size=(20, 3)), ["a"] * 10 + ["real"] * 10
    bounds = openset.describe(logits, truths, ["id0"] * 20, CLASSES)
    assert [openset.verdict(each, CLASSES, bounds) for each in logits[10:]] == ["real"] * 10


def test_a_swap_is_named_until_its_energy_passes_the_bound() -> None:
    bounds = openset.describe(np.array([[5.0, 0, 0]] * 3), ["a"] * 3, ["id0"] * 3, CLASSES)
    assert openset.verdict(np.array([0.0, 6, 0]), CLASSES, bounds) == "b"
    assert openset.verdict(np.array([0.0, 3, -3]), CLASSES, bounds) == openset.NONE
    assert openset.verdict(np.array([0.0, 3, 9]), CLASSES, bounds) == "real"
    assert openset.verdict(np.array([0.0, 3, 2]), CLASSES, None) == "b"  # a file without bounds: even odds
    assert openset.verdict(np.array([0.0, 3]), ["a", "b"], bounds) == openset.NONE
