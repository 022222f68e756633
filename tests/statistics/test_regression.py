"""The line through clustered values: against scipy, against the clustered mean, against matrices written out."""

import numpy as np
import pytest
from scipy import linalg, stats

from minirag.statistics.clustered import clustered_mean
from minirag.statistics.regression import clustered_line

SIZES = [1, 2, 2, 3, 5, 7]
PAGES = np.repeat(np.arange(len(SIZES)), SIZES)


def points(seed: int = 4) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    x = random.normal(1, 0.5, len(PAGES))
    return x, 0.1 + 0.3 * x + random.normal(0, 0.2, len(PAGES))


def test_the_coefficients_are_scipy_s() -> None:
    x, y = points()
    level, slope = clustered_line(x, y, list(PAGES))
    oracle = stats.linregress(x, y)
    assert (level.value, slope.value) == pytest.approx((oracle.intercept, oracle.slope), abs=1e-12)


def test_errors_and_degrees_are_cr2_written_out_in_matrices() -> None:
    x, y = points()
    design = np.column_stack([np.ones_like(x), x])
    bread = np.linalg.inv(design.T @ design)
    leftover = np.eye(len(x)) - design @ bread @ design.T
    for number, found in enumerate(clustered_line(x, y, list(PAGES))):
        contrasts = []
        for page in range(len(SIZES)):
            rows = np.flatnonzero(page == PAGES)
            adjust = np.real(linalg.inv(linalg.sqrtm(leftover[np.ix_(rows, rows)])))
            contrasts.append(leftover[rows].T @ adjust @ design[rows] @ bread[:, number])
        roots = np.linalg.eigvalsh(np.array(contrasts) @ np.array(contrasts).T)
        assert found.error == pytest.approx(np.linalg.norm(np.array(contrasts) @ y), abs=1e-9)
        assert found.degrees == pytest.approx(roots.sum() ** 2 / (roots**2).sum(), abs=1e-9)


def test_what_only_one_page_has_is_fitted_and_not_a_failure() -> None:
    x = (PAGES == 5).astype(float)
    y = np.random.default_rng(6).normal(0, 1, len(PAGES))
    level, slope = clustered_line(x, y, list(PAGES))
    others = clustered_mean(y[PAGES < 5], list(PAGES[PAGES < 5]))
    assert (level.value, level.error) == pytest.approx((others.value, others.error), abs=1e-9)
    assert slope.value == pytest.approx(y[PAGES == 5].mean() - others.value)


@pytest.mark.parametrize(("x", "pages"), [([1.0, 1.0, 1.0], "abc"), ([1.0, 2.0, 3.0], "aab"), ([], "")])
def test_no_line_without_change_in_x_or_with_fewer_than_three_clusters(x: list[float], pages: str) -> None:
    assert clustered_line(np.array(x), np.array(x), pages) is None
