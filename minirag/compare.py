"""Row 7. Is one arm better than another, or can these questions not tell? Paired, clustered, with an interval.

Questions about one page are alike: they are no independent evidence. Differences are paired by question and
their spread is taken between clusters (source pages), with Student's t for as many clusters as there are.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from minirag.errors import InputError
from minirag.metrics.score import Score

LEVEL = 0.95
POWER = 0.8
Value = float | Score | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The mean paired difference (second arm − first), its 95 % interval, and what it allows to say.

    `verdict`: `better`, `worse`, `no meaningful difference` (the interval lies inside the stated margin) or
    `cannot tell`. `n` questions were scored in both arms, `n_unscored` were not; `n_needed` questions would show
    a difference of this size in four of five evaluations (None where that cannot be estimated).
    """

    base_mean: float | None
    tuned_mean: float | None
    difference: float | None
    low: float | None
    high: float | None
    verdict: str
    n: int
    n_unscored: int
    n_clusters: int
    n_needed: int | None


def compare(
    base: Sequence[Value],
    tuned: Sequence[Value],
    *,
    clusters: Sequence[Hashable] | None = None,
    margin: float | None = None,
) -> Comparison:
    """Compare two arms' scores of the same questions in the same order: numbers, Scores, or None for unscored.

    `clusters` names the source page of each question (default: each its own). `margin` is the smallest
    difference that would matter to you. Method: cluster-robust variance of a mean with the factor G / (G − 1)
    for G clusters, Student's t with G − 1 degrees of freedom (Cameron and Miller 2015). Raises InputError for
    sequences of different length.

    >>> result = compare([0.5, 0.6, 0.4, 0.5], [0.7, 0.9, 0.7, 0.6])
    >>> round(result.difference, 3), result.verdict
    (0.225, 'better')
    """
    if len(base) != len(tuned) or (clusters is not None and len(clusters) != len(base)):
        raise InputError(f"Cannot pair {len(base)} scores with {len(tuned)}; both arms need the same questions.")
    names: Sequence[Hashable] = clusters if clusters is not None else range(len(base))
    pairs = [
        (first, second, name)
        for first, second, name in zip(map(_number, base), map(_number, tuned), names, strict=True)
        if first is not None and second is not None
    ]
    n, unscored = len(pairs), len(base) - len(pairs)
    if n == 0:
        return Comparison(None, None, None, None, None, "cannot tell", 0, unscored, 0, None)
    base_mean = math.fsum(first for first, _, _ in pairs) / n
    tuned_mean = math.fsum(second for _, second, _ in pairs) / n
    difference = math.fsum(second - first for first, second, _ in pairs) / n
    error, groups = _clustered_error([(second - first, name) for first, second, name in pairs], difference)
    if error is None:
        return Comparison(base_mean, tuned_mean, difference, None, None, "cannot tell", n, unscored, groups, None)
    half = t_quantile((1 + LEVEL) / 2, groups - 1) * error
    low, high = difference - half, difference + half
    verdict = _verdict(low, high, margin)
    needed = _needed(n, difference, error)
    return Comparison(base_mean, tuned_mean, difference, low, high, verdict, n, unscored, groups, needed)


def in_words(result: Comparison) -> str:
    """A comparison as one clause, with why it cannot tell and how many questions could.

    >>> in_words(compare([0.5, 0.6, 0.4, 0.5], [0.7, 0.9, 0.7, 0.6]))
    '+0.225 [+0.073, +0.377]: better'
    """
    if result.difference is None:
        return f"{result.verdict} (nothing was scored in both)"
    if result.low is None or result.high is None:
        return f"{result.difference:+.3f}: {result.verdict} (all questions are about one page)"
    told = f"{result.difference:+.3f} [{result.low:+.3f}, {result.high:+.3f}]: {result.verdict}"
    if result.low == result.high == 0:
        return f"{told} (the same in every question)"
    if result.verdict == "cannot tell" and result.n_needed is not None:
        return f"{told} (about {result.n_needed:,} questions could)"
    return told


def _number(value: Value) -> float | None:
    number = value.value if isinstance(value, Score) else value
    if number is not None and not math.isfinite(number):
        raise InputError(f"A score is {number}; give None for an answer that was not scored.")
    return number


def _clustered_error(differences: Sequence[tuple[float, Hashable]], mean: float) -> tuple[float | None, int]:
    """Standard error of the mean difference, and the number of clusters; None with fewer than two of them."""
    sums: dict[Hashable, float] = defaultdict(float)
    for difference, name in differences:
        sums[name] += difference - mean
    groups = len(sums)
    if groups < 2:
        return None, groups
    variance = math.fsum(total * total for total in sums.values()) / len(differences) ** 2
    return math.sqrt(variance * groups / (groups - 1)), groups


def _verdict(low: float, high: float, margin: float | None) -> str:
    if margin is not None and -margin <= low and high <= margin:
        return "no meaningful difference"
    if low > 0:
        return "better"
    return "worse" if high < 0 else "cannot tell"


def _needed(n: int, difference: float, error: float) -> int | None:
    """Questions that would show this difference with 80 % power, if the spread stays as it is."""
    if abs(difference) < 1e-9:
        return None
    z = t_quantile((1 + LEVEL) / 2, math.inf) + t_quantile(POWER, math.inf)
    return max(2, math.ceil(n * (z * error / abs(difference)) ** 2))


def t_quantile(probability: float, degrees: float) -> float:
    """The value that Student's t stays below with `probability`, for `degrees` of freedom (may be infinite).

    >>> round(t_quantile(0.975, 9), 6), round(t_quantile(0.975, math.inf), 6)
    (2.262157, 1.959964)
    """
    if probability < 0.5:
        return -t_quantile(1 - probability, degrees)
    high = 1.0
    while _t_cumulative(high, degrees) < probability:
        high *= 2
    return _bisect(lambda x: _t_cumulative(x, degrees) - probability, 0.0, high)


def _bisect(function: Callable[[float], float], low: float, high: float) -> float:
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return (low + high) / 2


def _t_cumulative(t: float, degrees: float) -> float:
    """P(T ≤ t) for t ≥ 0, by the incomplete beta function."""
    if math.isinf(degrees):
        return 0.5 * (1 + math.erf(t / math.sqrt(2)))
    return 1 - 0.5 * _incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t))


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
