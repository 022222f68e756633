"""A person's labels of single statements: how far the judge agrees, and every arm's mean corrected by them.

The judge has seen every statement and may be biased; a person is right and has seen a few. Together they give an
interval that is as right as the person's and, where the judge is worth anything, narrower (prediction-powered
inference). The mean faithfulness of an arm is a weighted sum over its statements (1 ÷ the statements of the answer ÷
the answers), which is what lets a random sample of labelled statements correct it.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minirag.errors import InputError
from minirag.message_log import write_jsonl
from minirag.metrics.comparison import LEVEL, ROUNDING, Clusters, Estimate, Floats, cluster_numbers, satterthwaite
from minirag.metrics.score import Scores

LABELS_FILE = "labels.jsonl"
METRIC = "faithfulness"
"""The metric whose evidence is statements that a person can judge."""
FEWEST_LABELS = 10
"""Labels, of all arms and then of each, from which a correction is worth printing."""
FEWEST_EACH = 5
"""Labels of either kind, yes and no, from which an arm's labels are many enough for a normal interval."""
Key = tuple[str, str, str]
"""Question id, arm and statement: what a label is found by."""
Labels = Mapping[Key, bool | None]
"""A person's verdicts; None where they could not tell."""


def read_labels(folder: Path) -> dict[Key, bool | None]:
    """Return the labels of a run folder. Raises InputError for a damaged line."""
    path = folder / LABELS_FILE
    labels: dict[Key, bool | None] = {}
    for number, line in enumerate(path.read_bytes().splitlines() if path.exists() else (), 1):
        try:
            label = json.loads(line)
            if label["supported"] not in (True, False, None):
                raise ValueError(label["supported"])
            labels[label["question_id"], label["arm"], label["statement"]] = label["supported"]
        except (ValueError, TypeError, KeyError):
            raise InputError(f"Line {number} of {path} is no label; mend it, or delete the file.") from None
    return labels


def write_labels(folder: Path, labels: Labels) -> None:
    """Write `labels.jsonl`, one statement a line."""
    names = ("question_id", "arm", "statement", "supported")
    lines = (dict(zip(names, (*key, supported), strict=True)) for key, supported in labels.items())
    write_jsonl(folder / LABELS_FILE, lines)


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement of an answer; `supported` is the share of rounds in which the judge said so, `weight` its part in
    the arm's mean faithfulness."""

    question_id: str
    arm: str
    statement: str
    supported: float
    weight: float

    @property
    def key(self) -> Key:
        return self.question_id, self.arm, self.statement


def claims(scores: Scores) -> list[Claim]:
    """Return every judged statement of all arms, once however many rounds made it.

    The sum of weight × supported over an arm's claims is its mean faithfulness.
    """
    rows = [row for row in scores if row.metric == METRIC and row.score.value is not None and row.score.evidence]
    rounds = Counter((row.arm, row.question_id) for row in rows)
    answers = Counter(arm for arm, _ in rounds)
    weights: dict[Key, list[float]] = {}  # of the verdicts against a statement, and of those for it
    for row in rows:
        weight = 1 / (answers[row.arm] * rounds[row.arm, row.question_id] * len(row.score.evidence))
        for item in row.score.evidence:
            both = weights.setdefault((row.question_id, row.arm, str(item["statement"])), [0.0, 0.0])
            both[bool(item["supported"])] += weight
    return [Claim(*key, yes / (no + yes), no + yes) for key, (no, yes) in weights.items()]


def sample(statements: Sequence[Claim], size: int, seed: int = 0) -> list[Claim]:
    """Return `size` statements, as many of each arm as there are, each at random; larger samples begin with smaller."""

    def draw(claim: Claim) -> bytes:
        return hashlib.sha256("\0".join((str(seed), *claim.key)).encode()).digest()

    rank, ranked = Counter[str](), []
    for claim in sorted(statements, key=draw):
        ranked.append((rank[claim.arm], claim))
        rank[claim.arm] += 1
    return [claim for _, claim in sorted(ranked, key=lambda one: one[0])][:size]


@dataclass(frozen=True, slots=True)
class Corrected:
    """An arm's mean by the `judge` alone, and the `value` after correction by `labels`, with its 95 % interval."""

    judge: float
    value: float
    low: float
    high: float
    labels: int


@dataclass(frozen=True, slots=True)
class Audit:
    """What a person's labels of `n` statements say of the judge, and each arm's mean, corrected where it can be.

    Judge and person `agreed` on so many; `too_kind` is what only the judge supported, `too_strict` the reverse. `kappa`
    is 1 where they always agree, 0 where they do as by chance, None where both gave one and the same label throughout.
    """

    n: int
    agreed: int
    kappa: float | None
    too_kind: int
    too_strict: int
    arms: Mapping[str, Corrected | None]


def audit(scores: Scores, labels: Labels, pages: Mapping[str, Hashable]) -> Audit | None:
    """Confront the judge with a person; None with fewer than `FEWEST_LABELS`. `pages` gives each question id's page."""
    judged = claims(scores)
    labelled = [claim for claim in judged if labels.get(claim.key) is not None]
    if len(labelled) < FEWEST_LABELS:
        return None
    pairs = [(claim.supported > 0.5, bool(labels[claim.key])) for claim in labelled]
    kind, strict = pairs.count((True, False)), pairs.count((False, True))
    names = dict.fromkeys(claim.arm for claim in judged)
    arms = {arm: _corrected([claim for claim in judged if claim.arm == arm], labels, pages) for arm in names}
    return Audit(len(pairs), len(pairs) - kind - strict, cohens_kappa(pairs), kind, strict, arms)


def cohens_kappa(pairs: Sequence[tuple[bool, bool]]) -> float | None:
    """Return (agreement − chance) ÷ (1 − chance), chance being that of two who label at these rates blindly.

    >>> cohens_kappa([(True, True)] * 4 + [(True, False)] + [(False, False)] * 5)
    0.8
    """
    n, (first, second) = len(pairs), map(sum, zip(*pairs, strict=True))
    agreed = sum(one == other for one, other in pairs)
    by_chance = first * second + (n - first) * (n - second)  # of n² pairs of any label with any other
    return None if by_chance == n**2 else (n * agreed - by_chance) / (n**2 - by_chance)


def _corrected(statements: Sequence[Claim], labels: Labels, pages: Mapping[str, Hashable]) -> Corrected | None:
    """Return the corrected mean faithfulness of one arm's statements; None with too few labels."""
    judge, weights = (np.array([getattr(claim, name) for claim in statements]) for name in ("supported", "weight"))
    person = np.array([labels.get(claim.key) for claim in statements], dtype=np.float64)  # None becomes nan
    labelled = ~np.isnan(person)
    n, yes = int(np.count_nonzero(labelled)), int(np.count_nonzero(person == 1))
    if n < FEWEST_LABELS:
        return None
    # times their number, the weighted verdicts have their sum as their mean
    scale = len(statements) * weights
    mean = corrected_mean(scale * judge, scale * person, [pages[claim.question_id] for claim in statements])
    value, (low, high) = mean.value, mean.interval
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
    return Corrected(float(weights @ judge), value, low, high, n)


def corrected_mean(judge: Floats, person: Floats, clusters: Clusters) -> Estimate:
    """Correct the judge's mean (n,) by a person's scores of some (n,), nan for the others, at least two.

    The labelled must be a random sample. PPI++ (Angelopoulos, Duchi and Zrnic 2023), tuned for the shortest interval,
    with the spread taken between clusters; the labelled being among the judged, it is the regression estimator of
    double sampling (Cochran 1977, chapter 12).

    >>> judge = np.array([0.9, 0.8, 0.7, 0.9, 0.6, 0.8, 1.0, 0.7])
    >>> round(corrected_mean(judge, np.array([0.7, 0.6, 0.5, 0.7, *[np.nan] * 4]), range(8)).value, 3)
    0.6
    """
    labelled = ~np.isnan(person)
    by_judge, by_person, n = judge[labelled], person[labelled], int(np.count_nonzero(labelled))
    # how much the judge is trusted: the slope of the person's scores on the judge's, 0 to 1
    spread = float(np.var(by_judge))
    covariance = float(np.mean((by_judge - by_judge.mean()) * (by_person - by_person.mean())))
    trust = min(1.0, max(0.0, covariance / spread)) if spread > 1e-12 else 0.0
    value = float(by_person.mean()) - trust * float(by_judge.mean() - judge.mean())
    # each statement moves the figure by what it adds to these means; the moves are summed by cluster. Leverage and
    # degrees of freedom are those of the labelled, of which there are fewer; the fitted trust costs one of them
    groups = cluster_numbers(clusters)
    share = np.bincount(groups, labelled) / n
    n_clusters = int(np.count_nonzero(share))
    if n_clusters < 2:
        return Estimate(value, math.inf, 1.0, n, n_clusters)
    rest = np.where(labelled, person - trust * judge, 0.0)
    moves = np.where(labelled, rest - rest[labelled].mean(), 0.0) / n + trust * (judge - judge.mean()) / len(judge)
    variance = float(np.sum(np.bincount(groups, moves) ** 2 / (1 - share)))
    error = math.sqrt(variance * (n / (n - 1) if trust else 1.0))
    return Estimate(value, error, satterthwaite(share[share > 0], share[share > 0]), n, n_clusters)


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


def audit_in_words(result: Audit) -> list[str]:
    """Return a sentence on the judge, then one for each arm."""
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
                f"{METRIC} of {arm}, corrected by {one.labels} labels: {one.value:.3f} [{one.low:.3f}, {one.high:.3f}] "
                f"(the judge alone {one.judge:.3f})"
            )
    return sentences
