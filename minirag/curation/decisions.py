"""A person's decisions about questions: accepted, rejected or reworded; an input of the run, kept in its folder.

A decision belongs to the text that was shown, so it holds when questions are generated again.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from minirag.errors import InputError
from minirag.files import write_jsonl
from minirag.questions import ACCEPTED, Question

NAME = "decisions.jsonl"


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's decision about a question as it was shown; `text` is their own wording of an accepted one, if any."""

    question: str
    accepted: bool
    text: str | None = None


def read_decisions(folder: Path) -> dict[str, Decision]:
    """Return the decisions of a run folder by the question shown, the last one of each. Raises InputError."""
    path = folder / NAME
    decisions = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines() if path.exists() else [], 1):
        try:
            decision = Decision(**json.loads(line))
        except (ValueError, TypeError):
            raise InputError(f"Line {number} of {path} is not a decision; correct it, or delete the file.") from None
        decisions[decision.question] = decision
    return decisions


def write_decisions(folder: Path, decisions: Iterable[Decision]) -> None:
    """Add decisions to those of the folder; a later one about the same question replaces the earlier."""
    merged = read_decisions(folder) | {decision.question: decision for decision in decisions}
    write_jsonl(folder / NAME, (asdict(decision) for decision in merged.values()))


def rejected(decisions: Mapping[str, Decision]) -> list[str]:
    """Return the questions that were rejected."""
    return [text for text, decision in decisions.items() if not decision.accepted]


def decided(questions: Sequence[Question], decisions: Mapping[str, Decision]) -> list[Question]:
    """Return the questions without the rejected ones; accepted ones are flagged, and reworded if the person did so.

    >>> asked = [Question("e001", "eval", "Why is it?"), Question("e002", "eval", "Who is it?")]
    >>> made = {"Why is it?": Decision("Why is it?", False), "Who is it?": Decision("Who is it?", True, "Who is Ann?")}
    >>> [(q.id, q.text, q.flags) for q in decided(asked, made)]
    [('e002', 'Who is Ann?', ('accepted in review',))]
    """
    remaining = []
    for question in questions:
        decision = decisions.get(question.text)
        if decision is None:
            remaining.append(question)
        elif decision.accepted:
            flags = (*question.flags, ACCEPTED)
            remaining.append(replace(question, text=decision.text or question.text, flags=flags))
    return remaining
