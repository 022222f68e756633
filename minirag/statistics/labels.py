"""A person's labels of single statements: how far the judge agrees, and every arm's mean corrected by them.

The judge has seen every statement and may be biased; a person is right and has seen a few. So the judge's mean is moved
by how much person and judge differ on the few (prediction-powered inference). The mean faithfulness of an arm is a
weighted sum over its statements (1 ÷ the statements of the answer ÷ the answers), which is what lets a random sample of
labelled statements correct it.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from minirag.errors import InputError
from minirag.message_log import write_jsonl
from minirag.metrics.comparison import LEVEL, ROUNDING, clustered_mean
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


def audit(scores: Scores, labels: Labels, pages: Mapping[str, Hashable]) -> dict[str, Any] | None:
    """Confront the judge with a person; `pages` gives each question id's page.

    Of `n` labelled statements judge and person supported `both_yes` and rejected `both_no`; `too_kind` is what only the
    judge supported, `too_strict` the reverse. `arms` holds each arm's corrected mean, None where it has too few labels.
    None with fewer than `FEWEST_LABELS` in all.
    """
    judged = claims(scores)
    labelled = [claim for claim in judged if labels.get(claim.key) is not None]
    if len(labelled) < FEWEST_LABELS:
        return None
    table = Counter((claim.supported > 0.5, bool(labels[claim.key])) for claim in labelled)
    names = dict.fromkeys(claim.arm for claim in judged)
    return {
        "n": len(labelled),
        "both_yes": table[True, True],
        "both_no": table[False, False],
        "too_kind": table[True, False],
        "too_strict": table[False, True],
        "arms": {arm: corrected([claim for claim in judged if claim.arm == arm], labels, pages) for arm in names},
    }


def corrected(
    statements: Sequence[Claim], labels: Labels, pages: Mapping[str, Hashable]
) -> dict[str, float | int] | None:
    """Return the mean faithfulness of one arm's statements by the `judge` alone, and corrected by a random sample.

    `value` is the judge's mean plus the mean difference of person and judge, `low` to `high` its 95 % interval
    (Angelopoulos and others 2023; the difference estimator of double sampling, Cochran 1977, chapter 12), `labels` the
    size of the sample; None with too few.
    """
    judge, weights = (np.array([getattr(claim, name) for claim in statements]) for name in ("supported", "weight"))
    person = np.array([labels.get(claim.key) for claim in statements], dtype=np.float64)  # None becomes nan
    labelled = ~np.isnan(person)
    n, yes = int(np.count_nonzero(labelled)), int(np.count_nonzero(person == 1))
    if n < FEWEST_LABELS:
        return None
    # times their number, the weighted verdicts have their sum as their mean
    scale, clusters = len(statements) * weights, [pages[claim.question_id] for claim in statements]
    by_judge = clustered_mean(scale * judge, clusters)
    gap = clustered_mean((scale * (person - judge))[labelled], list(compress(clusters, labelled)))
    value = by_judge.value + gap.value
    low, high = replace(gap, value=value, error=math.hypot(by_judge.error, gap.error)).interval
    if min(yes, n - yes) < FEWEST_EACH and gap.n_clusters > 1:
        # the exact interval of the labels alone, of which uneven weights leave fewer (Kish 1965)
        share = weights[labelled] / weights[labelled].sum()
        value = float(share @ person[labelled])
        count = math.floor(1 / float(share @ share) + ROUNDING)
        low = exact_interval(math.floor(value * count + ROUNDING), count)[0]
        high = exact_interval(math.ceil(value * count - ROUNDING), count)[1]
    elif gap.error == 0:
        # where person and judge never disagree there is no spread to go by: widen by what may be missed
        missed = exact_interval(0, n)[1]
        low, high = low - missed, high + missed
    value, low, high = np.clip([value, low, high], 0.0, 1.0).tolist()
    return {"judge": float(weights @ judge), "value": value, "low": low, "high": high, "labels": n}


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


def audit_in_words(result: Mapping[str, Any]) -> list[str]:
    """Return a sentence on the judge, then one for each arm."""
    sentences = [
        f"judge against person on {result['n']} statements: both say yes to {result['both_yes']} and no to "
        f"{result['both_no']}; too kind {result['too_kind']} times, too strict {result['too_strict']} times"
    ]
    for arm, one in result["arms"].items():
        sentence = f"{METRIC} of {arm}: fewer than {FEWEST_LABELS} labels, which correct nothing"
        if one is not None:
            interval = f"{one['value']:.3f} [{one['low']:.3f}, {one['high']:.3f}]"
            sentence = f"{METRIC} of {arm}, corrected by {one['labels']} labels: {interval} "
            sentence += f"(the judge alone {one['judge']:.3f})"
        sentences.append(sentence)
    return sentences
