"""A person's labels of single statements, and which statements they are asked about: a random sample of each arm."""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from minirag.errors import InputError
from minirag.message_log import write_jsonl
from minirag.metrics.score import Scores

LABELS_FILE = "labels.jsonl"
METRIC = "faithfulness"
"""The metric whose evidence is statements that a person can judge."""
FIELDS = ("question_id", "arm", "statement", "supported")
Key = tuple[str, str, str]
"""Question id, arm and statement: what a label is found by."""
Labels = Mapping[Key, bool | None]
"""A person's verdicts; None where they could not tell."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement of an answer; `supported` is the share of rounds in which the judge said so, `weight` its part in
    the arm's mean faithfulness."""

    question_id: str
    arm: str
    statement: str
    supported: float
    weight: float = 0.0

    @property
    def key(self) -> Key:
        return self.question_id, self.arm, self.statement


def read_labels(folder: Path) -> dict[Key, bool | None]:
    """Return the labels of a run folder. Raises InputError for a damaged line."""
    path = folder / LABELS_FILE
    labels: dict[Key, bool | None] = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines() if path.exists() else (), 1):
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
    lines = (dict(zip(FIELDS, (*key, supported), strict=True)) for key, supported in labels.items())
    write_jsonl(folder / LABELS_FILE, lines)


def claims(scores: Scores, questions: Collection[str] | None = None) -> list[Claim]:
    """Return every judged statement of all arms, once however many rounds made it, of some question ids if given.

    The sum of weight × supported over an arm's claims is its mean faithfulness.
    """
    rows = [
        row
        for row in scores
        if row.metric == METRIC and row.score.value is not None and row.score.evidence
        if questions is None or row.question_id in questions
    ]
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

    rank, drawn = Counter[str](), []
    for claim in sorted(statements, key=draw):
        drawn.append((rank[claim.arm], draw(claim), claim))
        rank[claim.arm] += 1
    return [claim for _, _, claim in sorted(drawn, key=lambda each: each[:2])][:size]
