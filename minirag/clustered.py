"""Adds to `evaluation` the mean of scores whose questions come in clusters, with an interval.

Questions about one page are alike, so they are no independent witnesses: the spread is taken between pages. The
interval holds for few and uneven clusters too.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
ROUNDING = 1e-12
"""A standard error below this is rounding: the values are the same in every cluster."""
MOST_DEGREES = 1e6
"""Degrees of freedom above which Student's t is the normal distribution."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval, from `n` values in `n_clusters` clusters.

    `error` is the standard error and `degrees` the degrees of freedom of Student's t. With one cluster nothing is
    known of the spread: `low`, `high` and `error` are None.
    """

    value: float
    low: float | None
    high: float | None
    error: float | None
    degrees: float
    n: int
    n_clusters: int

    @property
    def p_value(self) -> float | None:
        """Two-sided, against a value of 0; None where nothing is known of the spread, or nothing varies."""
        return two_sided_p(self.value / self.error, self.degrees) if self.error else None

    def holds(self, value: float) -> bool:
        """Return whether the interval, ends included, holds `value`; True where there is no interval."""
        return self.low is None or self.high is None or self.low <= value <= self.high


def estimate(value: float, error: float | None, degrees: float, n: int, n_clusters: int) -> Estimate:
    """Return the Estimate of a figure with a known standard error."""
    if error is None:
        return Estimate(value, None, None, None, degrees, n, n_clusters)
    half = t_quantile((1 + LEVEL) / 2, degrees) * error
    return Estimate(value, value - half, value + half, error, degrees, n, n_clusters)


def cluster_numbers(clusters: Sequence[Hashable]) -> NDArray[np.intp]:
    """Number clusters from 0 in the order of their first appearance.

    >>> cluster_numbers(["p3", "p1", "p3"]).tolist()
    [0, 1, 0]
    """
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in clusters], dtype=np.intp)


def clustered_mean(values: Floats, clusters: Sequence[Hashable]) -> Estimate:
    """Return the mean of `values` (n,), at least one, with its interval; `clusters` names the cluster of each.

    Cluster-robust variance CR2 (Bell and McCaffrey 2002) with Satterthwaite's degrees of freedom for values that are
    alike within clusters as far as these are (Imbens and Kolesár 2016). Where all clusters are of one size it is
    the t test of the cluster means; uneven ones count as fewer.

    >>> page = clustered_mean(np.array([0.1, 0.1, 0.4, 0.4]), ["p1", "p1", "p2", "p2"])
    >>> round(page.value, 3), round(page.error, 3), page.degrees
    (0.25, 0.15, 1.0)
    """
    mean, n = float(np.mean(values)), len(values)
    groups = cluster_numbers(clusters)
    sizes = np.bincount(groups)
    if len(sizes) < 2:
        return estimate(mean, None, 0.0, n, len(sizes))
    sums = np.bincount(groups, values - mean)
    error = float(np.sqrt(np.sum(sums**2 / (1 - sizes / n)))) / n
    within, between = variance_components(values, groups)
    degrees = satterthwaite(sizes / n, sizes * (within + sizes * between))
    return estimate(mean, error if error > ROUNDING else 0.0, degrees, n, len(sizes))


def variance_components(values: Floats, groups: NDArray[np.intp]) -> tuple[float, float]:
    """Return the variance of `values` (n,) within and between groups (one-way analysis of variance).

    `groups` (n,) numbers at least two groups, of any sizes; a negative estimate between them counts as 0.

    >>> variance_components(np.array([1.0, 3.0, 4.0, 6.0]), np.array([0, 0, 1, 1]))
    (2.0, 3.5)
    """
    n, sizes = len(values), np.bincount(groups)
    means = np.bincount(groups, values) / sizes
    within = float(np.sum((values - means[groups]) ** 2)) / max(1, n - len(sizes))
    between = float(np.sum(sizes * (means - np.mean(values)) ** 2)) / (len(sizes) - 1)
    typical_size = (n - float(np.sum(sizes**2)) / n) / (len(sizes) - 1)
    return within, max(0.0, (between - within) / typical_size)


def satterthwaite(share: Floats, variances: Floats) -> float:
    """Return the degrees of freedom of the CR2 variance of a mean: (Σ λ)² ÷ Σ λ², λ its quadratic form's eigenvalues.

    `share` (G,) is each cluster's share of the values, `variances` (G,) that of its sum, on any scale; all 0 counts
    as even.

    >>> even, uneven = np.array([0.25, 0.25, 0.25, 0.25]), np.array([0.7, 0.2, 0.1])
    >>> round(satterthwaite(even, even), 6), round(satterthwaite(uneven, uneven), 2)
    (3.0, 1.35)
    """
    if not variances.any():
        variances = share
    weight, rest = 1 / (1 - share), variances - share * variances.sum() / 2
    crossed = weight * share * rest
    diagonal = weight * variances - 2 * crossed  # beside it stand share[g] · rest[h] + share[h] · rest[g]
    pairs = np.sum(weight * share**2) * np.sum(weight * rest**2) + np.sum(crossed) ** 2 - 2 * np.sum(crossed**2)
    return float(np.sum(diagonal) ** 2 / (np.sum(diagonal**2) + 2 * pairs))


def two_sided_p(t: float, degrees: float) -> float:
    """Return P(|T| ≥ |t|) for Student's t with `degrees` of freedom, at least 1.

    With T = √degrees · tan(angle) the density becomes cos(angle)^(degrees − 1), integrated by Gauss and Legendre.

    >>> round(two_sided_p(2.262157, 9), 6)
    0.05
    """
    if degrees > MOST_DEGREES:
        return math.erfc(abs(t) / math.sqrt(2))
    half_angle = math.atan(abs(t) / math.sqrt(degrees)) / 2
    nodes, weights = _gauss_legendre()
    integral = half_angle * float(weights @ np.cos(half_angle * (1 + nodes)) ** (degrees - 1))
    scale = 2 / math.sqrt(math.pi) * math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2))
    return max(0.0, 1 - scale * integral)


@cache
def _gauss_legendre() -> tuple[Floats, Floats]:
    return np.polynomial.legendre.leggauss(200)


def t_quantile(probability: float, degrees: float) -> float:
    """Return the value that Student's t stays below with `probability`, at least 0.5.

    Newton's method from the normal quantile, which lies below: on a concave curve it never steps past the root.

    >>> round(t_quantile(0.975, 9), 6), round(t_quantile(0.975, math.inf), 6)
    (2.262157, 1.959964)
    """
    t = NormalDist().inv_cdf(probability)
    if degrees > MOST_DEGREES:
        return t
    log_scale = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2) - math.log(degrees * math.pi) / 2
    for _ in range(200):
        density = math.exp(log_scale - (degrees + 1) / 2 * math.log1p(t * t / degrees))
        step = (probability - 1 + two_sided_p(t, degrees) / 2) / density
        t += step
        if abs(step) <= 1e-13 * max(1.0, t):
            break
    return t
