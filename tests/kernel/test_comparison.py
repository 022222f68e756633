"""The comparison: means, intervals and verdicts against scipy and matrices written out, and unscored answers."""

import math
import random
import re
from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st
from scipy import linalg, stats

from minirag.errors import InputError
from minirag.metrics import Score
from minirag.metrics.comparison import (
    Comparison,
    clustered_mean,
    compare,
    t_quantile,
    two_sided_p,
    variance_components,
)
from minirag.statistics.power import in_words, to_json


def said(result: Comparison) -> str:
    return in_words(to_json(result))


@pytest.mark.parametrize("size", [1, 5])
def test_with_pages_of_one_size_it_is_the_t_test_of_their_means(size):
    random = np.random.default_rng(7)
    base, tuned = random.random(40), random.random(40)
    result = compare(list(base), list(tuned), clusters=[i // size for i in range(40)])
    oracle = stats.ttest_1samp((tuned - base).reshape(-1, size).mean(axis=1), 0)
    interval = oracle.confidence_interval(0.95)
    assert (result.low, result.high) == pytest.approx((interval.low, interval.high), abs=1e-9)
    assert result.p_value == pytest.approx(oracle.pvalue, abs=1e-9)
    assert result.difference == pytest.approx(float(np.mean(tuned - base)), abs=1e-12)
    assert result.n_clusters == 40 / size


BASE, HALVES = [0.5] * 40, [0.9] * 20
PAGES = [i // 3 for i in range(24)]


@pytest.mark.parametrize(
    ("base", "tuned", "options", "words"),
    [
        ([], [], {}, "cannot tell (nothing was scored in both)"),
        ([None], [0.5], {}, "cannot tell (nothing was scored in both)"),
        ([0.1, 0.2], [0.9, 0.8], {"clusters": ["p", "p"]}, "cannot tell (too few pages or groups of questions: 1"),
        ([0.5] * 2, [0.6] * 2, {}, "cannot tell (too few questions: 2, and a verdict takes 6)"),
        ([0.5] * 2, [0.6, 0.6001], {}, "cannot tell (too few questions: 2, and a verdict takes 6)"),
        ([0.0] * 3, [1, 1, 0.99], {}, "cannot tell (too few questions: 3, and a verdict takes 6)"),
        ([0.5] * 5, [0.6] * 5, {"margin": 0.2}, "cannot tell (too few questions: 5, and a verdict takes 6)"),
        ([0.5], [0.9], {"clusters": ["p"]}, "cannot tell (too few questions: 1, and a verdict takes 6)"),
        (BASE, BASE, {"margin": 0.1, "clusters": [0, 1] * 20}, "cannot tell (too few pages or groups of questions: 2"),
        (BASE, [0.2, 0.8] * 19 + [0.2, 0.8 + 1.2e-6], {}, "cannot tell"),
        ([0.1 + 0.2] * 8, [0.3] * 8, {}, "cannot tell (the same in every question)"),
        ([0.5] * 6, [0.6] * 6, {}, "better (the same in every question)"),
        # figures that computing puts beside the border they are on
        ([0.3, 0.3, 0.5] * 8, [0.4, 0.5, 0.2] * 8, {"clusters": PAGES}, "cannot tell (the same on every page)"),
        ([0.3] * 6, [0.4] * 6, {"margin": 0.1}, "no meaningful difference (the same in every question)"),
        ([0.5] * 12, [0.5, 0.7] * 6, {"clusters": [i // 2 for i in range(12)]}, "better (the same on every page)"),
        # one of twenty unscored in each of two disjoint halves: a tenth of the pairs is lost
        (BASE, [None, *HALVES[1:]] * 2, {}, "better"),
        (
            [None, None, *BASE[2:]],
            [*BASE[:38], None, None],
            {},
            "cannot tell (4 of 40 questions lack one of the two scores)",
        ),
        # too few to forbid a verdict, but they could turn it
        (BASE, [0.502, 0.501] * 19 + [0.502, None], {}, "cannot tell (the unscored could turn it, as far as ["),
        (BASE, [0.502, 0.498] * 19 + [0.502, None], {"margin": 0.01}, "cannot tell (the unscored could turn it, as"),
        (BASE, [0.51, 0.49] * 20, {"margin": 0.05}, "no meaningful difference (within ±0.05: two one-sided tests"),
        ([1] * 8, [4, 5] * 4, {"scale": (1, 5)}, "better"),
    ],
)
def test_no_verdict_is_given_that_the_questions_do_not_carry(base, tuned, options, words):
    result = compare(base, tuned, **options)
    assert re.sub(r"^[+-].*?: ", "", said(result)).startswith(words)
    if not words.startswith("cannot tell"):
        assert result.verdict == words.partition(" (")[0]
    mirrored = compare(tuned, base, **options)
    assert mirrored.verdict == {"better": "worse", "worse": "better"}.get(result.verdict, result.verdict)


STARS = [1, 5, 3, None, 4, 2, 5, 1] * 3


@pytest.mark.parametrize(
    ("base", "tuned", "options", "says"),
    [
        ([0.5] * 8, [0.6] * 8, {"margin": -0.1}, "give a difference that matters, below 1"),
        ([0.5] * 8, [0.6] * 8, {"margin": math.nan}, "give a difference that matters, below 1"),
        ([0.5] * 8, [0.6] * 8, {"margin": 1.0}, "give a difference that matters, below 1"),
        (STARS, STARS, {}, r"not from 0 to 1; .* \(scale=\(1, 5\), or --range 1,5\)"),
        (STARS, STARS, {"scale": (5, 1)}, "The scale 5 to 1 is none"),
        ([0.1], [0.1, 0.2], {}, "pair 1 scores with 2"),
        ([0.1], [0.1], {"clusters": ["p1", "p2"]}, "same questions"),
        ([math.nan], [0.1], {}, "nan"),
    ],
)
def test_what_cannot_be_compared_is_refused(base, tuned, options, says):
    with pytest.raises(InputError, match=says):
        compare(base, tuned, **options)


ROWS = st.lists(
    st.tuples(*[st.none() | st.sampled_from([0.0, 0.5, 1.0]) | st.floats(0, 1)] * 2, st.integers(0, 9)), max_size=24
)
JITTER = st.sampled_from([0.0, 1e-15, 1e-12, 1e-6, 1e-3])


@settings(max_examples=150)
@given(ROWS, JITTER, st.none() | st.floats(0, 0.5), st.randoms(use_true_random=False))
@example([(None, 4.5121758201058273e-144, 0), (0.0, 0.0, 4)], 0.0, None, random.Random(0))
def test_whatever_the_scores_there_is_an_honest_verdict(rows, jitter, margin, chance):
    """Ties, jitter, missing rows and clusters of any size: the mirrored, shifted and shuffled rows say the same."""
    rows = [(a, None if b is None else min(1.0, b + jitter * i / 24), page) for i, (a, b, page) in enumerate(rows)]

    def compared(rows: Sequence[tuple[float | None, float | None, int]], scale: tuple[float, float]) -> Comparison:
        base, tuned, pages = ([row[i] for row in rows] for i in range(3))
        return compare(base, tuned, clusters=pages, margin=margin, scale=scale)

    result = compared(rows, (0, 1))
    assert said(result)
    if result.n_clusters < 6 or result.n_unscored > 0.05 * len(rows):
        assert (result.verdict, result.p_value) == ("cannot tell", None)
    if result.verdict == "better":
        assert result.worst > 0
        assert result.p_value < 0.05
    mirrored = compared([(b, a, page) for a, b, page in rows], (0, 1))
    assert mirrored.verdict == {"better": "worse", "worse": "better"}.get(result.verdict, result.verdict)
    shuffled = compared(chance.sample(rows, len(rows)), (0, 1))
    moved = compared([(a, None if b is None else b + 0.25, page) for a, b, page in rows], (0, 2))
    if result.low is not None and result.high is not None:
        assert (shuffled.low, shuffled.high) == pytest.approx((result.low, result.high), abs=1e-9)
        assert (moved.low, moved.high) == pytest.approx((result.low + 0.25, result.high + 0.25), abs=1e-7)
        assert (mirrored.low, mirrored.high) == pytest.approx((-result.high, -result.low), abs=1e-9)


def test_the_article_s_scores_are_within_noise(article):
    result = compare(article["base_faithfulness"], article["ft_faithfulness"])
    assert (round(result.base_mean, 4), round(result.tuned_mean, 4)) == (0.8356, 0.8847)
    words = "cannot tell (about 215 fresh questions could detect 0.05, about 56 could detect 0.1)"
    assert said(result) == f"+0.049 [-0.039, +0.137]: {words}"
    assert (result.n, round(to_json(result)["detectable"], 3)) == (36, 0.125)


@settings(max_examples=50)
@given(st.lists(st.tuples(*[st.none() | st.sampled_from([1.0, 2.5, 5.0])] * 2), min_size=1, max_size=4))
def test_unscored_rows_are_counted_and_the_bounds_are_the_extremes_over_every_way_to_fill_the_gaps(rows):
    base, tuned = ([row[arm] for row in rows] for arm in (0, 1))
    gaps = [value is None for value in base + tuned]
    differences = []
    for fill in product([1.0, 5.0], repeat=sum(gaps)):
        values = iter(fill)
        full = [next(values) if value is None else value for value in base + tuned]
        differences.append(np.mean(full[len(rows) :]) - np.mean(full[: len(rows)]))
    result = compare([Score(value, "cut off" * (value is None)) for value in base], tuned, scale=(1, 5))
    assert (result.worst, result.best) == pytest.approx((min(differences), max(differences)), abs=1e-12)
    both = [row for row in rows if None not in row]
    assert (result.n, result.n_unscored) == (len(both), len(rows) - len(both))
    if both:
        assert [result.base_mean, result.tuned_mean] == pytest.approx(np.mean(both, axis=0))


def test_rare_large_losses_are_counted_by_themselves():
    result = compare([0.9] * 40, [0.95] * 37 + [0.4, 0.3, 0.0])
    assert result.large_losses == 2  # a loss of exactly half the scale is none
    assert compare([5] * 8, [3] * 7 + [1], scale=(1, 5)).large_losses == 1


def test_with_uneven_clusters_it_is_cr2_written_out_in_matrices():
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


@pytest.mark.parametrize("degrees", [1, 1.35, 2, 3, 4.7, 9, 39, 199, 5000, 1e6, 1e9, math.inf])
def test_student_s_t_is_scipy_s(degrees):
    tolerance = 1e-9 if degrees < 1e6 else 2e-6  # from a million degrees on the normal distribution stands for it
    for probability in (0.5, 0.8, 0.9, 0.975, 0.999):
        oracle = stats.t.ppf(probability, degrees)
        assert t_quantile(probability, degrees) == pytest.approx(oracle, rel=tolerance, abs=1e-9)
    for t in (-40.0, -2.5, -0.1, 0.0, 0.3, 1.96, 12.7):
        assert two_sided_p(t, degrees) == pytest.approx(2 * stats.t.sf(abs(t), degrees), abs=1e-9)
