"""What the statistics promise, in simulated evaluations of known truth; scripts/simulate_compare runs more of them."""

import runpy
from pathlib import Path
from typing import Any

import pytest

SIMULATE: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[2] / "scripts" / "simulate_compare"))
EVEN, UNEVEN = SIMULATE["even"], SIMULATE["uneven"]


@pytest.mark.parametrize(("n", "sizes"), [(20, EVEN), (100, EVEN), (100, UNEVEN)])
def test_the_interval_holds_the_truth_where_a_plain_t_test_sees_ghosts(n: int, sizes: Any) -> None:
    result = SIMULATE["coverage"](sizes(n), "normal", runs=400)
    assert 0.92 <= result.holds <= 0.98  # 0.95, give or take 2.8 standard errors
    assert result.alarms == pytest.approx(1 - result.holds)
    assert result.plain_alarms > 0.13


def test_tied_and_skewed_scores_are_covered_too() -> None:
    assert SIMULATE["coverage"](EVEN(100), "tied and skewed", runs=300).holds >= 0.91


def test_the_interval_of_ragas_score_holds_the_truth() -> None:
    assert 0.92 <= SIMULATE["ragas_coverage"](EVEN(50), runs=200) <= 0.99


def test_the_share_of_the_lead_closed_is_seldom_given_without_a_lead_and_else_right() -> None:
    given, _ = SIMULATE["gap_coverage"](100, 0.0, runs=200)
    assert given <= 0.05
    given, holds = SIMULATE["gap_coverage"](100, 0.2, runs=200)
    assert (given >= 0.95, holds >= 0.91) == (True, True)


def test_kappa_and_accuracy_are_covered() -> None:
    assert min(SIMULATE["kappa_coverage"](100, runs=600)) >= 0.91


@pytest.mark.parametrize("likeness", [0.3, 0.9])
def test_corrected_means_are_covered_and_on_average_no_wider_than_labels_alone(likeness: float) -> None:
    result = SIMULATE["prediction"](100, 50, likeness, runs=200)
    assert result.holds >= 0.91
    assert result.width <= 1.0


def test_what_is_planted_is_found() -> None:
    found = SIMULATE["planted"](300, runs=40)
    assert len(found) == 8
    assert min(found.values()) >= 0.9, found


def test_a_plan_s_detectable_difference_is_found_in_four_of_five() -> None:
    assert SIMULATE["power"](50, runs=600) == pytest.approx(0.8, abs=0.05)


def test_the_rounds_split_the_spread_without_bias() -> None:
    assert SIMULATE["rounds_split"](100, 3, runs=30) == pytest.approx((0.1, 0.25), rel=0.05)
