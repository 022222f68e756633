"""A person against the judge: how far they agree, and every mean and difference corrected by the person's labels.

The judge has seen every statement and may be biased; a person is right and has seen a few. Together they give an
interval that is as right as the person's and, where the judge is worth anything, narrower (prediction-powered
inference). The mean faithfulness of an arm is a weighted sum over its statements (1 ÷ the statements of the answer ÷
the answers), which is what lets a random sample of labelled statements correct it.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from itertools import compress

import numpy as np

from minirag.metrics.comparison import (
    FEWEST_CLUSTERS,
    LEVEL,
    ROUNDING,
    Estimate,
    Floats,
    cluster_numbers,
    clustered_mean,
    estimate,
    satterthwaite,
    t_quantile,
)
from minirag.metrics.score import Scores
from minirag.statistics.labels import METRIC, Claim, Labels, claims

FEWEST_LABELS = 10
"""Labels, of all arms and then of each, from which a correction is worth printing."""
FEWEST_EACH = 5
"""Labels of either kind, yes and no, from which an arm's labels are many enough for a normal interval."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How many of `n` statements judge and person `agreed` on, and how far beyond chance (`kappa`: 1 always, 0 as by
    chance; None where both gave one and the same label throughout).

    `too_kind` counts what the judge supported and the person did not, `too_strict` the reverse.
    """

    n: int
    agreed: int
    kappa: Estimate | None
    too_kind: int
    too_strict: int


@dataclass(frozen=True, slots=True)
class Corrected:
    """One mean three ways: by the `judge` over all, by the `person` over the labelled, and both together."""

    judge: Estimate
    person: Estimate
    corrected: Estimate


@dataclass(frozen=True, slots=True)
class Audit:
    """What a person's labels say: how far the judge agrees, each arm's mean corrected, and the differences."""

    agreement: Agreement
    arms: Mapping[str, Corrected | None]
    differences: Mapping[str, Corrected | None]


def audit(scores: Scores, labels: Labels, pages: Mapping[str, Hashable], against: Sequence[str] = ()) -> Audit | None:
    """Confront the judge with a person; None with fewer than `FEWEST_LABELS`. `pages` gives each question id's page.

    Differences are to each arm of `against`, over the questions that both arms have scores for.
    """
    judged = claims(scores)
    labelled = [claim for claim in judged if labels.get(claim.key) is not None]
    if len(labelled) < FEWEST_LABELS:
        return None
    by_judge, by_person = [claim.supported > 0.5 for claim in labelled], [bool(labels[c.key]) for c in labelled]
    means = {arm: _corrected(judged, arm, labels, pages) for arm in dict.fromkeys(claim.arm for claim in judged)}
    differences: dict[str, Corrected | None] = {}
    for arm in against:
        questions = [{claim.question_id for claim in judged if claim.arm == name} for name in (arm, "tuned")]
        paired = claims(scores, questions[0] & questions[1])
        first, second = (_corrected(paired, name, labels, pages) for name in (arm, "tuned"))
        differences[arm] = None
        if first and second:
            columns = zip(astuple(first), astuple(second), strict=True)
            differences[arm] = Corrected(*(_minus(Estimate(*two), Estimate(*one)) for one, two in columns))
    return Audit(agreement(by_judge, by_person, [pages[c.question_id] for c in labelled]), means, differences)


def _minus(one: Estimate, other: Estimate) -> Estimate:
    """Return the difference of two arms' figures, each with an interval of any shape (Zou and Donner 2008).

    The arms count as independent, which makes the interval no shorter where their questions are alike.
    """
    value, n, clusters = one.value - other.value, one.n + other.n, min(one.n_clusters, other.n_clusters)
    if None in (one.low, one.high, other.low, other.high):
        return Estimate(value, None, None, None, 0.0, n, clusters)
    down = math.hypot(one.value - (one.low or 0.0), (other.high or 0.0) - other.value)
    up = math.hypot((one.high or 0.0) - one.value, other.value - (other.low or 0.0))
    error = math.hypot(one.error or 0.0, other.error or 0.0)
    return Estimate(value, value - down, value + up, error, min(one.degrees, other.degrees), n, clusters)


def agreement(judge: Sequence[bool], person: Sequence[bool], clusters: Sequence[Hashable] | None = None) -> Agreement:
    """Compare two lists of labels of the same statements; `clusters` names the page of each.

    Kappa's error is by the delta method (Fleiss, Cohen and Everitt 1969) between clusters, its interval on Fisher's
    scale artanh(kappa), which keeps it right near 1.

    >>> result = agreement([True] * 5 + [False] * 5, [True] * 4 + [False] * 6)
    >>> result.agreed, round(result.kappa.value, 2), result.too_kind, result.too_strict
    (9, 0.8, 1, 0)
    """
    names: Sequence[Hashable] = clusters if clusters is not None else range(len(judge))
    first, second = np.asarray(judge, dtype=np.float64), np.asarray(person, dtype=np.float64)
    kind, strict = int(np.count_nonzero(first > second)), int(np.count_nonzero(first < second))
    return Agreement(len(judge), len(judge) - kind - strict, _kappa(first, second, names), kind, strict)


def _kappa(judge: Floats, person: Floats, clusters: Sequence[Hashable]) -> Estimate | None:
    """Return (accuracy − chance) ÷ (1 − chance), chance being the agreement of two who label at these rates blindly."""
    p, q, accuracy = float(np.mean(judge)), float(np.mean(person)), float(np.mean(judge == person))
    chance = p * q + (1 - p) * (1 - q)
    if chance == 1:
        return None
    value = (accuracy - chance) / (1 - chance)
    # how far each statement moves kappa, through accuracy and through chance
    by_accuracy = ((judge == person) - accuracy) / (1 - chance)
    by_chance = (judge - p) * (2 * q - 1) + (person - q) * (2 * p - 1)
    spread = clustered_mean(by_accuracy - by_chance * (1 - accuracy) / (1 - chance) ** 2, clusters)
    kappa = replace(spread, value=value, low=None, high=None)
    if spread.error is None:
        return kappa
    if spread.error == 0 or abs(value) == 1:  # nothing varies, which proves little
        half = exact_interval(0, spread.n_clusters)[1] / (1 - chance)
        return replace(kappa, low=max(-1.0, value - half), high=min(1.0, value + half))
    half = t_quantile((1 + LEVEL) / 2, spread.degrees) * spread.error / (1 - value**2)
    return replace(kappa, low=math.tanh(math.atanh(value) - half), high=math.tanh(math.atanh(value) + half))


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
    if np.count_nonzero(labelled) < FEWEST_LABELS:
        return None
    judge, weights = (np.array([getattr(claim, name) for claim in statements]) for name in ("supported", "weight"))
    # times their number, the weighted verdicts have that sum as their mean
    scale = len(statements) * weights
    result = corrected_mean(scale * judge, scale * person, [pages[claim.question_id] for claim in statements])
    if result is None or result.corrected.low is None or result.corrected.high is None:
        return result
    value, low, high = result.corrected.value, result.corrected.low, result.corrected.high
    yes = int(np.count_nonzero(person == 1))
    if min(yes, result.person.n - yes) < FEWEST_EACH:
        # the exact interval of the labels alone, of which uneven weights leave fewer (Kish 1965)
        weights = weights[labelled] / weights[labelled].sum()
        value, n = float(weights @ person[labelled]), 1 / float(weights @ weights)
        count = math.floor(n + ROUNDING)
        low = exact_interval(math.floor(value * count + ROUNDING), count)[0]
        high = exact_interval(math.ceil(value * count - ROUNDING), count)[1]
    elif np.all(person[labelled] == judge[labelled]):
        # where person and judge never disagree there is no spread to go by: widen by what may be missed
        widening = exact_interval(0, result.person.n)[1] * float(np.mean(scale))
        low, high = low - widening, high + widening
    value, low, high = np.clip([value, low, high], 0.0, 1.0).tolist()
    return replace(result, corrected=replace(result.corrected, value=value, low=low, high=high))


def corrected_mean(judge: Floats, person: Floats, clusters: Sequence[Hashable]) -> Corrected | None:
    """Correct the judge's mean (n,) by a person's scores of some (n,), nan for the others; None with fewer than two.

    The labelled must be a random sample. PPI++ (Angelopoulos, Duchi and Zrnic 2023), tuned for the shortest interval,
    with the spread taken between clusters; the labelled being among the judged, it is the regression estimator of
    double sampling (Cochran 1977, chapter 12).

    >>> judge = np.array([0.9, 0.8, 0.7, 0.9, 0.6, 0.8, 1.0, 0.7])
    >>> result = corrected_mean(judge, np.array([0.7, 0.6, 0.5, 0.7, *[np.nan] * 4]), range(8))
    >>> round(result.judge.value, 3), round(result.person.value, 3), round(result.corrected.value, 3)
    (0.8, 0.625, 0.6)
    """
    labelled = ~np.isnan(person)
    n = int(np.count_nonzero(labelled))
    if n < 2:
        return None
    # how much the judge is trusted: the slope of the person's scores on the judge's, 0 to 1
    by_judge, by_person = judge[labelled], person[labelled]
    spread = float(np.var(by_judge))
    covariance = float(np.mean((by_judge - by_judge.mean()) * (by_person - by_person.mean())))
    trust = min(1.0, max(0.0, covariance / spread)) if spread > 1e-12 else 0.0
    alone = clustered_mean(by_person, list(compress(clusters, labelled)))
    value = alone.value - trust * float(by_judge.mean() - judge.mean())
    # each statement moves the figure by what it adds to these means; the moves are summed by cluster. Leverage and
    # degrees of freedom are those of the labelled, of which there are fewer; the fitted trust costs one of them
    groups = cluster_numbers(clusters)
    share = np.bincount(groups, labelled) / n
    error, degrees = None, 0.0
    if alone.n_clusters > 1:
        rest = np.where(labelled, person - trust * judge, 0.0)
        moves = np.where(labelled, rest - rest[labelled].mean(), 0.0) / n + trust * (judge - judge.mean()) / len(judge)
        variance = float(np.sum(np.bincount(groups, moves) ** 2 / (1 - share)))
        error = float(np.sqrt(variance * (n / (n - 1) if trust else 1.0)))
        degrees = satterthwaite(share[share > 0], share[share > 0])
    return Corrected(clustered_mean(judge, clusters), alone, estimate(value, error, degrees, n, alone.n_clusters))


def audit_in_words(result: Audit) -> list[str]:
    """Return a sentence on the judge, then one for each arm and difference that could be corrected."""
    judge = result.agreement
    kappa = "" if judge.kappa is None else f", kappa {_figure(judge.kappa)}"
    sentences = [
        f"judge against person on {judge.n} statements: {judge.agreed} alike{kappa}; "
        f"too kind {judge.too_kind} times, too strict {judge.too_strict} times"
    ]
    for arm, mean in result.arms.items():
        if mean is not None:
            sentences.append(
                f"{METRIC} of {arm}, corrected by {mean.person.n} labels: {_figure(mean.corrected)} "
                f"(the judge alone {mean.judge.value:.3f})"
            )
        else:
            sentences.append(f"{METRIC} of {arm}: fewer than {FEWEST_LABELS} labels, which correct nothing")
    for arm, difference in result.differences.items():
        if difference is not None:
            figure = difference.corrected
            too_few = figure.low is None or figure.high is None or figure.n_clusters < FEWEST_CLUSTERS
            cannot_tell = too_few or (figure.low or 0.0) <= 0 <= (figure.high or 0.0)
            verdict = "cannot tell" if cannot_tell else "better" if figure.value > 0 else "worse"
            sentences.append(
                f"{METRIC}, tuned against {arm}, corrected by {difference.person.n} labels: {_figure(figure, '+')}: "
                f"{verdict} (the judge alone {difference.judge.value:+.3f})"
            )
    return sentences


def _figure(figure: Estimate, sign: str = "") -> str:
    ends = [figure.value] if figure.low is None or figure.high is None else [figure.value, figure.low, figure.high]
    value, *interval = (f"{round(end, 9) + 0.0:{sign}.3f}" for end in ends)  # + 0.0 turns -0.0 into 0.0
    return f"{value} [{', '.join(interval)}]" if interval else value
