"""Row 7. The paired comparison of `ragas_score`, which belongs to an arm and not to a question."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from minirag.comparison import Comparison, cluster_names, judged, nothing_scored
from minirag.errors import InputError
from minirag.evaluation import ragas_score
from minirag.statistics.clustered import Floats
from minirag.statistics.unscored import Missing, Value, missing, number, numbers

Pairs = Mapping[str, tuple[Sequence[Value], Sequence[Value]]]


def compare_ragas_score(
    scores: Pairs,
    *,
    clusters: Sequence[Hashable] | None = None,
    margin: float | None = None,
    arms: tuple[str, str] = ("base", "tuned"),
) -> Comparison:
    """Compare two arms' harmonic means of several metrics: {metric: (base scores, tuned scores)}, same questions.

    Each metric's means are over the questions scored in both arms. The interval is that of the difference
    linearised at the means (delta method; the infinitesimal jackknife of Efron 1982): every question gets the share
    by which it moves the two harmonic means, and these are compared as any paired differences are. A question
    counts as unscored in an arm where one of its metrics is. No interval where a mean is 0: the harmonic mean has a
    corner there. Raises InputError for sequences of different length.

    >>> result = compare_ragas_score({"f": ([0.5, 0.7, 0.6], [0.8, 0.9, 0.7]), "r": ([0.9, 0.9, 0.8], [0.9, 0.9, 0.9])})
    >>> round(result.base_mean, 4), round(result.tuned_mean, 4), round(result.difference, 4)
    (0.7091, 0.8471, 0.138)
    """
    if not scores:
        raise InputError("There is no metric to compare; name at least one.")
    for base, tuned in scores.values():
        pages = cluster_names(base, tuned, clusters)
    values = np.array([[numbers(pair[arm]) for pair in scores.values()] for arm in (0, 1)])
    lost = _missing(scores, values, arms)
    paired = ~np.isnan(values).any(axis=0)
    if not paired.any(axis=1).all():
        return nothing_scored(lost)
    used = paired.any(axis=0)
    means, shares = _linearised(values[:, :, used], paired[:, used])
    if min(means) == 0:
        return replace(
            nothing_scored(lost),
            base_mean=means[0],
            tuned_mean=means[1],
            difference=means[1] - means[0],
            n=int(np.count_nonzero(used)),
            why="the mean of a metric is 0, and ragas_score with it",
        )
    return judged(means, shares, list(compress(pages, used)), lost, margin)


def _linearised(values: Floats, paired: NDArray[np.bool_]) -> tuple[tuple[float, float], Floats]:
    """Both arms' harmonic means, and each question's share (n,) of their difference, whose mean is the difference.

    `values` is (2 arms, metrics, n), `paired` (metrics, n) marks what is scored in both arms.
    """
    counts = np.count_nonzero(paired, axis=1)
    means = np.where(paired, values, 0.0).sum(axis=2) / counts
    first, second = (ragas_score(arm.tolist()) or 0.0 for arm in means)
    if min(first, second) == 0:
        return (first, second), np.zeros(values.shape[2])
    slopes = np.array([[first], [second]]) ** 2 / len(counts) / means**2
    moved = np.where(paired, values - means[:, :, None], 0.0) * (values.shape[2] / counts)[:, None]
    shares = np.einsum("am,amn->an", slopes, moved)
    return (first, second), second - first + shares[1] - shares[0]


def _missing(scores: Pairs, values: Floats, arms: tuple[str, str]) -> Missing:
    """What is unscored by question, for the reason of its first unscored metric; `values` is (2, metrics, n)."""
    rows = [zip(*(pair[arm] for pair in scores.values()), strict=True) for arm in (0, 1)]
    base, tuned = ([next((score for score in row if number(score) is None), 1.0) for row in arm] for arm in rows)
    if not base:
        return missing(base, tuned, arms)
    worst, best = (_filled(values[1], low) - _filled(values[0], 1 - low) for low in (0.0, 1.0))
    return replace(missing(base, tuned, arms), worst=worst, best=best)


def _filled(values: Floats, score: float) -> float:
    """One arm's harmonic mean over metrics (metrics, n), had each missing score been `score`."""
    return ragas_score(np.where(np.isnan(values), score, values).mean(axis=1).tolist()) or 0.0
