"""Evaluation: a failing row harms no other, and what has no score says why."""

import json
from statistics import fmean
from typing import Any

import pytest

from minirag import evaluate
from minirag.errors import InputError, ServiceError
from minirag.metrics.score import ragas_score
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


def test_rows_of_one_id_are_told_apart_and_rounds_are_distinct_calls_averaged_per_row():
    judge = ScriptedChat(NEEDED)
    scores = evaluate([{**ROW, "id": "a"}, {**ROW, "id": "a"}], ["context_relevancy"], judge, rounds=2)
    assert [(s.question_id, s.round) for s in scores] == [("a", 0), ("a", 1), ("a#2", 0), ("a#2", 1)]
    assert [score.value for score in scores.of("", "context_relevancy", ["a", "a#2"])] == [0.5, 0.5]
    assert len(judge.asked) == 4


def test_unknown_metrics_and_a_missing_embedding_are_found_before_a_call():
    judge = ScriptedChat(NEEDED)
    for metrics in (["truth"], [], ["answer_relevancy"]):
        with pytest.raises(InputError):
            evaluate([ROW], metrics, judge)
    assert judge.asked == []


def test_the_article_s_scores_have_its_ragas_score(article):
    for arm, expected in (("base", 0.8947), ("ft", 0.9207)):
        means = [fmean(article[f"{arm}_{metric}"]) for metric in ("faithfulness", "answer_relevancy")]
        assert round(ragas_score(means), 4) == expected


def test_the_calls_about_one_question_follow_each_other_and_the_scores_keep_their_order():
    asked: list[str] = []

    def reply(messages: Any) -> str:
        asked.append("Who?" if "Who?" in messages[-1]["content"] else "Why?")
        return json.dumps(NEEDED)

    rows = [{**ROW, "question": q, "question_id": q, "arm": arm} for arm in ("base", "tuned") for q in ("Who?", "Why?")]
    scores = evaluate(rows, ["context_relevancy"], FunctionChat(reply), workers=1)
    assert asked == ["Who?", "Who?", "Why?", "Why?"]
    assert [(s.arm, s.question_id) for s in scores] == [(row["arm"], row["question_id"]) for row in rows]
