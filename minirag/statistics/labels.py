"""Row 7. A person's labels of single statements, and which statements are asked for: a random sample over all arms."""

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from minirag.errors import InputError
from minirag.evaluation import Scores
from minirag.files import write_jsonl

NAME = "labels.jsonl"
METRIC = "faithfulness"
"""The metric whose evidence is statements that a person can judge."""


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
    def key(self) -> tuple[str, str, str]:
        """What a label is found by."""
        return self.question_id, self.arm, self.statement


@dataclass(frozen=True, slots=True)
class Label:
    """A person's verdict on a statement; None where they could not tell."""

    question_id: str
    arm: str
    statement: str
    supported: bool | None


Labels = Mapping[tuple[str, str, str], bool | None]


def read_labels(folder: Path) -> dict[tuple[str, str, str], bool | None]:
    """The labels of a run folder, by (question id, arm, statement). Raises InputError."""
    path, found = folder / NAME, {}
    for number, line in enumerate(path.read_text("utf-8").splitlines() if path.exists() else (), 1):
        try:
            label = Label(**json.loads(line))
        except (ValueError, TypeError):
            raise InputError(f"Line {number} of {path} is no label; mend it, or delete the file.") from None
        found[label.question_id, label.arm, label.statement] = label.supported
    return found


def write_labels(folder: Path, labels: Labels) -> None:
    """`labels.jsonl`: one statement a line."""
    write_jsonl(folder / NAME, (asdict(Label(*key, supported)) for key, supported in labels.items()))


def claims(scores: Scores, questions: Collection[str] | None = None) -> list[Claim]:
    """Every judged statement of all arms (of some question ids only, if given), once however many rounds made it.

    The sum of weight × supported over an arm's claims is its mean faithfulness.
    """
    judged = [row for row in scores if row.metric == METRIC and row.score.value is not None and row.score.evidence]
    scored = [row for row in judged if questions is None or row.question_id in questions]
    rounds = Counter((row.arm, row.question_id) for row in scored)
    answers = Counter(arm for arm, _ in rounds)
    weights: dict[tuple[str, str, str], list[float]] = {}
    for row in scored:
        part = 1 / (answers[row.arm] * rounds[row.arm, row.question_id] * len(row.score.evidence))
        for item in row.score.evidence:
            both = weights.setdefault((row.question_id, row.arm, str(item["statement"])), [0.0, 0.0])
            both[bool(item["supported"])] += part
    return [Claim(*key, yes / (no + yes), no + yes) for key, (no, yes) in weights.items()]


def sample(known: Sequence[Claim], size: int, seed: int = 0) -> list[Claim]:
    """`size` different statements at random over all arms, in random order; a larger sample begins with the smaller.

    >>> known = [Claim("e001", "base", "It opened.", 1.0), Claim("e001", "base", "It closed.", 0.0)]
    >>> sample(known, 1) == sample(known, 2)[:1]
    True
    """
    return sorted(known, key=lambda claim: hashlib.sha256("\0".join((str(seed), *claim.key)).encode()).digest())[:size]
