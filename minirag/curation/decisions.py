"""Row 6. A person's decisions about questions: accepted, rejected or reworded; an input of the run, kept in its folder.

They are kept by the text that was shown, so they hold when questions are written again.
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
    """What a person said of a question as it was shown; `text` is their own wording of an accepted one, if any."""

    question: str
    accepted: bool
    text: str | None = None


def read_decisions(folder: Path) -> dict[str, Decision]:
    """The decisions of a run folder by the question shown, the last one of each. Raises InputError."""
    path = folder / NAME
    if not path.exists():
        return {}
    found = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            decision = Decision(**json.loads(line))
        except (ValueError, TypeError):
            raise InputError(f"Line {number} of {path} is no decision; mend it, or delete the file.") from None
        found[decision.question] = decision
    return found


def write_decisions(folder: Path, decisions: Iterable[Decision]) -> None:
    """Add decisions to those of the folder; a later one about the same question replaces the earlier."""
    known = read_decisions(folder) | {decision.question: decision for decision in decisions}
    write_jsonl(folder / NAME, (asdict(decision) for decision in known.values()))


def rejected(decisions: Mapping[str, Decision]) -> list[str]:
    """The questions that nobody wants to see again."""
    return [text for text, decision in decisions.items() if not decision.accepted]


def decided(questions: Sequence[Question], decisions: Mapping[str, Decision]) -> list[Question]:
    """The questions without the rejected ones; accepted ones are flagged so, in the person's own words if given.

    >>> asked = [Question("e001", "eval", "Why is it?"), Question("e002", "eval", "Who is it?")]
    >>> known = {"Why is it?": Decision("Why is it?", False), "Who is it?": Decision("Who is it?", True, "Who is Ann?")}
    >>> [(q.id, q.text, q.flags) for q in decided(asked, known)]
    [('e002', 'Who is Ann?', ('accepted in review',))]
    """
    kept = []
    for question in questions:
        decision = decisions.get(question.text)
        if decision is None:
            kept.append(question)
        elif decision.accepted:
            text = decision.text or question.text
            kept.append(replace(question, text=text, flags=(*question.flags, ACCEPTED)))
    return kept
