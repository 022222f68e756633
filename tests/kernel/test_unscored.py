"""Unscored answers: counted, bounded, and too many of them forbid a verdict."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from minirag.errors import InputError
from minirag.metrics import Score
from minirag.statistics.unscored import missing, too_much

SCORES = st.lists(st.tuples(*[st.none() | st.sampled_from([0.0, 0.25, 1.0])] * 2), min_size=1, max_size=4)


def test_they_are_counted_by_arm_and_reason_most_frequent_first() -> None:
    lost = missing([Score(None, "cut off"), None, 0.5, 0.5], [Score(None, "refused")] * 2 + [Score(None, "cut off"), 1])
    assert lost.reasons == {"base": {"cut off": 1, "no reason given": 1}, "tuned": {"refused": 2, "cut off": 1}}
    assert lost.questions == 3


@given(SCORES)
def test_the_bounds_are_the_extremes_over_every_way_to_fill_the_gaps(rows: list[tuple[float | None, ...]]) -> None:
    base, tuned = ([row[arm] for row in rows] for arm in (0, 1))
    gaps = [value is None for value in base + tuned]
    differences = []
    for fill in product([0.0, 1.0], repeat=sum(gaps)):
        values = iter(fill)
        full = [next(values) if value is None else value for value in base + tuned]
        differences.append(np.mean(full[len(rows) :]) - np.mean(full[: len(rows)]))
    lost = missing(base, tuned)
    assert (lost.worst, lost.best) == pytest.approx((min(differences), max(differences)), abs=1e-12)


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        (2, 0, ""),
        (3, 0, "3 of 40 answers of base are unscored"),
        (0, 3, "3 of 40 answers of student are unscored"),
    ],
)
def test_more_than_five_in_a_hundred_of_an_arm_are_too_many(first: int, second: int, why: str) -> None:
    holes = [np.arange(40) < count for count in (first, second)]
    assert too_much(*holes, ("base", "student")) == why


@pytest.mark.parametrize(("first", "second"), [(0, 5), (0, 6), (2, 10), (4, 10), (1, 8)])
def test_unequal_between_arms_is_mcnemar_s_exact_test(first: int, second: int) -> None:
    numbers = np.arange(300)
    why = too_much(numbers < first, numbers >= 300 - second, ("base", "tuned"))
    uneven = stats.binomtest(first, first + second).pvalue < 0.05
    assert why == (f"unscored answers are unevenly spread: {first} of base, {second} of tuned" if uneven else "")


def test_the_same_question_unscored_in_both_arms_is_no_imbalance() -> None:
    holes = np.arange(300) < 15
    assert too_much(holes, holes, ("base", "tuned")) == ""


def test_a_score_that_is_no_finite_number_is_refused() -> None:
    with pytest.raises(InputError, match="nan"):
        missing([math.nan], [0.1])
