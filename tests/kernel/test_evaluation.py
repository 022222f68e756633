"""Evaluation: a failing row harms no other, what has no score says why, and hand-computed rows come out as computed."""

import json
import random
import runpy
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from doubles import Rows
from minirag import evaluate, prompts
from minirag.errors import InputError, ServiceError
from minirag.testing import FunctionChat, ScriptedChat

ROW = {"question": "Who?", "answer": "Ann.", "contexts": ["Ann did it.", "It rained."]}
NEEDED = {"needed": [1]}


def test_a_failing_row_is_unscored_with_its_reason_and_harms_no_other():
    def reply(messages: Any) -> str:
        if "Bad" in messages[-1]["content"]:
            raise ServiceError("The service answered 500: sorry.")
        return json.dumps(NEEDED)

    rows = [ROW, {**ROW, "question": "Bad?"}, ROW]
    scores = evaluate(rows, ["context_relevancy"], FunctionChat(reply), workers=3)
    assert [s.score.value for s in scores] == [0.5, None, 0.5]
    assert [s.failed for s in scores] == [False, True, False]
    assert scores[1].score.reason == "The service answered 500: sorry."


def test_a_row_that_names_no_contexts_is_unscored_where_they_are_needed():
    row = {"question": "Who?", "answer": "Ann.", "context": ["misspelt"]}
    scores = evaluate([row], ["faithfulness", "context_relevancy"], ScriptedChat(NEEDED))
    assert [s.score.reason for s in scores] == ["the row names no contexts"] * 2


def test_rounds_are_distinct_calls_and_averaged_by_question_like_rows_of_one_id():
    judge = ScriptedChat(NEEDED, {"needed": []})
    scores = evaluate([ROW, {**ROW, "id": "1"}], ["context_relevancy"], judge, rounds=2, workers=1)
    assert [(s.question_id, s.round, s.score.value) for s in scores] == [
        ("1", 0, 0.5),
        *[("1", i, 0.0) for i in (1, 0, 1)],
    ]
    assert [score.value for score in scores.of("", "context_relevancy", ["1", "2"])] == [0.125, None]


def test_unknown_metrics_and_a_missing_embedding_are_found_before_a_call():
    judge = ScriptedChat(NEEDED)
    for metrics in (["truth"], [], ["answer_relevancy"]):
        with pytest.raises(InputError):
            evaluate([ROW], metrics, judge)
    assert judge.asked == []


def test_the_calls_about_one_question_follow_each_other_and_the_scores_keep_their_order():
    asked: list[str] = []

    def reply(messages: Any) -> str:
        asked.append("Who?" if "Who?" in messages[-1]["content"] else "Why?")
        return json.dumps(NEEDED)

    rows = [{**ROW, "question": q, "question_id": q, "arm": arm} for arm in ("base", "tuned") for q in ("Who?", "Why?")]
    scores = evaluate(rows, ["context_relevancy"], FunctionChat(reply), workers=1)
    assert asked == ["Who?", "Who?", "Why?", "Why?"]
    assert [(s.arm, s.question_id) for s in scores] == [(row["arm"], row["question_id"]) for row in rows]


METRICS = ["faithfulness", "answer_relevancy", "context_precision", "context_recall"]
Scenario = dict[str, Any]


@pytest.fixture
def scenarios(shared):
    rows: list[Scenario] = json.loads((shared / "ragas" / "scenarios.json").read_text("utf-8"))
    assert len(rows) == 22
    return rows


@pytest.fixture
def embed(shared):
    """The embedding that the expected relevancies were computed with."""
    one = runpy.run_path(str(shared / "ragas" / "embedding.py"))["embed"]
    return Rows(lambda texts: [one(text) for text in texts])


def answer_from(scenarios: Sequence[Scenario], messages: Sequence[Mapping[str, Any]]) -> str:
    """What the scenarios' table says to a prompt, which it finds by its texts."""
    prompt = prompts.parse(messages)
    by_answer = {row["answer"]: row for row in scenarios}
    match prompt.task:
        case "statements":
            reply: Any = {"statements": [s["text"] for s in by_answer[prompt.answer]["statements"]]}
        case "reverse":
            asked = by_answer[prompt.answer]["gen_questions"]
            reply = {"questions": [{"question": g["q"], "noncommittal": g["noncommittal"]} for g in asked]}
        case "verdicts":
            shown = [e.text for e in prompt.excerpts]
            known = {
                " ".join(one["text"].split()): one.get("verdict", one.get("attributed"))
                for row in scenarios
                if [c.strip() for c in row["contexts"]] == shown
                for one in (*row["statements"], *row["reference_sentences"])
            }
            # the verdict on a statement, or on the reference sentence that holds it
            said = [known[min((t for t in known if text in t), key=len)] for text in prompt.statements]
            reply = {"verdicts": [{"index": i, "reason": "", "supported": yes} for i, yes in enumerate(said, 1)]}
        case "useful":
            row = next(r for r in scenarios if r["question"] == prompt.question)
            flags = enumerate(row["context_relevance"], 1)
            reply = {"verdicts": [{"index": i, "reason": "", "useful": flag} for i, flag in flags]}
        case other:
            raise AssertionError(f"no table for {other}")
    return json.dumps(reply)


def rows_of(scenarios: Sequence[Scenario]) -> list[dict[str, Any]]:
    return [{"id": r["id"], **{k: r[k] for k in ("question", "answer", "contexts", "reference")}} for r in scenarios]


def test_every_row_and_metric_comes_out_as_computed_by_hand_in_any_order(scenarios, embed):
    judge = FunctionChat(lambda messages: answer_from(scenarios, messages))
    first = evaluate(rows_of(scenarios), METRICS, judge, embed, workers=1)
    values = {(s.question_id, s.metric): s.score.value for s in first}
    expected = {(row["id"], metric): row["expected"][metric] for row in scenarios for metric in METRICS}
    assert values == {
        key: value if value is None else pytest.approx(value, abs=1e-6) for key, value in expected.items()
    }
    assert {(s.question_id, s.metric): s.score.reason for s in first if s.score.value is None} == {
        ("edge-zero-statements", "faithfulness"): "the answer makes no statements",
        ("edge-empty-contexts", "context_precision"): "there are no contexts",
    }
    for run in range(10):
        rows, dice = rows_of(scenarios), random.Random(run)
        dice.shuffle(rows)
        metrics = dice.sample(METRICS, len(METRICS))
        scores = evaluate(rows, metrics, judge, embed, workers=1 + run % 16, rounds=1 + run % 3)
        assert all(values[s.question_id, s.metric] == s.score.value for s in scores)
        assert len(scores) == len(values) * (1 + run % 3)
