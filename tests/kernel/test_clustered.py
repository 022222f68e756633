"""The clustered mean and Student's t, against scipy and against matrices written out."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg, stats

from minirag.clustered import (
    cluster_numbers,
    clustered_mean,
    satterthwaite,
    t_quantile,
    two_sided_p,
    variance_components,
)

SIZES = [1, 1, 2, 3, 5, 8]


def uneven(seed: int = 3) -> tuple[np.ndarray, list[str]]:
    random = np.random.default_rng(seed)
    pages = np.repeat(np.arange(len(SIZES)), SIZES)
    return random.normal(0.1, 0.2, len(pages)) + random.normal(0, 0.1, len(SIZES))[pages], [f"p{p}" for p in pages]


def test_with_uneven_clusters_it_is_cr2_written_out_in_matrices() -> None:
    values, pages = uneven()
    n, groups = len(values), cluster_numbers(pages)
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
    result = clustered_mean(values, pages)
    assert result.error == pytest.approx(np.sqrt(variance), abs=1e-12)
    assert result.degrees == pytest.approx(roots.sum() ** 2 / (roots**2).sum(), abs=1e-9)


@given(st.lists(st.integers(1, 30), min_size=2, max_size=20))
def test_degrees_of_freedom_lie_between_one_and_the_clusters_less_one(sizes: list[int]) -> None:
    share = np.array(sizes) / sum(sizes)
    for variances in (share, share**2):
        assert 1 - 1e-9 <= satterthwaite(share, variances) <= len(sizes) - 1 + 1e-9


def test_variance_components_of_even_groups_are_those_of_the_f_test() -> None:
    values = np.random.default_rng(9).normal(0, 1, (6, 4)) + np.arange(6)[:, None]
    within, between = variance_components(values.ravel(), np.repeat(np.arange(6), 4))
    assert within == pytest.approx(values.var(axis=1, ddof=1).mean())
    assert (between * 4 + within) / within == pytest.approx(stats.f_oneway(*values).statistic)


def test_one_cluster_gives_no_interval_and_equal_values_one_without_width() -> None:
    alone = clustered_mean(np.array([0.1, 0.2]), ["p", "p"])
    assert (alone.low, alone.p_value, alone.holds(5.0)) == (None, None, True)
    same = clustered_mean(np.array([0.1] * 3), "abc")
    assert (same.low, same.high, same.error) == (same.value, same.value, 0.0)


@pytest.mark.parametrize("degrees", [1, 1.35, 2, 3, 4.7, 9, 39, 199, 5000, 1e6, 1e9, math.inf])
def test_student_s_t_is_scipy_s(degrees: float) -> None:
    tolerance = 1e-9 if degrees < 1e6 else 2e-6  # from a million degrees on the normal distribution stands for it
    for probability in (0.5, 0.8, 0.9, 0.975, 0.999):
        oracle = stats.t.ppf(probability, degrees)
        assert t_quantile(probability, degrees) == pytest.approx(oracle, rel=tolerance, abs=1e-9)
    for t in (-40.0, -2.5, -0.1, 0.0, 0.3, 1.96, 12.7):
        assert two_sided_p(t, degrees) == pytest.approx(2 * stats.t.sf(abs(t), degrees), abs=1e-9)
