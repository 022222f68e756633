"""Effects planted in the answers of a run and judged again: the right verdict, or the right reason for none."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from minirag import ChatModel, offline
from minirag.evaluation import evaluate
from minirag.questions import Question
from minirag.rows import Row
from minirag.service import Service
from minirag.statistics.breakdown import Traits
from minirag.statistics.findings import Evaluation, Findings, findings
from minirag.text import words
from planted import FOREIGN, Planter, first_sentence, rambling, rates, teacher_answers

Plant = Callable[[int, str], str]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """The teacher's answers to 60 questions of the sample report."""
    rows = teacher_answers(tmp_path_factory.mktemp("run"), 60)
    assert len(rows) >= 55
    return rows


@pytest.fixture(scope="module")
def answered(answers: list[Row]) -> list[Row]:
    """Thirty of them."""
    assert len({row.page for row in answers[::2][:30]}) >= 8
    return answers[::2][:30]


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
    found = judged(
        answered, judge, lambda number, answer: rambling(answer, number % 4), lambda _, answer: first_sentence(answer)
    )
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


def test_whatever_is_planted_in_many_evaluations_is_read_rightly_in_nearly_all(
    answers: list[Row], judge: ChatModel
) -> None:
    """`scripts/planted_effects` draws hundreds."""
    found = rates(Planter(answers, judge), 8)
    assert len(found) == 6
    assert all(rate >= 7 / 8 for rate in found.values()), found
