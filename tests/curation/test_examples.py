"""The review of a training file: leaks, right refusals, validation."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from doubles import answered
from minirag import MessageLog, prompts, write_training_file
from minirag.curation.examples import hold_out, review_examples, write_validation_file
from minirag.errors import InputError
from minirag.message_log import Exchange
from minirag.prompts import NOT_STATED, Excerpt
from minirag.questions import Question
from minirag.training import Example, TrainingFile

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


def test_what_would_give_the_evaluation_away_is_dropped(log: MessageLog, tmp_path: Path) -> None:
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
    shown = reviewed(log, path, questions=questions, page_of=PAGE_OF, use_eval_pages=True)
    assert {e.question: e.dropped for e in shown.examples} == {**reasons, "t2": ""}
    assert len(reviewed(log, path, questions=questions, page_of=PAGE_OF, keep_all=True).kept) == 3


def test_right_refusals_may_be_a_share_of_the_file_and_wrong_ones_may_not(log: MessageLog, tmp_path: Path) -> None:
    questions = []
    for number in range(8):
        log.append(asked(f"What is fare number {number}?", f"Fare {'abcdefgh'[number]} is 3 euros."))
        log.append(asked(f"Who owns tram {number}?", NOT_STATED))
        source = "c7" if number == 0 else "c9"  # only page 7 is shown
        questions.append(Question(f"Who owns tram {number}?", "train", f"Who owns tram {number}?", source))
    options = {"questions": questions, "page_of": PAGE_OF}
    assert reviewed(log, tmp_path / "none.jsonl", **options).report()["dropped"]["refusal"] == 8
    some = reviewed(log, tmp_path / "some.jsonl", abstain_share=0.2, **options)
    refusals = [e for e in some.kept if e.reply == NOT_STATED]
    assert len(refusals) / len(some.kept) == pytest.approx(0.2)
    every = reviewed(log, tmp_path / "every.jsonl", abstain_share=0.9, **options)
    assert "Who owns tram 0?" not in {e.question for e in every.kept}
    assert sum(e.reply == NOT_STATED for e in every.kept) == 7


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.frozensets(st.integers(0, 12), max_size=3)), min_size=1, max_size=25),
    st.floats(0.05, 0.6),
)
def test_no_page_is_on_both_sides_of_a_split(rows: list[tuple[int, frozenset[int]]], share: float) -> None:
    reply = ({"role": "assistant", "content": "Yes."},)
    examples = [
        Example(reply, question=str(question), shown=frozenset(("a.pdf", page) for page in pages))
        for question, pages in rows
    ]
    try:
        result = hold_out(examples, share)
    except InputError:
        return
    held, rest = [e for e in result if e.held_out], [e for e in result if not e.held_out and not e.dropped]
    assert held
    assert rest
    assert not {e.question for e in held} & {e.question for e in result if not e.held_out}
    shown = [frozenset().union(*(e.shown for e in side)) for side in (held, rest)]
    assert not shown[0] & shown[1]


def test_the_validation_file_is_written_if_wanted_and_removed_if_not(log: MessageLog, tmp_path: Path) -> None:
    questions = []
    for number, word in enumerate("amber basalt cedar delta".split()):
        log.append(asked(f"What of {word}?", f"It is {word}.", chunks=(f"c{number}",)))
        questions.append(Question(f"What of {word}?", "train", f"What of {word}?", f"c{number}"))
    path, options = tmp_path / "training.jsonl", {"questions": questions, "page_of": PAGE_OF}
    validation = write_validation_file(reviewed(log, path, validation_share=0.25, **options))
    assert validation == tmp_path / "training.validation.jsonl"
    assert [len(each.read_text().splitlines()) for each in (path, validation)] == [3, 1]
    assert write_validation_file(reviewed(log, path, **options)) is None
    assert list(tmp_path.glob("training*.jsonl")) == [path]


def test_a_split_that_cannot_be_is_a_sentence(log: MessageLog, tmp_path: Path) -> None:
    for word in ("amber", "basalt", "cedar"):
        log.append(asked(f"What of {word}?", f"It is {word}."))
    with pytest.raises(InputError, match="No question can be held out"):
        reviewed(log, tmp_path / "t.jsonl", page_of=PAGE_OF, validation_share=0.3)
