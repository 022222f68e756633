"""Adds to `evaluation` the verdict: is one arm better than another, or can these questions not tell?

Differences are paired by question. Questions about one page are alike, so they are no independent witnesses: the spread
is taken between pages, and the interval holds for few and uneven pages too.
"""

import math
from collections.abc import Hashable, Sequence
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
SCALE = (0.0, 1.0)
MOST_UNSCORED = 0.05
FEWEST_CLUSTERS = 6
"""With fewer, chance alone gives every cluster's difference the same sign in more than 5 % of evaluations: 2 × 0.5⁵."""
LARGE_LOSS = 0.5
LEVEL = 0.95
ROUNDING = 1e-9  # what a score or its standard error may be off by computing
MOST_DEGREES = 1e6  # above which Student's t is the normal distribution
Floats = NDArray[np.float64]
Value = float | Score | None
Clusters = Sequence[Hashable]
"""For each question the page, or whatever it shares with others."""
_gauss_legendre = cache(partial(np.polynomial.legendre.leggauss, 200))


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The mean paired difference (second arm − first), its 95 % interval, and what it allows to say.

    `verdict`: `better`, `worse`, `no meaningful difference` (the interval lies within the `margin`) or `cannot tell`;
    `why` adds the reason where there is one. `n` questions were scored in both arms, and the means are theirs;
    `n_unscored` were not, and had they been judged the difference would lie between `worst` and `best`. `error` is the
    difference's standard error, `degrees` its degrees of freedom; `low`, `high` and `error` are None with one cluster,
    `p_value` where no verdict can be given. `large_losses` questions lost more than half the scale.
    """

    base_mean: float | None = None
    tuned_mean: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    verdict: str = "cannot tell"
    why: str = "nothing was scored in both"
    n: int = 0
    n_unscored: int
    n_clusters: int = 0
    error: float | None = None
    degrees: float = 0.0
    p_value: float | None = None
    worst: float | None
    best: float | None
    large_losses: int = 0
    margin: float | None
    scale: tuple[float, float]


def compare(
    base: Sequence[Value],
    tuned: Sequence[Value],
    *,
    clusters: Clusters | None = None,
    margin: float | None = None,
    scale: tuple[float, float] = SCALE,
) -> Comparison:
    """Compare two arms' scores of the same questions in the same order: numbers, Scores, or None for unscored.

    `clusters` names the source page of each question (default: each its own). `margin` is the smallest difference
    that would matter to you, `scale` the least and the most that a score can be.
    Raises InputError for sequences of different length, for a score outside the scale and for a negative margin.

    >>> result = compare([0.5, 0.6, 0.4, 0.5, 0.6, 0.4], [0.7, 0.9, 0.7, 0.6, 0.8, 0.7])
    >>> round(result.difference, 3), result.verdict
    (0.233, 'better')
    """
    pages = range(len(base)) if clusters is None else clusters
    if not len(base) == len(tuned) == len(pages):
        raise InputError(f"Cannot pair {len(base)} scores with {len(tuned)}; both arms need the same questions.")
    first, second = numbers(base, scale), numbers(tuned, scale)
    if margin is not None and not 0 <= margin < scale[1] - scale[0]:
        raise InputError(f"The margin is {margin:g}; give a difference that matters, below {scale[1] - scale[0]:g}.")
    both = ~np.isnan(second - first)
    # each missing score as the end of the scale that lowers or raises the difference most (Horowitz and Manski 2000)
    bounds = [np.nan_to_num(second, nan=a) - np.nan_to_num(first, nan=b) for a, b in (scale, scale[::-1])]
    worst, best = (float(np.mean(bound)) if len(both) else None for bound in bounds)
    n_unscored = int(np.count_nonzero(~both))
    nothing = Comparison(n_unscored=n_unscored, worst=worst, best=best, margin=margin, scale=scale)
    if not both.any():
        return nothing
    differences = (second - first)[both]
    differences[np.abs(differences) < ROUNDING] = 0.0
    mean = clustered_mean(differences, list(compress(pages, both)))
    verdict, p_value = "cannot tell", None
    why = _no_verdict(mean, [clustered_mean(bound, pages) for bound in bounds], margin)
    if not why:
        verdict, p_value = _outcome(mean.interval, margin), mean.p_value
        if mean.error == 0:
            why = "the same in every question" if np.ptp(differences) < ROUNDING else "the same on every page"
        elif verdict == "no meaningful difference":
            why = f"within ±{margin:g}: two one-sided tests at 2.5 % each"
    low, high, error = (figure if math.isfinite(figure) else None for figure in (*mean.interval, mean.error))
    return replace(
        nothing,
        base_mean=float(np.mean(first[both])),
        tuned_mean=float(np.mean(second[both])),
        difference=mean.value,
        low=low,
        high=high,
        verdict=verdict,
        why=why,
        n=mean.n,
        n_clusters=mean.n_clusters,
        error=error,
        degrees=mean.degrees,
        p_value=p_value,
        large_losses=int(np.count_nonzero(differences < -LARGE_LOSS * (scale[1] - scale[0]) - ROUNDING)),
    )


def _no_verdict(mean: "Estimate", extremes: Sequence["Estimate"], margin: float | None) -> str:
    """Return why these questions allow no verdict, "" if they do.

    `extremes` are the least and the most that the mean difference would be had all questions been scored.
    """
    n = extremes[0].n
    if mean.n_clusters < FEWEST_CLUSTERS:
        clusters = "questions" if mean.n_clusters == mean.n else "pages or groups of questions"
        return f"too few {clusters}: {mean.n_clusters}, and a verdict takes {FEWEST_CLUSTERS}"
    if n - mean.n > MOST_UNSCORED * n:
        return f"{n - mean.n} of {n} questions lack one of the two scores"
    low, high = min(mean.interval[0], extremes[0].interval[0]), max(mean.interval[1], extremes[1].interval[1])
    if mean.n < n and _outcome((low, high), margin) != _outcome(mean.interval, margin):
        return f"the unscored could turn it, as far as [{low:+.3f}, {high:+.3f}]"
    return ""


def _outcome(interval: tuple[float, float], margin: float | None) -> str:
    """Return what an interval of the difference says."""
    low, high = interval
    if margin is not None and -margin - ROUNDING <= low and high <= margin + ROUNDING:
        return "no meaningful difference"
    return "better" if low > 0 else "worse" if high < 0 else "cannot tell"


def numbers(values: Sequence[Value], scale: tuple[float, float] = SCALE) -> Floats:
    """Return scores as numbers (n,), nan for unscored. Raises InputError for a score that is not on the scale."""
    low, high = scale
    if not -math.inf < low < high < math.inf:
        raise InputError(f"The scale {low:g} to {high:g} is none; give the least and the most that a score can be.")
    scores = [value.value if isinstance(value, Score) else value for value in values]
    for score in scores:
        if score is not None and not low - ROUNDING <= score <= high + ROUNDING:
            raise InputError(
                f"A score is {score}, not from {low:g} to {high:g}; give None for an answer that was not scored, and "
                "the scores' scale if it is another (scale=(1, 5), or --range 1,5)."
            )
    return np.array([math.nan if score is None else score for score in scores], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure, its standard error and degrees of freedom, from `n` values in `n_clusters` clusters.

    With one cluster nothing is known of the spread: the error is infinite, and so is the interval.
    """

    value: float
    error: float
    degrees: float
    n: int
    n_clusters: int

    @property
    def interval(self) -> tuple[float, float]:
        """The ends of the 95 % interval."""
        half = t_quantile((1 + LEVEL) / 2, self.degrees) * self.error
        return self.value - half, self.value + half

    @property
    def p_value(self) -> float:
        """Two-sided, against a value of 0; where nothing varies that of sign flips."""
        if self.error == 0:
            return 1.0 if self.value == 0 else 2 * 0.5**self.n_clusters
        return two_sided_p(self.value / self.error, self.degrees)


def cluster_numbers(clusters: Clusters) -> NDArray[np.intp]:
    """Number clusters from 0 in the order of their first appearance."""
    order = {name: number for number, name in enumerate(dict.fromkeys(clusters))}
    return np.array([order[name] for name in clusters], dtype=np.intp)


def clustered_mean(values: Floats, clusters: Clusters) -> Estimate:
    """Return the mean of `values` (n,), at least one, with its interval; `clusters` names the cluster of each.

    Cluster-robust variance CR2 (Bell and McCaffrey 2002) with Satterthwaite's degrees of freedom for values that are
    alike within clusters as far as these are (Imbens and Kolesár 2016). Where all clusters are of one size it is
    the t test of the cluster means; uneven ones count as fewer.
    """
    mean, n = float(np.mean(values)), len(values)
    mean = 0.0 if abs(mean) < ROUNDING else mean
    groups = cluster_numbers(clusters)
    sizes = np.bincount(groups)
    if len(sizes) < 2:
        return Estimate(mean, math.inf, 1.0, n, 1)
    sums = np.bincount(groups, values - mean)
    error = float(np.sqrt(np.sum(sums**2 / (1 - sizes / n)))) / n
    within, between = variance_components(values, groups)
    degrees = satterthwaite(sizes / n, sizes * (within + sizes * between))
    return Estimate(mean, error if error > ROUNDING else 0.0, degrees, n, len(sizes))


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
    variances = variances / variances.max() if variances.any() else share  # squares of tiny ones would vanish
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


@cache
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
    for _ in range(40):  # one degree of freedom and a probability of 0.999 take 12
        density = math.exp(log_scale - (degrees + 1) / 2 * math.log1p(t * t / degrees))
        t += (probability - 1 + two_sided_p(t, degrees) / 2) / density
    return t
