"""Adds to `clustered` the verdict: is one arm better than another, or can these questions not tell?"""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minirag.clustered import LEVEL, Estimate, Floats, clustered_mean, t_quantile
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
POWER = 0.8
"""The share of evaluations that should show a difference that is there."""
Value = float | Score | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The mean paired difference (second arm − first), its 95 % interval, and what it allows to say.

    `verdict`: `better`, `worse`, `no meaningful difference` (the interval lies inside the margin) or `cannot tell`;
    `why` adds the reason where there is one. `n` questions were scored in both arms, `n_unscored` were not; `unscored`
    counts the missing scores by arm and reason, and had they been judged the difference would lie between `worst` and
    `best`. `detectable` is the smallest true difference that four of five such evaluations would show, `n_needed` how
    many questions would show the difference seen (None where that cannot be estimated).
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
    n_needed: int | None = None
    detectable: float | None = None
    p_value: float | None = None
    unscored: Mapping[str, Mapping[str, int]]
    worst: float | None
    best: float | None


def compare(
    base: Sequence[Value],
    tuned: Sequence[Value],
    *,
    clusters: Sequence[Hashable] | None = None,
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
    bounds = [
        float(np.mean(np.where(holes[1], low, second) - np.where(holes[0], 1 - low, first))) if len(both) else None
        for low in (0.0, 1.0)
    ]
    nothing = Comparison(
        verdict="cannot tell",
        why="nothing was scored in both",
        n=0,
        n_unscored=int(np.count_nonzero(~both)),
        n_clusters=0,
        unscored={arms[0]: unscored_reasons(base), arms[1]: unscored_reasons(tuned)},
        worst=bounds[0],
        best=bounds[1],
    )
    if not both.any():
        return nothing
    mean = clustered_mean((second - first)[both], list(compress(pages, both)))
    needed = None if mean.error is None else n_needed(mean.value, mean.error, mean.degrees, mean.n)
    verdict, why = _verdict(mean, too_many_unscored(*holes, arms), needed, margin)
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
        n_needed=needed,
        detectable=None if mean.error is None else detectable(mean.error, mean.degrees),
        p_value=mean.p_value,
    )


def _verdict(mean: Estimate, unscored: str, needed: int | None, margin: float | None) -> tuple[str, str]:
    """Return the verdict, and its reason if there is more to say."""
    if mean.low is None or mean.high is None:
        return "cannot tell", "all questions are about one page"
    if unscored:
        return "cannot tell", unscored
    same = "the same in every question" if mean.error == 0 else ""
    if margin is not None and -margin <= mean.low and mean.high <= margin:
        return "no meaningful difference", same
    if mean.low <= 0 <= mean.high:
        return "cannot tell", same or (f"about {needed:,} questions could" if needed is not None else "")
    if same and mean.n_clusters < FEWEST_CLUSTERS:
        return "cannot tell", f"{same}, and there are too few"
    return ("better" if mean.low > 0 else "worse"), same


def in_words(result: Comparison) -> str:
    """Return a comparison as one clause, with the reason for its verdict.

    >>> in_words(compare([0.5, 0.6, 0.4, 0.5], [0.7, 0.9, 0.7, 0.6]))
    '+0.225 [+0.073, +0.377]: better'
    >>> in_words(compare([0.5, 0.6, 0.4, 0.5], [0.7, None, 0.7, 0.6]))
    '+0.200 [-0.048, +0.448]: cannot tell (1 of 4 answers of tuned are unscored)'
    """
    why = f" ({result.why})" if result.why else ""
    if result.difference is None:
        return f"{result.verdict}{why}"
    interval = "" if result.low is None else f" [{result.low:+.3f}, {result.high:+.3f}]"
    return f"{result.difference:+.3f}{interval}: {result.verdict}{why}"


def comparisons(comparison: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield (metric, arm, the tuned model's comparison with it) of all that a `comparison.json` holds."""
    for metric, one in comparison["metrics"].items():
        yield metric, "base", one
        for arm in COMPARED[1:]:
            if f"tuned_against_{arm}" in one:
                yield metric, arm, one[f"tuned_against_{arm}"]
    for name, one in comparison["ragas_score_compared"].items():
        yield "ragas_score", name.removeprefix("tuned_against_"), one


# -- scores as numbers -------------------------------------------------------------------------------------


def cluster_names(
    base: Sequence[Value], tuned: Sequence[Value], clusters: Sequence[Hashable] | None
) -> Sequence[Hashable]:
    """Return the clusters, or each question its own. Raises InputError where the lengths differ."""
    names: Sequence[Hashable] = clusters if clusters is not None else range(len(base))
    if not len(base) == len(tuned) == len(names):
        raise InputError(f"Cannot pair {len(base)} scores with {len(tuned)}; both arms need the same questions.")
    return names


def numbers(values: Sequence[Value]) -> Floats:
    """Return scores as numbers (n,), nan for unscored. Raises InputError for a score that is no finite number.

    >>> numbers([0.5, None, Score(0.25)]).tolist()
    [0.5, nan, 0.25]
    """
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


# -- how many questions ------------------------------------------------------------------------------------


def detectable(error: float, degrees: float) -> float:
    """Return the smallest true difference that four of five evaluations show (Bloom 1995).

    >>> round(detectable(0.03, 39), 3)
    0.086
    """
    return (t_quantile((1 + LEVEL) / 2, degrees) + t_quantile(POWER, degrees)) * error


def n_needed(difference: float, error: float, degrees: float, n: int) -> int | None:
    """Return how many questions would make `difference` detectable, if spread and clusters stay as in these `n`.

    None where the difference is 0: no number shows it.

    >>> n_needed(0.05, 0.03, 35, 36)
    104
    """
    if abs(difference) < 1e-9:
        return None

    def is_enough(questions: int) -> bool:
        degrees_then = max(1.0, (degrees + 1) * questions / n - 1)
        return n * (detectable(error, degrees_then) / difference) ** 2 <= questions

    high = 2
    while not is_enough(high):
        high *= 2
    return bisect_left(range(high), True, lo=max(2, high // 2), key=is_enough)


def plan_detectable(questions: int, per_page: float, *, spread: float, correlation: float) -> float | None:
    """Return the smallest difference that so many questions can show, before anything is judged.

    `spread` is the assumed standard deviation of a question's paired difference, `correlation` that of two
    differences on one page, 0 to 1 (Kish's design effect). None with fewer than two pages; InputError for values that
    cannot be.

    >>> round(plan_detectable(40, 5, spread=0.25, correlation=0.3), 3)
    0.191
    """
    if questions < 1 or per_page < 1 or spread < 0 or not 0 <= correlation <= 1:
        raise InputError(
            f"Cannot plan for {questions} questions, {per_page} a page, spread {spread} and correlation {correlation}; "
            "give at least one of each, and a correlation between 0 and 1."
        )
    pages = questions / per_page
    if pages < 2:
        return None
    return detectable(spread * math.sqrt((1 + (per_page - 1) * correlation) / questions), pages - 1)
