"""Row 7. Student's t distribution: the quantile that an interval needs and the p-value of a test, without scipy."""

import math
from statistics import NormalDist


def t_quantile(probability: float, degrees: float) -> float:
    """The value that Student's t stays below with `probability` (0 to 1), for `degrees` of freedom (may be infinite).

    Newton's method from the normal quantile, which lies below: on a concave curve it never steps past the root.

    >>> round(t_quantile(0.975, 9), 6), round(t_quantile(0.975, math.inf), 6)
    (2.262157, 1.959964)
    """
    if probability < 0.5:
        return -t_quantile(1 - probability, degrees)
    t = NormalDist().inv_cdf(probability)
    if math.isinf(degrees):
        return t
    for _ in range(200):
        step = (probability - t_cumulative(t, degrees)) / _density(t, degrees)
        t += step
        if abs(step) <= 1e-13 * max(1.0, t):
            break
    return t


def t_cumulative(t: float, degrees: float) -> float:
    """P(T ≤ t) for Student's t with `degrees` of freedom.

    >>> round(t_cumulative(2.262157, 9), 6), round(t_cumulative(-1.959964, math.inf), 6)
    (0.975, 0.025)
    """
    return 1 - two_sided_p(t, degrees) / 2 if t >= 0 else two_sided_p(t, degrees) / 2


def two_sided_p(t: float, degrees: float) -> float:
    """P(|T| ≥ |t|): how often chance alone gives a statistic this far from 0, either way.

    >>> round(two_sided_p(2.262157, 9), 6)
    0.05
    """
    if math.isinf(degrees):
        return math.erfc(abs(t) / math.sqrt(2))
    return _incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t))


def _density(t: float, degrees: float) -> float:
    log_scale = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2) - math.log(degrees * math.pi) / 2
    return math.exp(log_scale - (degrees + 1) / 2 * math.log1p(t * t / degrees))


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function, by its continued fraction (Lentz's method)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, 500):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / (1 + numerator * d)
            c = 1 + numerator / c
            fraction *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return front * fraction
