"""Row 7. A mean of scores whose questions come in clusters, with an interval that holds for few and uneven clusters.

Questions about one page are alike, so they are no independent witnesses: the spread is taken between pages.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from minirag.statistics.student_t import t_quantile, two_sided_p

LEVEL = 0.95
EXACT_CLUSTERS = 14
FLIPS = 9_999
BLOCK = 909  # flips drawn at a time, so that ten thousand clusters fit in memory
ROUNDING = 1e-12
"""A spread below this is rounding: the values are the same in every cluster."""

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
        """Whether the interval, ends included, holds `value`; it does where there is no interval."""
        return self.low is None or self.high is None or self.low <= value <= self.high


def estimate(value: float, error: float | None, degrees: float, n: int, n_clusters: int) -> Estimate:
    """The Estimate of a figure whose standard error is known."""
    if error is None:
        return Estimate(value, None, None, None, degrees, n, n_clusters)
    half = t_quantile((1 + LEVEL) / 2, degrees) * error
    return Estimate(value, value - half, value + half, error, degrees, n, n_clusters)


def codes(clusters: Sequence[Hashable]) -> NDArray[np.intp]:
    """Clusters numbered from 0 in the order of their first appearance.

    >>> codes(["p3", "p1", "p3"]).tolist()
    [0, 1, 0]
    """
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in clusters], dtype=np.intp)


def clustered_mean(values: Floats, clusters: Sequence[Hashable]) -> Estimate:
    """The mean of `values` (n,), at least one, and its interval; `clusters` names the cluster of each.

    Cluster-robust variance CR2 (Bell and McCaffrey 2002) with Satterthwaite's degrees of freedom for values that are
    alike within clusters as far as these are (Imbens and Kolesár 2016). Where all clusters are of one size it is
    the t test of the cluster means; uneven ones count as fewer.

    >>> page = clustered_mean(np.array([0.1, 0.1, 0.4, 0.4]), ["p1", "p1", "p2", "p2"])
    >>> round(page.value, 3), round(page.error, 3), page.degrees
    (0.25, 0.15, 1.0)
    """
    mean, n = float(np.mean(values)), len(values)
    groups = codes(clusters)
    sizes = np.bincount(groups)
    if len(sizes) < 2:
        return estimate(mean, None, 0.0, n, len(sizes))
    sums = np.bincount(groups, values - mean)
    error = float(np.sqrt(np.sum(sums**2 / (1 - sizes / n)))) / n
    within, between = variance_components(values, groups)
    degrees = satterthwaite(sizes / n, sizes * (within + sizes * between))
    return estimate(mean, error if error > ROUNDING else 0.0, degrees, n, len(sizes))


def variance_components(values: Floats, groups: NDArray[np.intp]) -> tuple[float, float]:
    """Variance of `values` (n,) within and between their groups, by their mean squares (one-way analysis of variance).

    `groups` (n,) numbers at least two of them, of any sizes; a negative estimate between them counts as 0.

    >>> variance_components(np.array([1.0, 3.0, 4.0, 6.0]), np.array([0, 0, 1, 1]))
    (2.0, 3.5)
    """
    n, sizes = len(values), np.bincount(groups)
    means = np.bincount(groups, values) / sizes
    within = float(np.sum((values - means[groups]) ** 2)) / max(1, n - len(sizes))
    between = float(np.sum(sizes * (means - np.mean(values)) ** 2)) / (len(sizes) - 1)
    typical = (n - float(np.sum(sizes**2)) / n) / (len(sizes) - 1)
    return within, max(0.0, (between - within) / typical)


def satterthwaite(share: Floats, variances: Floats) -> float:
    """Degrees of freedom of the CR2 variance of a mean: (Σ λ)² ÷ Σ λ² over the eigenvalues of its quadratic form.

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
    own = weight * variances - 2 * crossed  # the form's diagonal; share[g] · rest[h] + share[h] · rest[g] beside it
    pairs = np.sum(weight * share**2) * np.sum(weight * rest**2) + np.sum(crossed) ** 2 - 2 * np.sum(crossed**2)
    return float(np.sum(own) ** 2 / (np.sum(own**2) + 2 * pairs))


def sign_flip_p(values: Floats, clusters: Sequence[Hashable], *, seed: int = 0) -> float:
    """How often the mean of `values` is this far from 0 if each whole cluster may as well have the other sign.

    Fisher's randomisation test by cluster: it assumes nothing about the shape of the spread. Exact up to 14
    clusters (two of them cannot give less than 0.5), beyond that from 9,999 seeded draws.

    >>> sign_flip_p(np.array([0.1, 0.2, 0.3]), ["p1", "p2", "p3"])
    0.25
    """
    sums = np.bincount(codes(clusters), values)
    seen = abs(float(np.sum(sums))) - ROUNDING
    if len(sums) <= EXACT_CLUSTERS:
        totals = np.zeros(1)
        for size in sums:
            totals = np.concatenate([totals + size, totals - size])
        return float(np.mean(np.abs(totals) >= seen))
    random, beyond = np.random.default_rng(seed), 0
    for _ in range(FLIPS // BLOCK):
        signs = random.integers(0, 2, (BLOCK, len(sums)), dtype=np.int8) * 2 - 1
        beyond += int(np.count_nonzero(np.abs(signs @ sums) >= seen))
    return (1 + beyond) / (1 + FLIPS)
