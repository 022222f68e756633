"""Flags on questions: each doubt, and what does not raise it."""

import json

import numpy as np
import pytest

from minirag.curation.questions import flag_questions, points_elsewhere, text_flags
from minirag.questions import Question, doubts

PAGE = (
    "Risk factors\n\nTarnwick Instruments produces leak loggers. The fee for a logger is 12 euros a month, or 120 "
    "euros a year. Loggers are not sold to private persons. Revenue rose because utilities replaced old meters in 2025."
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("What is the fee in the context?", "in the context"),
        ("According to the given context information, what is the fee?", "the given context information"),
        ("Which of the above applies to loggers?", "the above"),
        ("Why did they replace meters?", "they"),
        ("What is its fee?", "its"),
        ("How does Tarnwick charge for its loggers?", None),
        ("How did revenue change against the previous year?", None),
        ("What did revenue in the context of replaced meters do?", None),
        ("How does the company measure derivatives, and where are these shown?", None),
    ],
)
def test_a_question_stands_alone_unless_it_leans_on_a_text_its_reader_does_not_see(text, said):
    assert points_elsewhere(text) == said


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("What is the fee for a logger in a month?", []),
        ("Why did revenue rise in 2025?", []),
        ("Why did revenue fall in 1999 in Ghent?", ["not answerable from its page"]),
        ("Are loggers sold to private persons?", []),
    ],
)
def test_what_its_page_says_of_a_question(text, kinds):
    assert [flag.partition(":")[0] for flag in text_flags(text, PAGE)] == kinds


def flagged(*questions: Question, retrieved: int = 1) -> list[Question]:
    return flag_questions(
        questions,
        pages={("d", 1): PAGE, ("d", 2): "Nothing."},
        page_of={"c1": ("d", 1)},
        retrieved={question.id: {("d", retrieved)} for question in questions},
    )


FEE = "What is the fee for a logger in a month?"


def test_a_source_page_that_is_not_retrieved_is_named_with_what_came_instead():
    (question,) = flagged(Question("e001", "eval", FEE, "c1", 1), retrieved=2)
    assert question.flags == ("source page not retrieved: page 2 instead",)
    (guessed,) = flagged(Question("e001", "eval", FEE, "c1", 1, flags=("page guessed",)), retrieved=2)
    assert guessed.flags == ("page guessed",)


def test_doubles_are_flagged_once_and_those_of_a_train_question_as_leaked():
    again = "In a month, what is the fee for a logger?"
    asked = [
        Question("e001", "eval", FEE, "c1", 1),
        Question("e002", "eval", again, "c1", 1),
        Question("t001", "train", "Why?", "c1", 1),
    ]
    assert [doubts(q) for q in flagged(*asked)] == [(), ("near-duplicate: of e001",), ()]
    asked[2] = Question("t001", "train", again, "c1", 1)
    first = "leaked: near-duplicate of train question t001"
    assert [doubts(q) for q in flagged(*asked)] == [(first,), (first,), ()]


def test_answerable_questions_are_told_from_unanswerable_ones_with_a_balanced_accuracy_of_0_767(shared):
    rates = []
    for name in ("answerable", "unanswerable"):
        lines = (shared / "eval" / "clapnq" / f"{name}.jsonl").read_text("utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        flags = [text_flags(row["input"], row["passages"][0]["text"]) for row in rows]
        rates.append(np.mean([not any(flag.startswith("not answerable") for flag in one) for one in flags]))
    assert round((rates[0] + 1 - rates[1]) / 2, 3) == 0.767
