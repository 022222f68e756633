"""Effects planted in the answers of a run and judged again: the right verdict, or the right reason for none."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from minirag import ChatModel, offline
from minirag.cli.main import main
from minirag.cli.rows import judged_answers
from minirag.metrics.evaluation import Row, evaluate
from minirag.service import Service
from minirag.statistics.findings import Evaluation, findings

SAMPLE = Path(__file__).parents[2] / "minirag" / "data" / "sample-report.pdf"
FOREIGN = "The harbour of Rotterdam closed in 1871."
Plant = Callable[[int, str], str]
Answers = list[tuple[Row, str]]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """The teacher's answers to thirty questions about the sample report, each with its page."""
    out = tmp_path_factory.mktemp("run")
    options = ["--offline", "--tuned", "offline-teacher", "--train-questions", "1", "--eval-questions", "40"]
    assert main(["evaluate", str(SAMPLE), *options, "--metrics", "faithfulness", "--out", str(out)]) == 0
    rows = [
        (Row(row["question"], row["answer"], tuple(row["contexts"]), question_id=row["question_id"]), page)
        for row, page in judged_answers(out)
        if row["arm"] == "teacher" and len(row["answer"].split()) > 5
    ]
    assert len({page for _, page in rows[:30]}) >= 8
    return rows[:30]


@pytest.fixture(scope="module")
def judge() -> Iterator[ChatModel]:
    with offline.serve() as server, Service(server.base_url, "k") as service:
        yield ChatModel("offline-judge", service=service)


def judged(answers: Answers, judge: ChatModel, base: Plant, tuned: Plant) -> dict[str, Any]:
    """The findings where each arm gives what `base` or `tuned` make of the n-th answer."""
    altered = [
        replace(row, arm=arm, answer=plant(number, row.answer))
        for arm, plant in (("base", base), ("tuned", tuned))
        for number, (row, _) in enumerate(answers)
    ]
    evaluation = Evaluation(
        arms=("base", "tuned"),
        ids=[row.question_id for row, _ in answers],
        sound=[True] * len(answers),
        pages=[page for _, page in answers],
        metrics=["faithfulness"],
        scores=evaluate(altered, ["faithfulness"], judge),
        kinds={},
    )
    return findings(evaluation, "faithfulness")


def as_it_is(_: int, answer: str) -> str:
    return answer


def spoilt(number: int, answer: str) -> str:
    """Two of three answers say something of their own."""
    return f"{answer} {FOREIGN}" if number % 3 else answer


def test_an_arm_that_makes_nothing_up_is_better_and_the_other_worse(answers: Answers, judge: ChatModel) -> None:
    up, down = judged(answers, judge, spoilt, as_it_is), judged(answers, judge, as_it_is, spoilt)
    assert (up["verdict"], down["verdict"]) == ("better", "worse")
    assert up["difference"] == pytest.approx(-down["difference"])


def test_two_arms_that_err_as_often_on_other_questions_cannot_be_told_apart(answers: Answers, judge: ChatModel) -> None:
    found = judged(answers, judge, spoilt, lambda number, answer: spoilt(number + 1, answer))
    assert (found["verdict"], found["low"] < 0 < found["high"]) == ("cannot tell", True)


def test_an_arm_that_loses_a_tenth_of_its_answers_gets_no_verdict(answers: Answers, judge: ChatModel) -> None:
    found = judged(answers, judge, spoilt, lambda number, answer: "" if number % 10 == 1 else answer)
    assert found["verdict"] == "cannot tell"
    assert found["why"] == "3 of 30 answers of tuned are unscored"
    assert found["unscored"]["tuned"] == {"the answer makes no statements": 3}
    assert found["low"] > 0  # what was scored alone would have been called better
