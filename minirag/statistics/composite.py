"""The paired comparison of `ragas_score`, which belongs to an arm and not to a question."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from minirag.clustered import Floats
from minirag.comparison import (
    Comparison,
    Value,
    cluster_names,
    compare,
    numbers,
    too_many_unscored,
    unscored_reasons,
)
from minirag.errors import InputError
from minirag.metrics.score import Score, ragas_score


def compare_ragas_score(
    scores: Mapping[str, tuple[Sequence[Value], Sequence[Value]]],
    *,
    clusters: Sequence[Hashable] | None = None,
    margin: float | None = None,
    arms: tuple[str, str] = ("base", "tuned"),
) -> Comparison:
    """Compare two arms' harmonic means of several metrics: {metric: (base scores, tuned scores)}, same questions.

    Each metric's means are over the questions scored in both arms. The interval is that of the difference linearised
    at the means (delta method; the infinitesimal jackknife of Efron 1982). A question counts as unscored in an arm
    where one of its metrics is. No interval where a mean is 0: the harmonic mean has a corner there. Raises InputError
    for sequences of different length.

    >>> result = compare_ragas_score({"f": ([0.5, 0.7, 0.6], [0.8, 0.9, 0.7]), "r": ([0.9, 0.9, 0.8], [0.9, 0.9, 0.9])})
    >>> round(result.base_mean, 4), round(result.tuned_mean, 4), round(result.difference, 4)
    (0.7091, 0.8471, 0.138)
    """
    if not scores:
        raise InputError("There is no metric to compare; name at least one.")
    for base, tuned in scores.values():
        pages = cluster_names(base, tuned, clusters)
    values = np.array([[numbers(pair[arm]) for pair in scores.values()] for arm in (0, 1)])  # (arms, metrics, n)
    paired = ~np.isnan(values).any(axis=0)
    holes = np.isnan(values).any(axis=1)
    bounds = [_filled_score(values[1], low) - _filled_score(values[0], 1 - low) for low in (0.0, 1.0) if len(pages)]
    nothing = Comparison(
        verdict="cannot tell",
        why="nothing was scored in both",
        n=0,
        n_unscored=int(np.count_nonzero(holes.any(axis=0))),
        n_clusters=0,
        unscored={name: _reasons([pair[arm] for pair in scores.values()]) for arm, name in enumerate(arms)},
        worst=bounds[0] if bounds else None,
        best=bounds[1] if bounds else None,
    )
    if not paired.any(axis=1).all():
        return nothing
    used = paired.any(axis=0)
    first, second = _shares(values[:, :, used], paired[:, used])
    result = compare(list(first), list(second), clusters=list(compress(pages, used)), margin=margin, arms=arms)
    if min(float(first.mean()), float(second.mean())) <= 0:
        return replace(
            nothing,
            base_mean=result.base_mean,
            tuned_mean=result.tuned_mean,
            difference=result.difference,
            n=result.n,
            why="the mean of a metric is 0, and ragas_score with it",
        )
    if result.low is not None and (why := too_many_unscored(holes[0], holes[1], arms)):
        result = replace(result, verdict="cannot tell", why=why)
    return replace(
        result, n_unscored=nothing.n_unscored, unscored=nothing.unscored, worst=nothing.worst, best=nothing.best
    )


def _shares(values: Floats, paired: NDArray[np.bool_]) -> Floats:
    """Return (2 arms, n): what each question adds to an arm's harmonic mean, so that its mean is the harmonic mean.

    `values` is (2 arms, metrics, n), `paired` (metrics, n) marks what is scored in both arms.
    """
    counts = np.count_nonzero(paired, axis=1)
    means = np.where(paired, values, 0.0).sum(axis=2) / counts
    together = np.array([[ragas_score(arm.tolist()) or 0.0] for arm in means])
    if together.min() == 0:
        return np.repeat(together, values.shape[2], axis=1)
    slopes = together**2 / len(counts) / means**2
    moves = np.where(paired, values - means[:, :, None], 0.0) * (values.shape[2] / counts)[:, None]
    return np.asarray(together + np.einsum("am,amn->an", slopes, moves))


def _reasons(metrics: Sequence[Sequence[Value]]) -> dict[str, int]:
    """Return an arm's reasons for unscored questions, each for the reason of its first unscored metric."""
    scored = Score(1.0)
    rows = [
        [value if isinstance(value, Score) else Score(value) for value in row] for row in zip(*metrics, strict=True)
    ]
    return unscored_reasons([next((score for score in row if score.value is None), scored) for row in rows])


def _filled_score(values: Floats, score: float) -> float:
    """Return one arm's harmonic mean over metrics (metrics, n), had each missing score been `score`."""
    return ragas_score(np.where(np.isnan(values), score, values).mean(axis=1).tolist()) or 0.0
