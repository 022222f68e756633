"""Adds to `evaluation` the verdict: is one arm better than another, or can these questions not tell?

Differences are paired by question. Questions about one page are alike, so they are no independent witnesses: the spread
is taken between pages, and the interval holds for few and uneven pages too.
"""

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import compress
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from minirag.errors import InputError
from minirag.metrics.score import Score

ARMS = ("base", "control", "tuned", "teacher")
"""Whose answers are judged, in the order of every table: the student as it comes, the same with a better prompt, the
student after training, and the model that it learned from."""
COMPARED = ("base", "teacher", "control")
"""The arms that the tuned model is compared with."""
MOST_UNSCORED = 0.05
FEWEST_CLUSTERS = 6
"""With fewer, chance alone gives every cluster's difference the same sign in more than 5 % of evaluations: 2 × 0.5⁵."""
LEVEL = 0.95
ROUNDING = 1e-12  # a standard error below this is rounding: the values are the same in every cluster
MOST_DEGREES = 1e6  # above which Student's t is the normal distribution
Floats = NDArray[np.float64]
Value = float | Score | None
Clusters = Sequence[Hashable]
"""For each question the page, or whatever it shares with others."""
_gauss_legendre = cache(partial(np.polynomial.legendre.leggauss, 200))


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The mean paired difference (second arm − first), its 95 % interval, and what it allows to say.

    `verdict`: `better`, `worse`, `no meaningful difference` (the interval lies inside the margin) or `cannot tell`;
    `why` adds the reason where there is one. `n` questions were scored in both arms, `n_unscored` were not; `unscored`
    counts the missing scores by arm and reason, and had they been judged the difference would lie between `worst` and
    `best`. `error` is the difference's standard error, `degrees` its degrees of freedom.
    """

    base_mean: float | None = None
    tuned_mean: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    verdict: str
    why: str = ""
    n: int
    n_unscored: int
    n_clusters: int
    error: float | None = None
    degrees: float = 0.0
    p_value: float | None = None
    unscored: Mapping[str, Mapping[str, int]]
    worst: float | None
    best: float | None


def compare(
    base: Sequence[Value],
    tuned: Sequence[Value],
    *,
    clusters: Clusters | None = None,
    margin: float | None = None,
    arms: tuple[str, str] = ("base", "tuned"),
) -> Comparison:
    """Compare two arms' scores of the same questions in the same order: numbers, Scores, or None for unscored.

    `clusters` names the source page of each question (default: each its own). `margin` is the smallest difference
    that would matter to you. `arms` are the names used in reasons. Raises InputError for sequences of different
    length and for a score that is no finite number.

    >>> result = compare([0.5, 0.6, 0.4, 0.5], [0.7, 0.9, 0.7, 0.6])
    >>> round(result.difference, 3), result.verdict
    (0.225, 'better')
    """
    pages = cluster_names(base, tuned, clusters)
    first, second = numbers(base), numbers(tuned)
    holes = np.isnan(first), np.isnan(second)
    both = ~(holes[0] | holes[1])
    # each missing score as the 0 or 1 that lowers or raises the difference most (Horowitz and Manski 2000)
    worst, best = (
        float(np.mean(np.where(holes[1], low, second) - np.where(holes[0], 1 - low, first))) if len(both) else None
        for low in (0.0, 1.0)
    )
    nothing = Comparison(
        verdict="cannot tell",
        why="nothing was scored in both",
        n=0,
        n_unscored=int(np.count_nonzero(~both)),
        n_clusters=0,
        unscored={arms[0]: unscored_reasons(base), arms[1]: unscored_reasons(tuned)},
        worst=worst,
        best=best,
    )
    if not both.any():
        return nothing
    mean = clustered_mean((second - first)[both], list(compress(pages, both)))
    verdict, why = _verdict(mean, too_many_unscored(*holes, arms), margin)
    return replace(
        nothing,
        base_mean=float(np.mean(first[both])),
        tuned_mean=float(np.mean(second[both])),
        difference=mean.value,
        low=mean.low,
        high=mean.high,
        verdict=verdict,
        why=why,
        n=mean.n,
        n_clusters=mean.n_clusters,
        error=mean.error,
        degrees=mean.degrees,
        p_value=mean.p_value,
    )


def _verdict(mean: "Estimate", unscored: str, margin: float | None) -> tuple[str, str]:
    """Return the verdict, and its reason if there is more to say."""
    if mean.low is None or mean.high is None:
        return "cannot tell", "all questions are about one page"
    if unscored:
        return "cannot tell", unscored
    same = "the same in every question" if mean.error == 0 else ""
    if margin is not None and -margin <= mean.low and mean.high <= margin:
        return "no meaningful difference", same
    if mean.low <= 0 <= mean.high:
        return "cannot tell", same
    if same and mean.n_clusters < FEWEST_CLUSTERS:
        return "cannot tell", f"{same}, and there are too few"
    return ("better" if mean.low > 0 else "worse"), same


def cluster_names(base: Sequence[Value], tuned: Sequence[Value], clusters: Clusters | None) -> Clusters:
    """Return the clusters, or each question its own. Raises InputError where the lengths differ."""
    names: Clusters = clusters if clusters is not None else range(len(base))
    if not len(base) == len(tuned) == len(names):
        raise InputError(f"Cannot pair {len(base)} scores with {len(tuned)}; both arms need the same questions.")
    return names


def numbers(values: Sequence[Value]) -> Floats:
    """Return scores as numbers (n,), nan for unscored. Raises InputError for a score that is no finite number."""
    scores = [value.value if isinstance(value, Score) else value for value in values]
    for score in scores:
        if score is not None and not math.isfinite(score):
            raise InputError(f"A score is {score}; give None for an answer that was not scored.")
    return np.array([math.nan if score is None else score for score in scores], dtype=np.float64)


def unscored_reasons(values: Sequence[Value]) -> dict[str, int]:
    """Return how many are unscored for which reason, the most frequent first."""
    scores = [value if isinstance(value, Score) else Score(value) for value in values]
    return dict(Counter(s.reason or "no reason given" for s in scores if s.value is None).most_common())


def too_many_unscored(first: NDArray[np.bool_], second: NDArray[np.bool_], arms: tuple[str, str]) -> str:
    """Return why the unscored answers (marked True) of two arms forbid a verdict, or "".

    Either more than 5 % of an arm are unscored, or one arm has so many more than the other that chance would do so in
    less than 5 % of evaluations (exact McNemar test on the questions that are unscored in one arm only).
    """
    for arm, holes in zip(arms, (first, second), strict=True):
        count = int(np.count_nonzero(holes))
        if count > MOST_UNSCORED * len(holes):
            return f"{count} of {len(holes)} answers of {arm} are unscored"
    only = int(np.count_nonzero(first & ~second)), int(np.count_nonzero(second & ~first))
    tail = sum(math.comb(sum(only), k) for k in range(min(only) + 1))
    if 2 * tail / (1 << sum(only)) < 1 - LEVEL:
        counts = f"{np.count_nonzero(first)} of {arms[0]}, {np.count_nonzero(second)} of {arms[1]}"
        return f"unscored answers are unevenly spread: {counts}"
    return ""


# -- means of clustered values -----------------------------------------------------------------------------


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


def estimate(value: float, error: float | None, degrees: float, n: int, n_clusters: int) -> Estimate:
    """Return the Estimate of a figure with a known standard error."""
    if error is None:
        return Estimate(value, None, None, None, degrees, n, n_clusters)
    half = t_quantile((1 + LEVEL) / 2, degrees) * error
    return Estimate(value, value - half, value + half, error, degrees, n, n_clusters)


def cluster_numbers(clusters: Clusters) -> NDArray[np.intp]:
    """Number clusters from 0 in the order of their first appearance."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in clusters], dtype=np.intp)


def clustered_mean(values: Floats, clusters: Clusters) -> Estimate:
    """Return the mean of `values` (n,), at least one, with its interval; `clusters` names the cluster of each.

    Cluster-robust variance CR2 (Bell and McCaffrey 2002) with Satterthwaite's degrees of freedom for values that are
    alike within clusters as far as these are (Imbens and Kolesár 2016). Where all clusters are of one size it is
    the t test of the cluster means; uneven ones count as fewer.
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
    """
    if degrees > MOST_DEGREES:
        return math.erfc(abs(t) / math.sqrt(2))
    half_angle = math.atan(abs(t) / math.sqrt(degrees)) / 2
    nodes, weights = _gauss_legendre()
    integral = half_angle * float(weights @ np.cos(half_angle * (1 + nodes)) ** (degrees - 1))
    scale = 2 / math.sqrt(math.pi) * math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2))
    return max(0.0, 1 - scale * integral)


def t_quantile(probability: float, degrees: float) -> float:
    """Return the value that Student's t stays below with `probability`, at least 0.5.

    Newton's method from the normal quantile, which lies below: on a concave curve it never steps past the root.

    >>> round(t_quantile(0.975, 9), 6)
    2.262157
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
