"""What the page says of the answers that `predict` gives, with the classifier's thresholds."""

import numpy as np
import pytest

from dfdm.report.answers import Said, risk_coverage

WITH_REAL = Said(["iae", "dfaker", "real"], np.array([[3, 1, 2, 1], [0, 4, 0, 3], [1, 0, 5, 2]]), "")


def test_swaps_are_right_wrong_called_real_or_none_of_these() -> None:
    assert WITH_REAL.swaps == {"right": 7, "wrong": 1, "real": 2, "none": 4}
    assert WITH_REAL.sentence == (
        "With its thresholds, of 14 swaps 7 are named rightly, 1 wrongly, 2 called “real or unknown” and "
        "4 “a swap, by none of these”. Of 8 real videos 3 are accused."
    )


def test_without_real_as_a_class_nothing_is_said_of_real_videos() -> None:
    said = Said(["iae", "dfaker"], np.array([[3, 1, 1], [0, 4, 3]]), "")
    assert said.sentence == "With its thresholds, of 12 swaps 7 are named rightly, 1 wrongly and 4 “none of these”."


def test_risk_is_the_share_of_wrong_answers_among_the_surest() -> None:
    sure, wrong = np.array([0.5, 0.9, 0.7, 0.7]), np.array([True, False, True, False])
    answered, risk = risk_coverage(sure, wrong)
    assert answered == pytest.approx([0.25, 0.75, 1])  # those of 0.7 together
    assert risk == pytest.approx([0, 1 / 3, 1 / 2])
