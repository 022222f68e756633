"""Row 7. A person against the judge: how far they agree, and every mean and difference corrected by the labels.

The mean faithfulness of an arm is a weighted sum over its statements (1 ÷ the statements of the answer ÷ the answers),
which is what lets a random sample of labelled statements correct it.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from minirag.evaluation import Scores
from minirag.statistics.agreement import Agreement, agreement
from minirag.statistics.clustered import LEVEL, Estimate
from minirag.statistics.labels import METRIC, Claim, Labels, claims
from minirag.statistics.ppi import Corrected, corrected_mean

FEWEST = 10
"""Labels from which a correction is worth printing."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What a person's labels say: how far the judge agrees, each arm's mean corrected, and the differences."""

    agreement: Agreement
    arms: Mapping[str, Corrected | None]
    differences: Mapping[str, Corrected | None]

    def to_json(self) -> dict[str, Any]:
        """As `comparison.json` holds it."""
        return asdict(self)

    def in_words(self) -> list[str]:
        """A sentence on the judge, then one for each arm and difference that could be corrected."""
        judge = self.agreement
        kappa = "" if judge.kappa is None else f", kappa {_figure(judge.kappa)}"
        told = [
            f"judge against person on {judge.accuracy.n} statements: accuracy {_figure(judge.accuracy)}{kappa}; "
            f"too kind {judge.too_kind} times, too strict {judge.too_strict} times"
        ]
        told += [
            f"{METRIC} of {arm}, corrected by {found.person.n} labels: {_figure(found.corrected)} "
            f"(the judge alone {found.judge.value:.3f})"
            for arm, found in self.arms.items()
            if found is not None
        ]
        return told + [
            f"{METRIC}, tuned against {arm}, corrected by {found.person.n} labels: {_figure(found.corrected, '+')}: "
            f"{_verdict(found.corrected)} (the judge alone {_shown(found.judge.value, '+')})"
            for arm, found in self.differences.items()
            if found is not None
        ]


def _shown(value: float, sign: str) -> str:
    return f"{round(value, 9) + 0.0:{sign}.3f}"


def _figure(found: Estimate, sign: str = "") -> str:
    if found.low is None or found.high is None:
        return _shown(found.value, sign)
    return f"{_shown(found.value, sign)} [{_shown(found.low, sign)}, {_shown(found.high, sign)}]"


def _verdict(found: Estimate) -> str:
    return "cannot tell" if found.holds(0.0) else "better" if found.value > 0 else "worse"


def audit(scores: Scores, labels: Labels, pages: Mapping[str, Hashable], against: Sequence[str] = ()) -> Audit | None:
    """Confront the judge with a person; None with fewer than `FEWEST` labels. `pages` is each question id's page.

    Means are corrected by `corrected_mean`; for a difference to each arm of `against`, over the questions that
    both arms have scores for, the statements of that arm count negatively.
    """
    known = claims(scores)
    said = [(c, label) for c in known if (label := labels.get(c.key)) is not None]
    if len(said) < FEWEST:
        return None
    return Audit(
        agreement(
            [c.supported > 0.5 for c, _ in said], [p for _, p in said], clusters=[pages[c.question_id] for c, _ in said]
        ),
        {
            arm: _corrected([c for c in known if c.arm == arm], labels, pages)
            for arm in dict.fromkeys(c.arm for c in known)
        },
        {arm: _difference(scores, arm, labels, pages) for arm in against},
    )


def _difference(scores: Scores, arm: str, labels: Labels, pages: Mapping[str, Hashable]) -> Corrected | None:
    scored = {name: {c.question_id for c in claims(scores) if c.arm == name} for name in (arm, "tuned")}
    paired = [c for c in claims(scores, scored[arm] & scored["tuned"]) if c.arm in scored]
    return _corrected([replace(c, weight=-c.weight) if c.arm == arm else c for c in paired], labels, pages, lowest=-1.0)


def _corrected(
    known: Sequence[Claim], labels: Labels, pages: Mapping[str, Hashable], lowest: float = 0.0
) -> Corrected | None:
    """The weighted sum over `known` corrected; times their number, it is a mean. It lies from `lowest` to 1.

    Where a person never disagrees with the judge there is no spread to go by, and that is no proof: see `_unseen`.
    """
    scale = [len(known) * claim.weight for claim in known]
    person = [labels.get(claim.key) for claim in known]
    found = corrected_mean(
        [size * claim.supported for size, claim in zip(scale, known, strict=True)],
        [None if said is None else size * said for size, said in zip(scale, person, strict=True)],
        clusters=[pages[claim.question_id] for claim in known],
    )
    if found is None:
        return None
    agreed = all(said in (None, claim.supported) for said, claim in zip(person, known, strict=True))
    unseen = _unseen(found.person.n) * sum(map(abs, scale)) / len(scale) if agreed else 0.0
    return replace(found, corrected=_widened(found.corrected, unseen, lowest))


def _unseen(labels: int) -> float:
    """The share of disagreements that so many labels may have missed where they show none (Clopper and Pearson 1934).

    >>> round(_unseen(10), 3), round(_unseen(100), 3)
    (0.308, 0.036)
    """
    return float(1 - ((1 - LEVEL) / 2) ** (1 / labels))


def _widened(found: Estimate, by: float, lowest: float) -> Estimate:
    """A figure and its interval, wider on both sides, that hold only what can be."""
    if found.low is None or found.high is None:
        return found
    value, low, high = (min(1.0, max(lowest, end)) for end in (found.value, found.low - by, found.high + by))
    return replace(found, value=value, low=low, high=high)
