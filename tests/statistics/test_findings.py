"""From the command line to comparison.json and the report: control, rounds, reasons for caution, a person's labels."""

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from made_results import made
from minirag import MessageLog
from minirag.cli.main import main
from minirag.metrics import Score
from minirag.metrics.comparison import ARMS, compare
from minirag.metrics.score import ScoredRow, Scores
from minirag.prompts import ANSWER_SYSTEM, CONTROL_SYSTEM
from minirag.statistics import Evaluation, comparison_of, read_labels
from minirag.statistics.caution import conflicts, cut_off, family
from minirag.statistics.holm import holm
from minirag.statistics.power import to_json

SAMPLE = str(Path(__file__).parents[2] / "minirag" / "data" / "sample-report.pdf")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a control and two rounds, its tuned model being another reader."""
    out = tmp_path_factory.mktemp("verdict")
    options = ["--offline", "--tuned", "offline-teacher", "--train-questions", "2", "--eval-questions", "16"]
    assert main(["run", SAMPLE, *options, "--control", "--rounds", "2", "--margin", "0.3", "--out", str(out)]) == 0
    return out


def comparison(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "comparison.json").read_text("utf-8"))
    return found


def test_the_control_is_the_base_model_with_a_better_prompt(folder: Path) -> None:
    told: dict[str, set[tuple[str, str]]] = {arm: set() for arm in ARMS}
    for exchange in MessageLog(folder / "messages.jsonl"):
        if exchange.stage in {"draft", "refine"} and exchange.tags["split"] == "eval":
            told[exchange.tags["arm"]].add((exchange.model, exchange.request["messages"][0]["content"]))
    assert told["base"] == {("offline-student", ANSWER_SYSTEM)}
    assert told["control"] == {("offline-student", CONTROL_SYSTEM)}
    assert told["tuned"] | told["teacher"] == {("offline-teacher", ANSWER_SYSTEM)}


def test_the_comparison_holds_every_pair_with_all_that_tells_how_far_to_trust_it(folder: Path) -> None:
    found = comparison(folder)
    for metric in found["metrics"].values():
        assert set(metric["arms"]) == {"base", "control", "tuned", "teacher"}
        for one in (metric, metric["tuned_against_teacher"], metric["tuned_against_control"]):
            assert {"p_value", "n_needed", "detectable", "worst", "best", "verdict", "why"} <= set(one)
        assert metric["p_holm"] is None or metric["p_holm"] >= metric["p_value"]
        assert metric["tuned_against_teacher"]["difference"] == 0.0
        assert set(metric["without_flagged"]) == {f"tuned_against_{arm}" for arm in ("base", "teacher", "control")}
        assert metric["noise"]["flips"] == 0.0
        assert set(metric["breakdown"]["splits"]) == {"source page", "calls", "abstention"}
    assert found["verdict_against_control"].startswith("tuned against control: faithfulness")
    assert set(found["ragas_score_compared"]) == {f"tuned_against_{arm}" for arm in ("base", "teacher", "control")}


def test_everything_said_stands_in_the_report_and_is_printed_by_compare(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "--out", str(folder)]) == 0
    printed, page = capsys.readouterr(), (folder / "report.html").read_text("utf-8")
    said = comparison(folder)["in_words"]
    assert said["warnings"][0] in printed.err
    for subject in ("the teacher's lead", "the judge's noise", "where the change comes from"):
        assert said[subject]
        for line in said[subject]:
            assert f"\n  {line}\n" in printed.out.partition(f"{subject}:")[2]
            assert line.replace("'", "&#x27;") in page
    for arm in ("", "_against_teacher", "_against_control"):
        about, _, told = comparison(folder)[f"verdict{arm}"].partition(": ")
        assert "\n  ".join([f"{about}:", *told.split("; ")]) in printed.out


def test_answers_that_end_at_the_limit_of_a_reply_are_counted_by_arm() -> None:
    whole, cut = made(["Why?", "How?"]).answers, made(["Why?"], finish="length").answers
    assert cut_off(whole) == []
    assert cut_off({**whole, ("tuned", "e0"): cut["tuned", "e0"]}) == [
        "1 of 2 answers of tuned end at the reply's limit of tokens, and were judged as they are."
    ]


def test_a_judge_with_a_stake_and_a_model_that_changed_are_named() -> None:
    assert conflicts("big-a", "small-b", "judge-c", {"big-a": ["big-a"]}) == []
    assert (
        conflicts("gpt-4.1", "llama-3", "gpt-4.1", {})[0]
        == "The judge gpt-4.1 is the teacher itself: it judges its own answers."
    )
    assert "of the family of the student" in conflicts("gpt-4.1", "meta/llama-3", "Llama-3.1-70B", {})[0]
    assert "changed within the run" in conflicts("a", "b", "c", {"a": ["a-1", "a-2"]})[0]
    names = ("ft:gpt-4o:x::y", "o4-mini", "Qwen2.5-7B", "mixtral-8x7b")
    assert [family(name) for name in names] == ["gpt", "gpt", "qwen", "mistral"]


def label(folder: Path, typed: str, monkeypatch: pytest.MonkeyPatch, *more: str) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    return main(["label", str(folder), "--sample", "24", *more])


def test_a_person_s_labels_are_resumed_and_correct_the_scores_everywhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert label(folder, "y\nn\na\ns\n", monkeypatch) == 0
    shown = capsys.readouterr()
    assert "3 of 24 statements judged; run again" in shown.err
    assert "at least 10 labels" in shown.err
    assert max(map(len, shown.err.replace(": ", ":\n").splitlines())) < 80
    assert list(read_labels(folder).values()) == [True, False, None]
    rows = [json.loads(line) for line in (folder / "scores.jsonl").read_text("utf-8").splitlines()]
    reasons = [item["reason"] for row in rows for item in row["evidence"] if item.get("reason")]
    assert reasons
    assert not any(reason in shown.err for reason in reasons)  # a person judges without the judge's opinion
    assert label(folder, "n\n" + "y\n" * 40, monkeypatch) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("judge against person on 23 statements: 21 alike, kappa ")
    assert any(line.startswith("faithfulness, tuned against base, corrected by") for line in printed)
    assert main(["report", "--out", str(folder)]) == 0
    assert comparison(folder)["in_words"]["a person's labels"] == printed
    assert printed[0] in (folder / "report.html").read_text("utf-8")
    assert label(folder, "", monkeypatch, "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["agreement"]["too_kind"] == 2


def test_a_folder_without_scores_or_with_damaged_labels_is_a_sentence(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["label", str(tmp_path)]) == 2
    assert "evaluate the run first" in capsys.readouterr().err
    for name in ("scores.jsonl", "answers.jsonl", "chunks.jsonl", "questions.jsonl"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "labels.jsonl").write_text("{}\n")
    assert main(["label", str(tmp_path)]) == 2
    assert "Line 1 of" in capsys.readouterr().err


def scored(values: dict[str, dict[str, list[float | None]]], flagged: Sequence[int] = ()) -> Evaluation:
    """An evaluation of these values by metric and arm, in the order of the questions; some questions are flagged."""
    count = len(next(iter(next(iter(values.values())).values())))
    rows = [
        ScoredRow(f"e{i}", arm, metric, 0, Score(value, "" if value is not None else "cut off"))
        for metric, arms in values.items()
        for arm, column in arms.items()
        for i, value in enumerate(column)
    ]
    return Evaluation(
        arms=("base", "tuned", "teacher"),
        ids=[f"e{i}" for i in range(count)],
        pages=range(count),
        sound=[i not in flagged for i in range(count)],
        metrics=list(values),
        scores=Scores(rows),
        kinds={},
    )


RISING = [0.5, 0.6, 0.7, 0.5, 0.6, 0.7, 0.5, 0.6]
HIGHER = [0.9, 0.8, 0.9, 0.9, 0.9, 0.8, 0.9, 0.9]
MIXED = [0.9, 0.3, 0.9, 0.4, 0.9, 0.3, 0.9, 0.8]


def test_several_metrics_are_corrected_together_and_the_risk_is_said() -> None:
    values = {
        "faithfulness": {"base": RISING, "tuned": HIGHER, "teacher": HIGHER},
        "answer_relevancy": {"base": RISING, "tuned": MIXED, "teacher": HIGHER},
    }
    found = comparison_of(scored(values))
    p_values = {metric: one["p_value"] for metric, one in found["metrics"].items()}
    assert {metric: one["p_holm"] for metric, one in found["metrics"].items()} == holm(p_values)
    assert found["in_words"]["several metrics"] == [
        "2 metrics: chance alone makes one look different in up to 10 % of evaluations; "
        "after Holm's correction: faithfulness"
    ]


def test_flagged_questions_count_and_the_comparison_without_them_stands_beside() -> None:
    values = {"faithfulness": {"base": [0.0, *RISING[1:]], "tuned": [1.0, *HIGHER[1:]], "teacher": HIGHER}}
    found = comparison_of(scored(values, flagged=[0]))
    one = found["metrics"]["faithfulness"]
    assert found["questions"] == {"n": 8, "flagged": 1}
    assert (one["n"], one["without_flagged"]["tuned_against_base"]["n"]) == (8, 7)
    assert found["in_words"]["flagged questions"][0].startswith(
        "faithfulness, tuned against base, without 1 of 8 questions: +0.271 ["
    )


def test_unscored_answers_are_counted_by_arm_and_reason_with_what_they_could_hide() -> None:
    values = {"faithfulness": {"base": RISING, "tuned": [None, *HIGHER[1:]], "teacher": HIGHER}}
    found = comparison_of(scored(values))
    assert found["metrics"]["faithfulness"]["unscored"] == {"base": {}, "tuned": {"cut off": 1}}
    assert found["metrics"]["faithfulness"]["verdict"] == "cannot tell"
    (told,) = found["in_words"]["unscored answers"]
    assert told.startswith("faithfulness: 1 questions lack a score of base or tuned; had they been judged")


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_it_is_the_closed_test_of_bonferroni(p_values: list[float]) -> None:
    """A metric's p-value is the largest Bonferroni p-value of all the sets of metrics that it belongs to."""
    numbers = range(len(p_values))
    sets = [chosen for size in range(1, len(p_values) + 1) for chosen in combinations(numbers, size)]
    expected = {
        str(i): max(min(1.0, len(chosen) * min(p_values[j] for j in chosen)) for chosen in sets if i in chosen)
        for i in numbers
    }
    assert holm({str(i): p for i, p in enumerate(p_values)}) == expected


def test_each_kind_of_question_gets_the_comparison_of_its_own_questions() -> None:
    values = {"faithfulness": {"base": RISING, "tuned": MIXED, "teacher": HIGHER}}
    calls = ["refine" if i % 2 == 0 else "one call" for i in range(8)]
    found = comparison_of(replace(scored(values), kinds={"calls": calls}))
    parts = found["metrics"]["faithfulness"]["breakdown"]["splits"]["calls"]
    assert list(parts) == ["refine", "one call"]
    assert parts["refine"] == to_json(compare(RISING[::2], MIXED[::2]))
    (told,) = found["in_words"]["where the change comes from"]
    assert told.startswith("faithfulness by calls: refine (4) +0.325 [")
