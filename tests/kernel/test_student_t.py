"""Student's t, against scipy."""

import math

import pytest
from scipy import stats

from minirag.statistics.student_t import t_cumulative, t_quantile, two_sided_p

DEGREES = [1, 1.35, 2, 3, 4.7, 9, 39, 199, 5000, math.inf]


@pytest.mark.parametrize("degrees", DEGREES)
@pytest.mark.parametrize("probability", [0.001, 0.025, 0.5, 0.8, 0.9, 0.975, 0.999])
def test_quantiles_equal_scipy(probability: float, degrees: float) -> None:
    assert t_quantile(probability, degrees) == pytest.approx(stats.t.ppf(probability, degrees), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("degrees", DEGREES)
@pytest.mark.parametrize("t", [-40.0, -2.5, -0.1, 0.0, 0.3, 1.96, 12.7])
def test_probabilities_equal_scipy(t: float, degrees: float) -> None:
    assert t_cumulative(t, degrees) == pytest.approx(stats.t.cdf(t, degrees), abs=1e-9)
    assert two_sided_p(t, degrees) == pytest.approx(2 * stats.t.sf(abs(t), degrees), abs=1e-9)
