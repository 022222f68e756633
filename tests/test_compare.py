"""The comparison, against scipy and against plain loops."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from minirag.compare import compare, t_quantile
from minirag.errors import InputError
from minirag.metrics import Score


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 9, 39, 199, 5000])
@pytest.mark.parametrize("probability", [0.5, 0.8, 0.9, 0.975, 0.999])
def test_t_quantiles_equal_scipy(probability: float, degrees: int) -> None:
    assert t_quantile(probability, degrees) == pytest.approx(stats.t.ppf(probability, degrees), abs=1e-9)


def test_with_single_questions_the_interval_is_that_of_the_paired_t_test() -> None:
    random = np.random.default_rng(7)
    base, tuned = random.random(30), random.random(30)
    result = compare(list(base), list(tuned))
    oracle = stats.ttest_rel(tuned, base).confidence_interval(0.95)
    assert (result.low, result.high) == pytest.approx((oracle.low, oracle.high), abs=1e-9)
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


def test_nothing_scored_or_one_page_only_cannot_tell() -> None:
    assert compare([], []).verdict == "cannot tell"
    assert compare([None], [0.5]).n_unscored == 1
    one_page = compare([0.1, 0.2], [0.9, 0.8], clusters=["p", "p"])
    assert (one_page.verdict, one_page.low, one_page.n_clusters) == ("cannot tell", None, 1)


def test_arms_of_different_length_and_nan_are_refused() -> None:
    with pytest.raises(InputError, match="pair 1 scores with 2"):
        compare([0.1], [0.1, 0.2])
    with pytest.raises(InputError, match="nan"):
        compare([math.nan], [0.1])


def test_the_article_s_scores_are_within_noise(shared: object) -> None:
    import csv
    from pathlib import Path

    with (Path(str(shared)) / "nvidia-10k" / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    result = compare([float(r["base_faithfulness"]) for r in rows], [float(r["ft_faithfulness"]) for r in rows])
    assert (round(result.base_mean, 4), round(result.tuned_mean, 4)) == (0.8356, 0.8847)
    assert round(result.difference, 3) == 0.049
    assert result.low < 0 < result.high
    assert result.verdict == "cannot tell"
    assert result.n_needed > result.n


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(0, 5)), min_size=1, max_size=40))
def test_swapping_the_arms_mirrors_the_interval(rows: list[tuple[float, float, int]]) -> None:
    base, tuned, clusters = ([row[i] for row in rows] for i in range(3))
    there, back = compare(base, tuned, clusters=clusters), compare(tuned, base, clusters=clusters)
    assert there.difference == pytest.approx(-back.difference, abs=1e-12)
    if there.low is not None:
        assert there.low == pytest.approx(-back.high, abs=1e-9)
