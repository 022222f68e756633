"""What the intervals promise, in some simulated evaluations; tests/slow/test_simulations.py runs many more."""

from collections.abc import Callable

import pytest

from simulated import (
    coverage,
    even,
    lead_coverage,
    ragas_coverage,
    uneven,
)


@pytest.mark.parametrize(("n", "sizes"), [(20, even), (100, uneven)])
def test_the_interval_holds_the_truth_where_a_plain_t_test_gives_false_alarms(
    n: int, sizes: Callable[[int], list[int]]
) -> None:
    result = coverage(sizes(n), "normal", runs=400)
    assert 0.92 <= result.holds <= 0.98  # 0.95, give or take 2.8 standard errors
    assert result.alarms == pytest.approx(1 - result.holds)
    assert result.plain_alarms > 0.13


def test_the_interval_of_ragas_score_holds_the_truth() -> None:
    assert 0.92 <= ragas_coverage(50, runs=200) <= 0.99


def test_the_share_of_the_lead_closed_is_seldom_given_without_a_lead_and_else_right() -> None:
    assert lead_coverage(100, 0.0, runs=200)[0] <= 0.05
    given, holds = lead_coverage(100, 0.2, runs=200)
    assert (given >= 0.95, holds >= 0.91) == (True, True)
