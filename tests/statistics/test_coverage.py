"""What the intervals promise, in some simulated evaluations; tests/slow/test_simulations.py runs many more."""

import pytest

from simulated import coverage, even, label_coverage, missing_coverage, uneven


@pytest.mark.parametrize(("n", "sizes"), [(30, even), (100, uneven)])
def test_the_interval_holds_the_truth_where_a_plain_t_test_gives_false_alarms(n, sizes):
    result = coverage(sizes(n), "normal", runs=400)
    assert 0.92 <= result.holds <= 0.98  # 0.95, give or take 2.8 standard errors
    assert result.alarms == pytest.approx(1 - result.holds)
    assert result.plain_alarms > 0.13


def test_unscored_answers_that_are_the_bad_ones_raise_no_false_alarms():
    assert missing_coverage(50, runs=200)[0] <= 0.05
    alarms, better = missing_coverage(200, runs=100, difference=0.2)
    assert (alarms, better > 0.9) == (0.0, True)


def test_means_corrected_by_a_few_labels_hold_the_truth():
    assert label_coverage(50, runs=40) >= 0.93
