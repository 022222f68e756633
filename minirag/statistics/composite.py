"""The paired comparison of `ragas_score`, which belongs to an arm and not to a question."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from minirag.metrics.comparison import Comparison, Value, cluster_names, compare, numbers
from minirag.metrics.score import Score, ragas_score


def compare_ragas_score(
    scores: Mapping[str, tuple[Sequence[Value], Sequence[Value]]],
    *,
    clusters: Sequence[Hashable] | None = None,
    margin: float | None = None,
    arms: tuple[str, str] = ("base", "tuned"),
) -> Comparison:
    """Compare two arms' harmonic means of several metrics: {metric: (base scores, tuned scores)}, same questions.

    The means are over the questions that have every metric in both arms. The interval is that of the difference
    linearised at the means (delta method; the infinitesimal jackknife of Efron 1982). No interval where a mean is 0:
    the harmonic mean has a corner there. Raises InputError for sequences of different length.

    >>> result = compare_ragas_score({"f": ([0.5, 0.7, 0.6], [0.8, 0.9, 0.7]), "r": ([0.9, 0.9, 0.8], [0.9, 0.9, 0.9])})
    >>> round(result.base_mean, 4), round(result.tuned_mean, 4), round(result.difference, 4)
    (0.7091, 0.8471, 0.138)
    """
    for base, tuned in scores.values():
        cluster_names(base, tuned, clusters)
    values = np.array([[numbers(pair[arm]) for pair in scores.values()] for arm in (0, 1)])  # (arms, metrics, n)
    complete = ~np.isnan(values).any(axis=(0, 1))
    shares, together = [], []
    for arm in (0, 1):
        means = values[arm][:, complete].mean(axis=1) if complete.any() else np.zeros(len(scores))
        score = ragas_score(means.tolist()) or 0.0
        slopes = score**2 / len(means) / means**2 if score else np.zeros(len(means))
        # what each question adds to the harmonic mean, which is the mean of these shares
        of_questions = score + slopes @ (values[arm] - means[:, None])
        columns = [pair[arm] for pair in scores.values()]
        shares.append([_share(float(of_questions[i]), [column[i] for column in columns]) for i in range(len(complete))])
        together.append(score)
    result = compare(*shares, clusters=clusters, margin=margin, arms=arms)
    if result.n and min(together) == 0:
        why = "the mean of a metric is 0, and ragas_score with it"
        result = replace(result, low=None, high=None, error=None, p_value=None, verdict="cannot tell", why=why)
    if not result.n_unscored:
        return result
    # each missing score as the 0 or 1 that lowers or raises the difference most
    filled = [np.where(np.isnan(values), fill, values).mean(axis=2).tolist() for fill in (0.0, 1.0)]
    lowest, highest = ([ragas_score(means) or 0.0 for means in each] for each in filled)
    return replace(result, worst=lowest[1] - highest[0], best=highest[1] - lowest[0])


def _share(share: float, metrics: Sequence[Value]) -> Value:
    """Return a question's share, or the first of its unscored metrics."""
    for value in metrics:
        if value is None or (isinstance(value, Score) and value.value is None):
            return value
    return share
