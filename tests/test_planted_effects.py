"""Effects planted in the answers of a run and judged again: the right verdict, or the right reason for none."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from minirag import ChatModel, offline
from minirag.breakdown import Traits
from minirag.cli import main
from minirag.evaluate import evaluate
from minirag.findings import Evaluation, Findings, findings
from minirag.questions import Question
from minirag.rows import Row, read_rows
from minirag.sentences import sentence_spans
from minirag.service import Service
from minirag.wording import words

SAMPLE = Path(__file__).parents[1] / "minirag" / "data" / "sample-report.pdf"
FOREIGN = "The harbour of Rotterdam closed in 1871. Two whales swam up the Thames. Chess has 64 squares.".split(". ")
Plant = Callable[[int, str], str]


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """The teacher's answers in a run over the sample report."""
    out = tmp_path_factory.mktemp("run")
    options = ["--offline", "--tuned", "offline-teacher", "--train-questions", "1", "--eval-questions", "40"]
    assert main(["evaluate", str(SAMPLE), *options, "--metrics", "faithfulness", "--out", str(out)]) == 0
    rows = [row for row in read_rows(out) if row.arm == "teacher" and len(words(row.answer)) > 5]
    assert len(rows) >= 30
    assert len({row.page for row in rows}) >= 8
    return rows[:30]


@pytest.fixture(scope="module")
def judge() -> Iterator[ChatModel]:
    with offline.serve() as server, Service(server.base_url, "k") as service:
        yield ChatModel("offline-judge", service=service)


def judged(rows: list[Row], judge: ChatModel, base: Plant, tuned: Plant) -> Findings:
    """The findings where each arm gives what `base` or `tuned` make of the n-th answer."""
    arms = {"base": base, "tuned": tuned}
    altered = [
        replace(row, arm=arm, answer=plant(number, row.answer))
        for arm, plant in arms.items()
        for number, row in enumerate(rows)
    ]
    lengths = {arm: [len(words(row.answer)) for row in altered if row.arm == arm] for arm in arms}
    evaluation = Evaluation(
        arms=("base", "tuned"),
        questions=[Question(row.question_id, "eval", row.question) for row in rows],
        pages=[row.page for row in rows],
        metrics=["faithfulness"],
        scores=evaluate(altered, ["faithfulness"], judge),
        traits=Traits({"half": ["first" if i < len(rows) // 2 else "second" for i in range(len(rows))]}, lengths),
    )
    return findings(evaluation, "faithfulness")


def as_it_is(_: int, answer: str) -> str:
    return answer


def spoilt(number: int, answer: str) -> str:
    """Two of three answers say something of their own."""
    return f"{answer} {FOREIGN[0]}." if number % 3 else answer


def first_sentence(answer: str) -> str:
    start, end = sentence_spans(answer)[0]
    return answer[start:end].strip()


def test_an_arm_that_makes_nothing_up_is_better_and_the_other_worse(answered: list[Row], judge: ChatModel) -> None:
    up, down = judged(answered, judge, spoilt, as_it_is), judged(answered, judge, as_it_is, spoilt)
    assert (up.against["base"].verdict, down.against["base"].verdict) == ("better", "worse")
    assert up.against["base"].difference == pytest.approx(-(down.against["base"].difference or 0.0))


def test_two_arms_that_err_as_often_on_other_questions_cannot_be_told_apart(
    answered: list[Row], judge: ChatModel
) -> None:
    found = judged(answered, judge, spoilt, lambda number, answer: spoilt(number + 1, answer)).against["base"]
    assert (found.verdict, found.low < 0 < found.high) == ("cannot tell", True)  # type: ignore[operator]


def test_an_arm_that_loses_a_tenth_of_its_answers_gets_no_verdict(answered: list[Row], judge: ChatModel) -> None:
    found = judged(answered, judge, spoilt, lambda number, answer: "" if number % 10 == 1 else answer).against["base"]
    assert found.verdict == "cannot tell"
    assert found.why == "3 of 30 answers of tuned are unscored"
    assert found.unscored["tuned"] == {"the answer makes no statements": 3}
    assert found.low > 0  # type: ignore[operator]  # what was scored alone would have been called better


def test_a_gain_that_comes_from_shorter_answers_is_put_down_to_length(answered: list[Row], judge: ChatModel) -> None:
    def rambling(number: int, answer: str) -> str:
        return " ".join([first_sentence(answer), *(f"{said}." for said in FOREIGN[: number % 4])])

    found = judged(answered, judge, rambling, lambda _, answer: first_sentence(answer))
    assert found.against["base"].verdict == "better"
    assert found.breakdown.length is not None
    assert found.breakdown.length.mostly_length
    assert any(told.endswith(": most of it is length") for told in found.breakdown.in_words())


def test_a_gain_of_some_questions_only_is_found_where_it_is(answered: list[Row], judge: ChatModel) -> None:
    def spoilt_first(number: int, answer: str) -> str:
        return f"{answer} {FOREIGN[0]}." if number < 15 else answer

    found = judged(answered, judge, spoilt_first, as_it_is).breakdown
    assert {label: one.verdict for label, one in found.splits["half"].items()} == {
        "first": "better",
        "second": "cannot tell",
    }
    assert found.contrasts["half"] is not None
    assert not found.contrasts["half"].holds(0.0)
    assert "first differs from the rest by +0." in found.in_words()[0]
