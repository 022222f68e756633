"""Questions on trial: each doubt and what does not raise it, and what planted bad questions it finds."""

import runpy
from pathlib import Path

import pytest

from minirag.curation.trial import Asked, alone, on_trial, points_elsewhere
from minirag.questions import Question, doubts

ROOT = Path(__file__).parents[2]
PAGE = (
    "Risk factors\n\nTarnwick Instruments produces leak loggers. The fee for a logger is 12 euros a month, or 120 "
    "euros a year. Loggers are not sold to private persons. Revenue rose because utilities replaced old meters in 2025."
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("What is the fee in the context?", "in the context"),
        ("According to the given context information, what is the fee?", "the given context information"),
        ("What does this section say of fees?", "this section"),
        ("Which of the above applies to loggers?", "the above"),
        ("What are the reasons mentioned above?", "mentioned above"),
        ("Why did they replace meters?", "they"),
        ("What is the purpose of this agreement?", "this agreement"),
        ("What is its fee?", "its"),
    ],
)
def test_a_question_that_leans_on_a_text_its_reader_does_not_see_is_not_stand_alone(text: str, said: str) -> None:
    assert points_elsewhere(text) == said


@pytest.mark.parametrize(
    "text",
    [
        "How does Tarnwick charge for its loggers?",
        "Does it rain in Tarnwick?",
        "How did revenue change against the previous year?",
        "What did revenue in the context of replaced meters do?",
        "How does the company measure derivatives, and where are these shown?",
        "What do the directors say about the report of the auditor?",
    ],
)
def test_a_question_that_names_what_it_means_stands_alone(text: str) -> None:
    assert points_elsewhere(text) is None


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("What is the fee for a logger in a month?", []),
        ("Why did revenue rise in 2025?", []),
        ("Who won the cycling race in Ghent?", ["not answerable from its page"]),
        ("Why did revenue fall in 1999 in Ghent?", ["not answerable from its page"]),
        ("What is the title of the document?", ["trivial"]),
        ("On what page are fees discussed?", ["trivial"]),
        ("Does Tarnwick Instruments produce leak loggers?", ["trivial"]),
        ("Is there a section on risk factors?", ["trivial"]),
        ("Which company, Tarnwick Instruments, produces leak loggers?", ["trivial"]),
        ("Are loggers sold to private persons?", []),
    ],
)
def test_what_its_page_says_of_a_question(text: str, kinds: list[str]) -> None:
    assert [flag.partition(":")[0] for flag in alone(text, PAGE)] == kinds


def tried(*questions: Question, retrieved: int = 1, trained_on: set[tuple[str, int]] = frozenset()) -> list[Question]:  # type: ignore[assignment]
    return on_trial(
        questions,
        pages={("d", 1): PAGE, ("d", 2): "Nothing."},
        page_of={"c1": ("d", 1)},
        retrieved={question.id: {("d", retrieved)} for question in questions},
        trained_on=trained_on,
    )


FEE = "What is the fee for a logger in a month?"


def test_a_source_page_that_is_not_retrieved_is_named_with_what_came_instead() -> None:
    (question,) = tried(Question("e001", "eval", FEE, "c1"), retrieved=2)
    assert question.flags == ("source page not retrieved: page 2 instead",)
    (guessed,) = tried(Question("e001", "eval", FEE, "c1", flags=("page guessed",)), retrieved=2)
    assert guessed.flags == ("page guessed",)


def test_doubles_are_flagged_once_and_those_of_a_train_question_as_leaked() -> None:
    again = "In a month, what is the fee for a logger?"
    asked = [
        Question("e001", "eval", FEE, "c1"),
        Question("e002", "eval", again, "c1"),
        Question("t001", "train", "Why?"),
    ]
    assert [doubts(q) for q in tried(*asked)] == [(), ("near-duplicate: of e001",), ()]
    asked[2] = Question("t001", "train", again)
    first = "leaked: near-duplicate of train question t001"
    assert [doubts(q) for q in tried(*asked)] == [(first,), (first,), ()]


def test_an_eval_question_whose_page_training_shows_is_leaked() -> None:
    asked = Question("e001", "eval", FEE, "c1"), Question("t001", "train", "Why were old meters replaced?", "c1")
    assert [doubts(q) for q in tried(*asked, trained_on={("d", 1)})] == [
        ("leaked: training prompts show its page",),
        (),
    ]


def test_two_questions_of_one_form_about_two_things_are_no_doubles() -> None:
    asked = Asked()
    asked.add(Question("t001", "train", "How is basic net income per share computed?"))
    assert asked.first("How is diluted net income per share computed?") is None


def test_what_a_person_accepted_is_not_doubted() -> None:
    assert doubts(Question("e001", "eval", "Why?", flags=("not stand-alone: “it”", "accepted in review"))) == ()


def test_planted_bad_questions_are_found_among_a_hundred(shared: Path) -> None:
    quality = runpy.run_path(str(ROOT / "scripts" / "quality_questions"))
    asked, kinds = quality["planted"]()
    assert (len(asked), sum(kind != "" for kind in kinds.values())) == (100, 30)
    recall, precision = quality["found"](asked, kinds)
    assert recall >= 0.8
    assert precision >= 0.7


def test_answerable_questions_are_told_from_unanswerable_ones_better_than_by_chance(shared: Path) -> None:
    quality = runpy.run_path(str(ROOT / "scripts" / "quality_questions"))
    shares = quality["clapnq"]("answerable"), quality["clapnq"]("unanswerable")
    assert quality["balanced"](*shares, quality["ON_PAGE"]) >= 0.75
