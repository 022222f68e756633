"""What a comparison could have shown, and how many questions it takes."""

import math

import pytest
from scipy import stats

from minirag.statistics.power import detectable, n_needed


@pytest.mark.parametrize("degrees", [3, 7, 19, 59])
def test_the_detectable_difference_is_found_in_four_of_five_evaluations(degrees):
    shift = detectable(1.0, degrees)
    critical = stats.t.ppf(0.975, degrees)
    assert stats.nct.sf(critical, degrees, shift) == pytest.approx(0.8, abs=0.02)


def test_the_needed_questions_are_the_fewest_for_which_the_difference_is_detectable():
    difference, error, degrees, n = 0.05, 0.03, 7.0, 40
    needed = n_needed(difference, error, degrees, n)

    def smallest(questions: int) -> float:
        return detectable(error * math.sqrt(n / questions), (degrees + 1) * questions / n - 1)

    assert smallest(needed) <= difference < smallest(needed - 1)
    assert n_needed(-difference, error, degrees, n) == needed


def test_as_many_questions_as_there_are_suffice_for_the_detectable_difference_and_none_for_nothing():
    assert n_needed(detectable(0.03, 35) + 1e-12, 0.03, 35, 36) == 36
    assert n_needed(0.0, 0.03, 35, 36) is None
    assert n_needed(1e-4, 0.03, 35, 36) is None  # beyond 100 times as many
