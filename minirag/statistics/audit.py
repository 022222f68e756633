"""A person against the judge: how far they agree, and every mean and difference corrected by the person's labels.

The judge has seen every statement and may be biased; a person is right and has seen a few. Together they give an
interval that is as right as the person's and, where the judge is worth anything, narrower (prediction-powered
inference). The mean faithfulness of an arm is a weighted sum over its statements (1 ÷ the statements of the answer ÷
the answers), which is what lets a random sample of labelled statements correct it.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from minirag.metrics.comparison import (
    FEWEST_CLUSTERS,
    LEVEL,
    ROUNDING,
    Estimate,
    Floats,
    cluster_numbers,
    satterthwaite,
)
from minirag.metrics.score import Scores
from minirag.statistics.labels import METRIC, Claim, Labels, claims
from minirag.statistics.power import figures

FEWEST_LABELS = 10
"""Labels, of all arms and then of each, from which a correction is worth printing."""
FEWEST_EACH = 5
"""Labels of either kind, yes and no, from which an arm's labels are many enough for a normal interval."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """A mean or difference: by the `judge` alone, and the `value` after correction by `labels` with its interval."""

    judge: float
    value: float
    low: float
    high: float
    labels: int
    n_clusters: int


@dataclass(frozen=True, slots=True)
class Audit:
    """What a person's labels of `n` statements say of the judge, of each arm's mean, and of the differences to tuned.

    Judge and person `agreed` on so many; `too_kind` is what only the judge supported, `too_strict` the reverse. `kappa`
    is 1 where they always agree, 0 where they do as by chance, None where both gave one and the same label throughout.
    """

    n: int
    agreed: int
    kappa: float | None
    too_kind: int
    too_strict: int
    arms: Mapping[str, Corrected | None]
    differences: Mapping[str, Corrected]


def audit(scores: Scores, labels: Labels, pages: Mapping[str, Hashable], against: Sequence[str] = ()) -> Audit | None:
    """Confront the judge with a person; None with fewer than `FEWEST_LABELS`. `pages` gives each question id's page.

    Differences are to each arm of `against`, over the questions that both arms have scores for.
    """
    judged = claims(scores)
    labelled = [claim for claim in judged if labels.get(claim.key) is not None]
    if len(labelled) < FEWEST_LABELS:
        return None
    pairs = [(claim.supported > 0.5, bool(labels[claim.key])) for claim in labelled]
    kind, strict = pairs.count((True, False)), pairs.count((False, True))
    means = {arm: _corrected(judged, arm, labels, pages) for arm in dict.fromkeys(claim.arm for claim in judged)}
    differences = {}
    for arm in against:
        questions = [{claim.question_id for claim in judged if claim.arm == name} for name in (arm, "tuned")]
        paired = claims(scores, questions[0] & questions[1])
        first, second = (_corrected(paired, name, labels, pages) for name in (arm, "tuned"))
        if first and second:
            differences[arm] = _difference(first, second)
    agreed = len(pairs) - kind - strict
    return Audit(len(pairs), agreed, cohens_kappa(pairs), kind, strict, means, differences)


def _difference(first: Corrected, second: Corrected) -> Corrected:
    """Return second − first, each with an interval of any shape (Zou and Donner 2008).

    The arms count as independent, which makes the interval no shorter where their questions are alike.
    """
    value = second.value - first.value
    return Corrected(
        judge=second.judge - first.judge,
        value=value,
        low=value - math.hypot(second.value - second.low, first.high - first.value),
        high=value + math.hypot(second.high - second.value, first.value - first.low),
        labels=first.labels + second.labels,
        n_clusters=min(first.n_clusters, second.n_clusters),
    )


def cohens_kappa(pairs: Sequence[tuple[bool, bool]]) -> float | None:
    """Return (agreement − chance) ÷ (1 − chance), chance being that of two who label at these rates blindly.

    >>> cohens_kappa([(True, True)] * 4 + [(True, False)] + [(False, False)] * 5)
    0.8
    """
    n, (first, second) = len(pairs), map(sum, zip(*pairs, strict=True))
    agreed = sum(one == other for one, other in pairs)
    by_chance = first * second + (n - first) * (n - second)  # of n² pairs of any label with any other
    return None if by_chance == n**2 else (n * agreed - by_chance) / (n**2 - by_chance)


def exact_interval(successes: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a probability that gave so many successes in `n` (Clopper and Pearson 1934).

    >>> [round(end, 3) for end in exact_interval(3, 3)]
    [0.292, 1.0]
    """

    def low(successes: int) -> float:
        ends = [0.0, 1.0]  # the chance of as many successes rises from one to the other
        is_few = 2 * successes <= n  # then the chance of fewer has the shorter sum
        for _ in range(60 if successes else 0):
            p = sum(ends) / 2
            counts = range(successes) if is_few else range(successes, n + 1)
            chance = math.fsum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in counts)
            ends[(1 - chance if is_few else chance) > (1 - LEVEL) / 2] = p
        return ends[0]

    return low(successes), 1 - low(n - successes)


def _corrected(judged: Sequence[Claim], arm: str, labels: Labels, pages: Mapping[str, Hashable]) -> Corrected | None:
    """Return an arm's corrected mean faithfulness; None with too few labels of that arm."""
    statements = [claim for claim in judged if claim.arm == arm]
    person = np.array([labels.get(claim.key) for claim in statements], dtype=np.float64)  # None becomes nan
    labelled = ~np.isnan(person)
    n = int(np.count_nonzero(labelled))
    if n < FEWEST_LABELS:
        return None
    judge, weights = (np.array([getattr(claim, name) for claim in statements]) for name in ("supported", "weight"))
    # times their number, the weighted verdicts have that sum as their mean
    scale = len(statements) * weights
    mean = corrected_mean(scale * judge, scale * person, [pages[claim.question_id] for claim in statements])
    value, (low, high) = mean.value, mean.interval
    yes = int(np.count_nonzero(person == 1))
    if min(yes, n - yes) < FEWEST_EACH and mean.n_clusters > 1:
        # the exact interval of the labels alone, of which uneven weights leave fewer (Kish 1965)
        share = weights[labelled] / weights[labelled].sum()
        value = float(share @ person[labelled])
        count = math.floor(1 / float(share @ share) + ROUNDING)
        low = exact_interval(math.floor(value * count + ROUNDING), count)[0]
        high = exact_interval(math.ceil(value * count - ROUNDING), count)[1]
    elif np.all(person[labelled] == judge[labelled]):
        # where person and judge never disagree there is no spread to go by: widen by what may be missed
        missed = exact_interval(0, n)[1]
        low, high = low - missed, high + missed
    value, low, high = np.clip([value, low, high], 0.0, 1.0).tolist()
    return Corrected(float(weights @ judge), value, low, high, n, mean.n_clusters)


def corrected_mean(judge: Floats, person: Floats, clusters: Sequence[Hashable]) -> Estimate:
    """Correct the judge's mean (n,) by a person's scores of some (n,), nan for the others, at least two.

    The labelled must be a random sample. PPI++ (Angelopoulos, Duchi and Zrnic 2023), tuned for the shortest interval,
    with the spread taken between clusters; the labelled being among the judged, it is the regression estimator of
    double sampling (Cochran 1977, chapter 12).

    >>> judge = np.array([0.9, 0.8, 0.7, 0.9, 0.6, 0.8, 1.0, 0.7])
    >>> round(corrected_mean(judge, np.array([0.7, 0.6, 0.5, 0.7, *[np.nan] * 4]), range(8)).value, 3)
    0.6
    """
    labelled = ~np.isnan(person)
    n = int(np.count_nonzero(labelled))
    # how much the judge is trusted: the slope of the person's scores on the judge's, 0 to 1
    by_judge, by_person = judge[labelled], person[labelled]
    spread = float(np.var(by_judge))
    covariance = float(np.mean((by_judge - by_judge.mean()) * (by_person - by_person.mean())))
    trust = min(1.0, max(0.0, covariance / spread)) if spread > 1e-12 else 0.0
    value = float(by_person.mean()) - trust * float(by_judge.mean() - judge.mean())
    # each statement moves the figure by what it adds to these means; the moves are summed by cluster. Leverage and
    # degrees of freedom are those of the labelled, of which there are fewer; the fitted trust costs one of them
    groups = cluster_numbers(clusters)
    share = np.bincount(groups, labelled) / n
    if np.count_nonzero(share) < 2:
        return Estimate(value, math.inf, 1.0, n, 1)
    rest = np.where(labelled, person - trust * judge, 0.0)
    moves = np.where(labelled, rest - rest[labelled].mean(), 0.0) / n + trust * (judge - judge.mean()) / len(judge)
    variance = float(np.sum(np.bincount(groups, moves) ** 2 / (1 - share)))
    error = math.sqrt(variance * (n / (n - 1) if trust else 1.0))
    degrees = satterthwaite(share[share > 0], share[share > 0])
    return Estimate(value, error, degrees, n, int(np.count_nonzero(share)))


def audit_in_words(result: Audit) -> list[str]:
    """Return a sentence on the judge, then one for each arm and difference that could be corrected."""
    kappa = "" if result.kappa is None else f", kappa {result.kappa:.3f}"
    sentences = [
        f"judge against person on {result.n} statements: {result.agreed} alike{kappa}; "
        f"too kind {result.too_kind} times, too strict {result.too_strict} times"
    ]
    for arm, one in result.arms.items():
        if one is None:
            sentences.append(f"{METRIC} of {arm}: fewer than {FEWEST_LABELS} labels, which correct nothing")
        else:
            sentences.append(
                f"{METRIC} of {arm}, corrected by {one.labels} labels: {figures(one.value, one.low, one.high)} "
                f"(the judge alone {one.judge:.3f})"
            )
    for arm, one in result.differences.items():
        verdict = "better" if one.low > 0 else "worse" if one.high < 0 else "cannot tell"
        if one.n_clusters < FEWEST_CLUSTERS:
            verdict = "cannot tell"
        sentences.append(
            f"{METRIC}, tuned against {arm}, corrected by {one.labels} labels: "
            f"{figures(one.value, one.low, one.high, sign='+')}: {verdict} (the judge alone {one.judge:+.3f})"
        )
    return sentences
