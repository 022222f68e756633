"""Row 7. A judge's mean corrected by a person's labels: prediction-powered inference.

The judge has seen every answer and may be biased; a person is right and has seen a few. Together they give an
interval that is as right as the person's and, where the judge is worth anything, narrower.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np

from minirag.comparison import cluster_names
from minirag.statistics.clustered import Estimate, Floats, clustered_mean, codes, estimate, satterthwaite
from minirag.statistics.unscored import Value, numbers


@dataclass(frozen=True, slots=True)
class Corrected:
    """One mean four ways: by the `judge` over all, by the `person` over the labelled, both together (`corrected`),
    and how far the judge is above the person where both judged (`bias`). `weight` is how much the judge is
    trusted, 0 to 1: 0 leaves the person's labels alone.
    """

    judge: Estimate
    person: Estimate
    corrected: Estimate
    bias: Estimate
    weight: float


def corrected_mean(
    judge: Sequence[Value], person: Sequence[Value], *, clusters: Sequence[Hashable] | None = None
) -> Corrected | None:
    """Correct the judge's mean score of all questions by a person's scores of some, None for the others.

    The labelled questions must be a random sample. What the judge left unscored is left out. None with fewer than
    two labelled. PPI++ (Angelopoulos, Duchi and Zrnic 2023), tuned for the shortest interval, with the spread taken
    between clusters; the labelled being among the judged, it is the regression estimator of double sampling
    (Cochran 1977, chapter 12).

    >>> judge = [0.9, 0.8, 0.7, 0.9, 0.6, 0.8, 1.0, 0.7]
    >>> result = corrected_mean(judge, [0.7, 0.6, 0.5, 0.7, None, None, None, None])
    >>> round(result.judge.value, 3), round(result.person.value, 3), round(result.corrected.value, 3)
    (0.8, 0.625, 0.6)
    """
    return _corrected(numbers(judge), numbers(person), cluster_names(judge, person, clusters))


def corrected_difference(
    judge: tuple[Sequence[Value], Sequence[Value]],
    person: tuple[Sequence[Value], Sequence[Value]],
    *,
    clusters: Sequence[Hashable] | None = None,
) -> Corrected | None:
    """The same for the paired difference: (base, tuned) by the judge, and by a person who labelled both of a pair.

    A judge that is too kind to one arm shows in `bias`.

    >>> judge = ([0.5, 0.6, 0.4, 0.5], [0.7, 0.9, 0.7, 0.6])
    >>> result = corrected_difference(judge, ([0.5, 0.6, 0.3, None], [0.5, 0.7, 0.4, None]))
    >>> round(result.judge.value, 3), round(result.bias.value, 3)
    (0.225, 0.2)
    """
    names = cluster_names(*judge, clusters)
    cluster_names(*person, names)
    by_judge, by_person = (numbers(tuned) - numbers(base) for base, tuned in (judge, person))
    return _corrected(by_judge, by_person, names)


def _corrected(judge: Floats, person: Floats, clusters: Sequence[Hashable]) -> Corrected | None:
    """`corrected_mean` of numbers (n,), nan where unscored or unlabelled."""
    pages = list(compress(clusters, ~np.isnan(judge)))
    judge, person = judge[~np.isnan(judge)], person[~np.isnan(judge)]
    labelled = ~np.isnan(person)
    if np.count_nonzero(labelled) < 2:
        return None
    seen, said = judge[labelled], person[labelled]
    own_pages = list(compress(pages, labelled))
    weight = _weight(seen, said)
    alone = clustered_mean(said, own_pages)
    value = alone.value - weight * float(np.mean(seen) - np.mean(judge))
    return Corrected(
        judge=clustered_mean(judge, pages),
        person=alone,
        corrected=_interval(value, judge, person, weight, pages),
        bias=clustered_mean(seen - said, own_pages),
        weight=weight,
    )


def _weight(judge: Floats, person: Floats) -> float:
    """The slope of the person's scores on the judge's: the trust that makes the interval shortest."""
    spread = float(np.var(judge))
    slope = float(np.mean((judge - np.mean(judge)) * (person - np.mean(person)))) / spread if spread > 1e-12 else 0.0
    return min(1.0, max(0.0, slope))


def _interval(value: float, judge: Floats, person: Floats, weight: float, pages: Sequence[Hashable]) -> Estimate:
    """The interval of person's mean − weight × (judge's mean of the labelled − judge's mean of all).

    Each question moves the figure by what it adds to these means; the moves are summed by cluster. Leverage and
    degrees of freedom are those of the labelled, of which there are fewer; the fitted weight costs one of them.
    """
    labelled, groups = ~np.isnan(person), codes(pages)
    n = int(np.count_nonzero(labelled))
    share = np.bincount(groups, labelled) / n
    if np.count_nonzero(share) < 2:
        return estimate(value, None, 0.0, n, int(np.count_nonzero(share)))
    left = np.where(labelled, person - weight * judge, 0.0)
    moves = np.where(labelled, left - left[labelled].mean(), 0.0) / n + weight * (judge - judge.mean()) / len(judge)
    variance = float(np.sum(np.bincount(groups, moves) ** 2 / (1 - share)))
    fitted = n / (n - 1) if weight else 1.0
    degrees = satterthwaite(share[share > 0], share[share > 0])
    return estimate(value, float(np.sqrt(variance * fitted)), degrees, n, int(np.count_nonzero(share)))
