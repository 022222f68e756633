"""All hand-computed rows of `ragas/scenarios.json`: every metric, in any order."""

import importlib.util
import json
import random
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from minirag import evaluate
from minirag.offline.reading import parse
from minirag.testing import FunctionChat

METRICS = ["faithfulness", "answer_relevancy", "context_precision", "context_recall"]
Scenario = dict[str, Any]


@pytest.fixture
def scenarios(shared):
    rows: list[Scenario] = json.loads((shared / "ragas" / "scenarios.json").read_text("utf-8"))
    assert len(rows) == 22
    return rows


@pytest.fixture
def grams(shared):
    """The embedding that the expected relevancies were computed with."""
    spec = importlib.util.spec_from_file_location("scenario_embedding", shared / "ragas" / "embedding.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Embedding:
    """The scenario's embedding behind the method of an `EmbeddingModel`."""

    model = "grams"

    def __init__(self, grams: ModuleType) -> None:
        self.grams = grams

    def embed(self, texts: Sequence[str], **_: Any) -> Any:
        return np.array([self.grams.embed(text) for text in texts])


def answer_from(scenarios: Sequence[Scenario], messages: Sequence[Mapping[str, Any]]) -> str:
    """What the scenarios' table says to a prompt, which it finds by its texts."""
    prompt = parse(messages)
    by_answer = {row["answer"]: row for row in scenarios}
    match prompt.task:
        case "statements":
            reply: Any = {"statements": [s["text"] for s in by_answer[prompt.answer]["statements"]]}
        case "reverse":
            asked = by_answer[prompt.answer]["gen_questions"]
            reply = {"questions": [{"question": g["q"], "noncommittal": g["noncommittal"]} for g in asked]}
        case "verdicts":
            shown = [e.text for e in prompt.excerpts]
            row = next(
                r for r in scenarios if [c.strip() for c in r["contexts"]] == shown and _about(r, prompt.statements)
            )
            known = {s["text"]: s["verdict"] for s in row["statements"]}
            known |= {s["text"]: s["attributed"] for s in row["reference_sentences"]}
            pairs = enumerate(prompt.statements, 1)
            reply = {"verdicts": [{"index": i, "reason": "", "supported": _look_up(known, text)} for i, text in pairs]}
        case "useful":
            row = next(r for r in scenarios if r["question"] == prompt.question)
            flags = enumerate(row["context_relevance"], 1)
            reply = {"verdicts": [{"index": i, "reason": "", "useful": flag} for i, flag in flags]}
        case other:
            raise AssertionError(f"no table for {other}")
    return json.dumps(reply)


def _look_up(known: Mapping[str, int], text: str) -> int:
    """The verdict on a statement, or on the reference sentence that holds it."""
    spaced = {" ".join(other.split()): verdict for other, verdict in known.items()}
    return spaced[text] if text in spaced else next(v for other, v in spaced.items() if text in other)


def _about(row: Scenario, statements: Sequence[str]) -> bool:
    own = [" ".join(s["text"].split()) for s in (*row["statements"], *row["reference_sentences"])]
    return all(any(text in other for other in own) for text in statements)


def rows_of(scenarios: Sequence[Scenario]) -> list[dict[str, Any]]:
    return [{"id": r["id"], **{k: r[k] for k in ("question", "answer", "contexts", "reference")}} for r in scenarios]


def test_every_row_and_metric_comes_out_as_computed_by_hand_in_any_order(scenarios, grams):
    judge, embed = FunctionChat(lambda messages: answer_from(scenarios, messages)), Embedding(grams)
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
