"""The review of a training file: leaks, right refusals, validation."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from doubles import answered
from minirag import MessageLog, prompts, write_training_file
from minirag.curation.examples import review_examples
from minirag.message_log import Exchange
from minirag.prompts import Excerpt
from minirag.questions import Question
from minirag.training import TrainingFile

EXCERPTS = [Excerpt("The fare is 3 euros. Children pay half.", 7)]
PAGE_OF = {f"c{number}": ("a.pdf", number) for number in range(10)}


def asked(question: str, text: str, *, existing: str | None = None, chunks: tuple[str, ...] = ("c7",)) -> Exchange:
    """An answer to one of minirag's own prompts, a refine step if there is an earlier answer."""
    draft = existing is None
    messages = prompts.draft(question, EXCERPTS) if draft else prompts.refine(question, str(existing), EXCERPTS)
    exchange = answered(question, text, draft=1 if draft else 2, tags={"chunks": list(chunks)})
    return replace(exchange, request={"model": "big", "messages": messages}, id="")


def reviewed(log: MessageLog, path: Path, **options: Any) -> TrainingFile:
    return write_training_file(log, path, review=partial(review_examples, **options))


def test_what_would_give_the_evaluation_away_is_dropped(log, tmp_path):
    questions = [
        Question("t1", "train", "What is the fare on Sundays?", "c7"),
        Question("t2", "train", "Who pays half?", "c7"),
        Question("t3", "train", "What is the fare?", "c7"),
        Question("e1", "eval", "What is the fare on Sundays?", "c3"),
    ]
    for question, chunks in zip(questions, (("c7",), ("c7", "c3"), ("c7",)), strict=False):
        exchange = asked(question.text, "It is 3 euros.", chunks=chunks)
        log.append(replace(exchange, tags={**exchange.tags, "question": question.id}))
    path = tmp_path / "t.jsonl"
    file = reviewed(log, path, questions=questions, page_of=PAGE_OF)
    reasons = {"t1": "eval question", "t2": "eval page in the prompt", "t3": ""}
    assert {e.question: e.dropped for e in file.examples} == reasons
    assert (file.report()["pages_asked_about"], file.report()["pages_shown"]) == (1, 1)
    assert len(reviewed(log, path, questions=questions, page_of=PAGE_OF, keep_all=True).kept) == 3
