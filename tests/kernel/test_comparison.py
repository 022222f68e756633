"""The comparison: means, intervals and verdicts against scipy and matrices written out, and unscored answers."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import linalg, stats

from minirag.errors import InputError
from minirag.metrics import Score
from minirag.metrics.comparison import (
    Comparison,
    clustered_mean,
    compare,
    t_quantile,
    too_many_unscored,
    two_sided_p,
    variance_components,
)
from minirag.statistics.power import in_words, to_json


def said(result: Comparison) -> str:
    return in_words(to_json(result))


def test_with_single_questions_it_is_the_paired_t_test() -> None:
    random = np.random.default_rng(7)
    base, tuned = random.random(30), random.random(30)
    result = compare(list(base), list(tuned))
    oracle = stats.ttest_rel(tuned, base)
    interval = oracle.confidence_interval(0.95)
    assert (result.low, result.high) == pytest.approx((interval.low, interval.high), abs=1e-9)
    assert result.p_value == pytest.approx(oracle.pvalue, abs=1e-9)
    assert result.difference == pytest.approx(float(np.mean(tuned - base)), abs=1e-12)


def test_with_equal_clusters_it_is_the_t_test_of_the_cluster_means() -> None:
    random = np.random.default_rng(8)
    base, tuned = random.random(40), random.random(40)
    clusters = [i // 5 for i in range(40)]
    means = (tuned - base).reshape(8, 5).mean(axis=1)
    oracle = stats.ttest_1samp(means, 0).confidence_interval(0.95)
    result = compare(list(base), list(tuned), clusters=clusters)
    assert (result.low, result.high) == pytest.approx((oracle.low, oracle.high), abs=1e-9)
    assert result.n_clusters == 8


def test_unscored_rows_are_left_out_and_counted() -> None:
    result = compare([0.5, None, 0.5, Score(0.5)], [0.75, 0.9, Score(None, "cut off"), 0.5])
    assert (result.n, result.n_unscored) == (2, 2)
    assert (result.base_mean, result.tuned_mean, result.difference) == (0.5, 0.625, 0.125)
    assert result.unscored == {"base": {"no reason given": 1}, "tuned": {"cut off": 1}}
    assert (result.worst, result.best) == pytest.approx((-0.0875, 0.4125))


@pytest.mark.parametrize(
    ("tuned", "margin", "verdict"),
    [
        ([0.9, 0.8, 0.9, 0.85], None, "better"),
        ([0.1, 0.2, 0.1, 0.15], None, "worse"),
        ([0.9, 0.1, 0.6, 0.4], None, "cannot tell"),
        ([0.51, 0.49, 0.5, 0.5], 0.05, "no meaningful difference"),
        ([0.51, 0.49, 0.5, 0.5], None, "cannot tell"),
    ],
)
def test_the_verdict_follows_from_the_interval(tuned: list[float], margin: float | None, verdict: str) -> None:
    assert compare([0.5] * 4, tuned, margin=margin).verdict == verdict


def test_an_arm_that_loses_its_bad_answers_gets_no_verdict() -> None:
    tuned = [None if number % 10 == 0 else 0.9 for number in range(100)]
    result = compare([0.5] * 50 + [0.6] * 50, tuned, arms=("teacher", "student"))
    assert said(result) == "+0.350 [+0.339, +0.361]: cannot tell (10 of 100 answers of student are unscored)"
    assert (result.low > 0, result.worst < result.difference) == (True, True)


def test_nothing_scored_or_one_page_only_cannot_tell() -> None:
    assert said(compare([], [])) == "cannot tell (nothing was scored in both)"
    assert compare([None], [0.5]).n_unscored == 1
    one_page = compare([0.1, 0.2], [0.9, 0.8], clusters=["p", "p"])
    assert (one_page.low, one_page.n_clusters) == (None, 1)
    assert said(one_page) == "+0.700: cannot tell (all questions are about one page)"


@pytest.mark.parametrize(
    ("n", "tuned", "words"),
    [
        (3, 0.5, "+0.000 [+0.000, +0.000]: cannot tell (the same in every question)"),
        (5, 0.6, "+0.100 [+0.100, +0.100]: cannot tell (the same in every question, and there are too few)"),
        (6, 0.6, "+0.100 [+0.100, +0.100]: better (the same in every question)"),
    ],
)
def test_without_any_spread_it_takes_six_clusters_to_tell(n: int, tuned: float, words: str) -> None:
    assert said(compare([0.5] * n, [tuned] * n)) == words


def test_scores_that_cannot_be_paired_are_refused() -> None:
    for base, tuned, clusters, says in [
        ([0.1], [0.1, 0.2], None, "pair 1 scores with 2"),
        ([0.1], [0.1], ["p1", "p2"], "same questions"),
        ([math.nan], [0.1], None, "nan"),
    ]:
        with pytest.raises(InputError, match=says):
            compare(base, tuned, clusters=clusters)


def test_the_article_s_scores_are_within_noise(article: dict[str, list[float]]) -> None:
    result = compare(article["base_faithfulness"], article["ft_faithfulness"])
    assert (round(result.base_mean, 4), round(result.tuned_mean, 4)) == (0.8356, 0.8847)
    assert said(result) == "+0.049 [-0.039, +0.137]: cannot tell (about 223 questions could)"
    assert (result.n, round(to_json(result)["detectable"], 3)) == (36, 0.125)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(0, 5)), min_size=1, max_size=40))
def test_swapping_the_arms_mirrors_the_interval(rows: list[tuple[float, float, int]]) -> None:
    base, tuned, clusters = ([row[i] for row in rows] for i in range(3))
    there, back = compare(base, tuned, clusters=clusters), compare(tuned, base, clusters=clusters)
    assert there.difference == pytest.approx(-back.difference, abs=1e-12)
    if there.low is not None:
        assert there.low == pytest.approx(-back.high, abs=1e-9)


# -- unscored answers --------------------------------------------------------------------------------------

SCORES = st.lists(st.tuples(*[st.none() | st.sampled_from([0.0, 0.25, 1.0])] * 2), min_size=1, max_size=4)


@settings(max_examples=50)
@given(SCORES)
def test_the_bounds_are_the_extremes_over_every_way_to_fill_the_gaps(rows: list[tuple[float | None, ...]]) -> None:
    base, tuned = ([row[arm] for row in rows] for arm in (0, 1))
    gaps = [value is None for value in base + tuned]
    differences = []
    for fill in product([0.0, 1.0], repeat=sum(gaps)):
        values = iter(fill)
        full = [next(values) if value is None else value for value in base + tuned]
        differences.append(np.mean(full[len(rows) :]) - np.mean(full[: len(rows)]))
    result = compare(base, tuned)
    assert (result.worst, result.best) == pytest.approx((min(differences), max(differences)), abs=1e-12)


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
    assert too_many_unscored(*holes, ("base", "student")) == why


@pytest.mark.parametrize(("first", "second"), [(0, 5), (0, 6), (2, 10), (4, 10), (1, 8)])
def test_unequal_between_arms_is_mcnemar_s_exact_test(first: int, second: int) -> None:
    numbers = np.arange(300)
    why = too_many_unscored(numbers < first, numbers >= 300 - second, ("base", "tuned"))
    uneven = stats.binomtest(first, first + second).pvalue < 0.05
    assert why == (f"unscored answers are unevenly spread: {first} of base, {second} of tuned" if uneven else "")
    assert too_many_unscored(numbers < second, numbers < second, ("base", "tuned")) == ""


# -- means of clustered values, and Student's t ------------------------------------------------------------


def test_with_uneven_clusters_it_is_cr2_written_out_in_matrices() -> None:
    random, groups = np.random.default_rng(3), np.repeat(np.arange(6), [1, 1, 2, 3, 5, 8])
    n = len(groups)
    values = random.normal(0.1, 0.2, n) + random.normal(0, 0.1, 6)[groups]
    design = np.ones((n, 1))
    bread = np.linalg.inv(design.T @ design)
    leftover = np.eye(n) - design @ bread @ design.T
    variance, contrasts = 0.0, []
    for group in range(groups.max() + 1):
        rows = np.flatnonzero(groups == group)
        adjust = np.real(linalg.inv(linalg.sqrtm(leftover[np.ix_(rows, rows)])))
        contrasts.append(leftover[rows].T @ adjust @ design[rows] @ bread)
        variance += float((contrasts[-1].T @ values)[0]) ** 2
    within, between = variance_components(values, groups)
    alike = within * np.eye(n) + between * (groups[:, None] == groups)
    roots = np.linalg.eigvals(np.hstack(contrasts).T @ alike @ np.hstack(contrasts)).real
    result = clustered_mean(values, [f"p{group}" for group in groups])
    assert result.error == pytest.approx(np.sqrt(variance), abs=1e-12)
    assert result.degrees == pytest.approx(roots.sum() ** 2 / (roots**2).sum(), abs=1e-9)


def test_variance_components_of_even_groups_are_those_of_the_f_test() -> None:
    values = np.random.default_rng(9).normal(0, 1, (6, 4)) + np.arange(6)[:, None]
    within, between = variance_components(values.ravel(), np.repeat(np.arange(6), 4))
    assert within == pytest.approx(values.var(axis=1, ddof=1).mean())
    assert (between * 4 + within) / within == pytest.approx(stats.f_oneway(*values).statistic)


@pytest.mark.parametrize("degrees", [1, 1.35, 2, 3, 4.7, 9, 39, 199, 5000, 1e6, 1e9, math.inf])
def test_student_s_t_is_scipy_s(degrees: float) -> None:
    tolerance = 1e-9 if degrees < 1e6 else 2e-6  # from a million degrees on the normal distribution stands for it
    for probability in (0.5, 0.8, 0.9, 0.975, 0.999):
        oracle = stats.t.ppf(probability, degrees)
        assert t_quantile(probability, degrees) == pytest.approx(oracle, rel=tolerance, abs=1e-9)
    for t in (-40.0, -2.5, -0.1, 0.0, 0.3, 1.96, 12.7):
        assert two_sided_p(t, degrees) == pytest.approx(2 * stats.t.sf(abs(t), degrees), abs=1e-9)
