"""Row 7. Is one arm better than another, or can these questions not tell? Paired, clustered, with an interval."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np

from minirag.errors import InputError
from minirag.statistics.clustered import LEVEL, Estimate, Floats, clustered_mean, sign_flip_p
from minirag.statistics.power import detectable, n_needed
from minirag.statistics.unscored import Missing, Value, missing, numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The mean paired difference (second arm − first), its 95 % interval, and what it allows to say.

    `verdict`: `better`, `worse`, `no meaningful difference` (the interval lies inside the stated margin) or
    `cannot tell`; `why` adds the reason where there is one. `n` questions were scored in both arms, `n_unscored`
    were not, `unscored` counts the missing scores by arm and reason, and had they been judged the difference would lie
    between `worst` and `best`. `detectable` is the smallest true difference that four of five such evaluations would
    show, and `n_needed` how many questions would do so for the difference seen (None where that cannot be estimated).
    `p_value` is of the clustered t test, `p_permutation` of the sign flips of whole clusters beside it.
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
    p_permutation: float | None = None
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

    `clusters` names the source page of each question (default: each its own). `margin` is the smallest
    difference that would matter to you. `arms` is what the two are called where it says why it cannot tell. Method:
    `clustered_mean` of the paired differences. Raises InputError for sequences of different length.

    >>> result = compare([0.5, 0.6, 0.4, 0.5], [0.7, 0.9, 0.7, 0.6])
    >>> round(result.difference, 3), result.verdict
    (0.225, 'better')
    """
    pages = cluster_names(base, tuned, clusters)
    lost = missing(base, tuned, arms)
    first, second = numbers(base), numbers(tuned)
    both = ~np.isnan(second - first)
    if not both.any():
        return nothing_scored(lost)
    means = float(np.mean(first[both])), float(np.mean(second[both]))
    return judged(means, (second - first)[both], list(compress(pages, both)), lost, margin)


def cluster_names(
    base: Sequence[Value], tuned: Sequence[Value], clusters: Sequence[Hashable] | None
) -> Sequence[Hashable]:
    """The clusters, or each question its own. Raises InputError where the lengths differ."""
    names: Sequence[Hashable] = clusters if clusters is not None else range(len(base))
    if not len(base) == len(tuned) == len(names):
        raise InputError(f"Cannot pair {len(base)} scores with {len(tuned)}; both arms need the same questions.")
    return names


def nothing_scored(lost: Missing) -> Comparison:
    """The comparison where no question was scored in both arms."""
    return Comparison(
        verdict="cannot tell",
        why="nothing was scored in both",
        n=0,
        n_unscored=lost.questions,
        n_clusters=0,
        unscored=lost.reasons,
        worst=lost.worst,
        best=lost.best,
    )


def judged(
    means: tuple[float, float], differences: Floats, clusters: Sequence[Hashable], lost: Missing, margin: float | None
) -> Comparison:
    """The comparison that the paired differences (n,) of the scored questions allow."""
    mean = clustered_mean(differences, clusters)
    p_permutation = sign_flip_p(differences, clusters)
    needed = None if mean.error is None else n_needed(mean.value, mean.error, mean.degrees, mean.n)
    verdict, why = _verdict(mean, p_permutation, lost.why, needed, margin)
    return Comparison(
        base_mean=means[0],
        tuned_mean=means[1],
        difference=mean.value,
        low=mean.low,
        high=mean.high,
        verdict=verdict,
        why=why,
        n=mean.n,
        n_unscored=lost.questions,
        n_clusters=mean.n_clusters,
        n_needed=needed,
        detectable=None if mean.error is None else detectable(mean.error, mean.degrees),
        p_value=mean.p_value,
        p_permutation=p_permutation,
        unscored=lost.reasons,
        worst=lost.worst,
        best=lost.best,
    )


def _verdict(
    mean: Estimate, p_permutation: float, lost: str, needed: int | None, margin: float | None
) -> tuple[str, str]:
    """The verdict and why, if there is more to say."""
    if mean.low is None or mean.high is None:
        return "cannot tell", "all questions are about one page"
    if lost:
        return "cannot tell", lost
    same = "the same in every question" if mean.error == 0 else ""
    if margin is not None and -margin <= mean.low and mean.high <= margin:
        return "no meaningful difference", same
    if mean.low <= 0 <= mean.high:
        return "cannot tell", same or (f"about {needed:,} questions could" if needed is not None else "")
    if same and p_permutation > 1 - LEVEL:  # an interval without width, from a few values that happen to be equal
        return "cannot tell", f"{same}, and there are too few"
    return ("better" if mean.low > 0 else "worse"), same


def in_words(result: Comparison) -> str:
    """A comparison as one clause, with why it cannot tell and how many questions could.

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
