"""Means corrected by a person's labels."""

import numpy as np
import pytest
from scipy import stats

from minirag.statistics.clustered import clustered_mean
from minirag.statistics.ppi import corrected_difference, corrected_mean


def judged(n: int = 400, labelled: int = 100, seed: int = 0) -> tuple[list[float], list[float | None]]:
    random = np.random.default_rng(seed)
    person = random.normal(0.6, 0.2, n)
    judge = 0.1 + person + random.normal(0, 0.1, n)
    return list(judge), [value if i < labelled else None for i, value in enumerate(person)]


def test_with_everything_labelled_it_is_the_person_s_mean() -> None:
    judge, _ = judged()
    _, person = judged(labelled=400)
    result = corrected_mean(judge, person)
    assert result.corrected.value == pytest.approx(np.mean(person))
    assert result.corrected.error == pytest.approx(result.person.error, rel=0.01)


def test_the_corrected_mean_is_the_regression_estimate_of_double_sampling() -> None:
    judge, person = judged()
    line = stats.linregress(judge[:100], person[:100])
    result = corrected_mean(judge, person)
    assert result.weight == pytest.approx(line.slope)
    assert result.corrected.value == pytest.approx(line.intercept + line.slope * np.mean(judge))
    residual = np.sum((np.array(person[:100]) - line.intercept - line.slope * np.array(judge[:100])) ** 2) / 99
    cochran = residual / 100 + line.slope**2 * np.var(judge, ddof=1) / 400
    assert result.corrected.error == pytest.approx(np.sqrt(cochran), rel=0.03)


def test_a_judge_that_knows_nothing_leaves_the_labels_alone() -> None:
    _, person = judged()
    result = corrected_mean([0.9] * 400, person)
    assert result.weight == 0
    assert (result.corrected.low, result.corrected.high) == pytest.approx((result.person.low, result.person.high))


def test_the_bias_is_the_judge_s_lead_where_both_judged() -> None:
    judge, person = judged()
    expected = clustered_mean(np.array(judge[:100]) - np.array(person[:100]), range(100))
    assert corrected_mean(judge, person).bias == expected


def test_a_difference_is_corrected_as_the_mean_of_the_differences() -> None:
    base, tuned = judged(seed=1), judged(seed=2)
    differences = [None if first is None else second - first for first, second in zip(base[1], tuned[1], strict=True)]
    expected = corrected_mean(list(np.array(tuned[0]) - np.array(base[0])), differences)
    assert corrected_difference((base[0], tuned[0]), (base[1], tuned[1])) == expected


def test_answers_that_the_judge_left_unscored_are_left_out() -> None:
    judge, person = judged(40, 20)
    assert corrected_mean([*judge, None], [*person, 0.0]) == corrected_mean(judge, person)


def test_fewer_than_two_labels_correct_nothing_and_labels_of_one_page_give_no_interval() -> None:
    judge, person = judged(40, 20)
    assert corrected_mean(judge, [*person[:1], *[None] * 39]) is None
    one_page = corrected_mean(judge, person, clusters=["p1"] * 20 + ["p2"] * 20)
    assert (one_page.corrected.low, one_page.person.low) == (None, None)
