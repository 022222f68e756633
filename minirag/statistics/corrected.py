"""A person against the judge: how far they agree, and every mean and difference corrected by the person's labels.

The judge has seen every statement and may be biased; a person is right and has seen a few. Together they give an
interval that is as right as the person's and, where the judge is worth anything, narrower (prediction-powered
inference). The mean faithfulness of an arm is a weighted sum over its statements (1 ÷ the statements of the answer ÷
the answers), which is what lets a random sample of labelled statements correct it.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np

from minirag.clustered import LEVEL, Estimate, Floats, cluster_numbers, clustered_mean, estimate, satterthwaite
from minirag.evaluation import Scores
from minirag.statistics.agreement import Agreement, agreement
from minirag.statistics.labels import METRIC, Claim, Labels, claims

FEWEST_LABELS = 10
"""Labels from which a correction is worth printing."""


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

    For a difference to each arm of `against`, over the questions that both arms have scores for, the statements of
    that arm count negatively.
    """
    judged = claims(scores)
    labelled = [claim for claim in judged if labels.get(claim.key) is not None]
    if len(labelled) < FEWEST_LABELS:
        return None
    differences = {}
    for arm in against:
        scored = {name: {c.question_id for c in judged if c.arm == name} for name in (arm, "tuned")}
        both = [c for c in claims(scores, scored[arm] & scored["tuned"]) if c.arm in scored]
        signed = [replace(c, weight=-c.weight) if c.arm == arm else c for c in both]
        differences[arm] = _corrected(signed, labels, pages, lowest=-1.0)
    return Audit(
        agreement(
            [claim.supported > 0.5 for claim in labelled],
            [bool(labels[claim.key]) for claim in labelled],
            clusters=[pages[claim.question_id] for claim in labelled],
        ),
        {
            arm: _corrected([c for c in judged if c.arm == arm], labels, pages, lowest=0.0)
            for arm in dict.fromkeys(c.arm for c in judged)
        },
        differences,
    )


def _corrected(
    statements: Sequence[Claim], labels: Labels, pages: Mapping[str, Hashable], *, lowest: float
) -> Corrected | None:
    """Return the corrected sum of weight × supported, from `lowest` to 1; None with fewer than two labels."""
    # times their number, the weighted verdicts have that sum as their mean
    scale = [len(statements) * claim.weight for claim in statements]
    person = [labels.get(claim.key) for claim in statements]
    result = corrected_mean(
        np.array([size * claim.supported for size, claim in zip(scale, statements, strict=True)]),
        np.array([np.nan if label is None else size * label for size, label in zip(scale, person, strict=True)]),
        [pages[claim.question_id] for claim in statements],
    )
    if result is None or result.corrected.low is None or result.corrected.high is None:
        return result
    # where person and judge never disagree there is no spread to go by, which proves nothing: widen the interval by
    # the share of disagreements that so many labels may have missed (Clopper and Pearson 1934)
    widening = 0.0
    if all(label in (None, claim.supported) for label, claim in zip(person, statements, strict=True)):
        missed = 1 - ((1 - LEVEL) / 2) ** (1 / result.person.n)
        widening = missed * sum(map(abs, scale)) / len(scale)
    both = result.corrected
    value, low, high = np.clip(
        [both.value, result.corrected.low - widening, result.corrected.high + widening], lowest, 1.0
    )
    return replace(result, corrected=replace(both, value=float(value), low=float(low), high=float(high)))


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
    if np.count_nonzero(labelled) < 2:
        return None
    # how much the judge is trusted: the slope of the person's scores on the judge's, 0 to 1
    judge_seen, person_seen = judge[labelled], person[labelled]
    spread = float(np.var(judge_seen))
    covariance = float(np.mean((judge_seen - np.mean(judge_seen)) * (person_seen - np.mean(person_seen))))
    trust = min(1.0, max(0.0, covariance / spread)) if spread > 1e-12 else 0.0
    alone = clustered_mean(person_seen, list(compress(clusters, labelled)))
    value = alone.value - trust * float(np.mean(judge_seen) - np.mean(judge))
    return Corrected(clustered_mean(judge, clusters), alone, _interval(value, judge, person, trust, clusters))


def _interval(value: float, judge: Floats, person: Floats, trust: float, clusters: Sequence[Hashable]) -> Estimate:
    """Return the interval of person's mean − trust × (judge's mean of the labelled − judge's mean of all).

    Each question moves the figure by what it adds to these means; the moves are summed by cluster. Leverage and
    degrees of freedom are those of the labelled, of which there are fewer; the fitted trust costs one of them.
    """
    labelled, groups = ~np.isnan(person), cluster_numbers(clusters)
    n = int(np.count_nonzero(labelled))
    share = np.bincount(groups, labelled) / n
    n_clusters = int(np.count_nonzero(share))
    if n_clusters < 2:
        return estimate(value, None, 0.0, n, n_clusters)
    left = np.where(labelled, person - trust * judge, 0.0)
    moves = np.where(labelled, left - left[labelled].mean(), 0.0) / n + trust * (judge - judge.mean()) / len(judge)
    variance = float(np.sum(np.bincount(groups, moves) ** 2 / (1 - share)))
    fitted = n / (n - 1) if trust else 1.0
    degrees = satterthwaite(share[share > 0], share[share > 0])
    return estimate(value, float(np.sqrt(variance * fitted)), degrees, n, n_clusters)


def audit_in_words(result: Audit) -> list[str]:
    """Return a sentence on the judge, then one for each arm and difference that could be corrected."""
    judge = result.agreement
    kappa = "" if judge.kappa is None else f", kappa {_figure(judge.kappa)}"
    sentences = [
        f"judge against person on {judge.accuracy.n} statements: accuracy {_figure(judge.accuracy)}{kappa}; "
        f"too kind {judge.too_kind} times, too strict {judge.too_strict} times"
    ]
    for arm, one in result.arms.items():
        if one is not None:
            sentences.append(
                f"{METRIC} of {arm}, corrected by {one.person.n} labels: {_figure(one.corrected)} "
                f"(the judge alone {one.judge.value:.3f})"
            )
    for arm, one in result.differences.items():
        if one is not None:
            verdict = "cannot tell" if one.corrected.holds(0.0) else "better" if one.corrected.value > 0 else "worse"
            sentences.append(
                f"{METRIC}, tuned against {arm}, corrected by {one.person.n} labels: {_figure(one.corrected, '+')}: "
                f"{verdict} (the judge alone {_number(one.judge.value, '+')})"
            )
    return sentences


def _figure(one: Estimate, sign: str = "") -> str:
    if one.low is None or one.high is None:
        return _number(one.value, sign)
    return f"{_number(one.value, sign)} [{_number(one.low, sign)}, {_number(one.high, sign)}]"


def _number(value: float, sign: str) -> str:
    return f"{round(value, 9) + 0.0:{sign}.3f}"  # + 0.0: no minus before a nought
