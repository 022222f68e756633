"""Row 7. A straight line through clustered values: what is left of a difference once something else is held equal."""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from minirag.statistics.clustered import ROUNDING, Estimate, Floats, codes, estimate


def clustered_line(x: Floats, y: Floats, clusters: Sequence[Hashable]) -> tuple[Estimate, Estimate] | None:
    """The least-squares line y = level + slope · x: (level at x = 0, slope), each with its interval.

    CR2 with Bell and McCaffrey's degrees of freedom, as `clustered_mean`, here for two coefficients (Pustejovsky
    and Tipton 2018). None where x is the same everywhere or there are fewer than three clusters.

    >>> x, y = np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 3.1, 4.9, 7.0])
    >>> level, slope = clustered_line(x, y, "abcd")
    >>> round(level.value, 2), round(slope.value, 2)
    (1.03, 1.98)
    """
    groups = codes(clusters)
    count = int(groups.max(initial=-1)) + 1
    if count < 3 or float(np.ptp(x)) <= ROUNDING:
        return None
    design = np.column_stack([np.ones(len(x)), x])
    bread = np.linalg.inv(design.T @ design)
    level, slope = bread @ design.T @ y
    rows = [np.flatnonzero(groups == group) for group in range(count)]
    weights = np.stack([_weights(design, bread, members) for members in rows])  # (clusters, n, 2)
    return (
        _coefficient(float(level), weights[:, :, 0], y, count),
        _coefficient(float(slope), weights[:, :, 1], y, count),
    )


def _weights(design: Floats, bread: Floats, members: NDArray[np.intp]) -> Floats:
    """What one cluster's adjusted residuals give to each coefficient, as weights (n, 2) of all values.

    The cluster's residuals are adjusted by (I − H)^(−½), H being its block of the hat matrix; a direction that the
    line fits without residual is left out.
    """
    own = design[members]
    roots, vectors = np.linalg.eigh(np.eye(len(members)) - own @ bread @ own.T)
    kept = roots > 1e-9
    adjust = (vectors[:, kept] / np.sqrt(roots[kept])) @ vectors[:, kept].T
    given = adjust @ own @ bread
    weights: Floats = -design @ bread @ own.T @ given
    weights[members] += given
    return weights


def _coefficient(value: float, weights: Floats, y: Floats, count: int) -> Estimate:
    """A coefficient whose variance is the sum of squares of `weights` (clusters, n) @ `y`."""
    error = float(np.sqrt(np.sum((weights @ y) ** 2)))
    products = weights @ weights.T
    if np.trace(products) <= ROUNDING:  # one cluster alone decides this coefficient, and the line fits it exactly
        return estimate(value, None, 0.0, len(y), count)
    degrees = float(np.trace(products) ** 2 / np.sum(products**2))
    return estimate(value, error if error > ROUNDING else 0.0, degrees, len(y), count)
