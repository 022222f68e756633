"""From the command line to comparison.json and the report: control, rounds, reasons for caution, a person's labels."""

import io
import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import stats

from made_results import made
from minirag import MessageLog
from minirag.cli.main import main
from minirag.errors import InputError
from minirag.metrics import Score
from minirag.metrics.comparison import ARMS
from minirag.metrics.score import ScoredRow, Scores
from minirag.prompts import ANSWER_SYSTEM, CONTROL_SYSTEM, parse
from minirag.statistics import comparison_of, read_labels
from minirag.statistics.caution import conflicts, cut_off, family, repeated
from minirag.statistics.findings import holm, judge_noise, primary_of
from minirag.statistics.labels import claims
from minirag.statistics.power import comparisons, verdicts_in_words
from run_files import SAMPLE


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run with a control and two rounds, its tuned model being another reader."""
    out = tmp_path_factory.mktemp("verdict")
    options = ["--offline", "--tuned", "offline-teacher", "--train-questions", "2", "--eval-questions", "16"]
    assert main(["run", str(SAMPLE), *options, "--control", "--rounds", "2", "--margin", "0.3", "--out", str(out)]) == 0
    return out


def comparison(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "comparison.json").read_text("utf-8")))


def test_the_control_is_the_base_model_with_a_better_prompt(folder):
    told: dict[str, set[tuple[str, str]]] = {arm: set() for arm in ARMS}
    for exchange in MessageLog(folder / "messages.jsonl"):
        if exchange.stage in {"draft", "refine"} and exchange.tags["split"] == "eval":
            told[exchange.tags["arm"]].add((exchange.model, exchange.request["messages"][0]["content"]))
    assert told["base"] == {("offline-student", ANSWER_SYSTEM)}
    assert told["control"] == {("offline-student", CONTROL_SYSTEM)}
    assert told["tuned"] | told["teacher"] == {("offline-teacher", ANSWER_SYSTEM)}


def test_everything_said_stands_in_the_report_and_is_printed_by_compare(folder, capsys):
    assert main(["compare", "--out", str(folder)]) == 0
    printed, page = capsys.readouterr(), (folder / "report.html").read_text("utf-8")
    assert max(map(len, printed.out.splitlines())) < 80 or " " not in max(printed.out.splitlines(), key=len)
    words = " ".join(printed.out.split())  # long sentences are wrapped
    said = comparison(folder)["in_words"]
    assert said["warnings"][0] in printed.err
    for subject in ("the judge's noise", "large losses"):
        assert said[subject]
        for line in said[subject]:
            assert " ".join(line.split()) in words.partition(f"{subject}:")[2]
            assert line.replace("'", "&#x27;") in page
    for subject, verdicts in verdicts_in_words(comparison(folder)).items():
        assert " ".join([f"{subject}:", *verdicts]) in words


def test_answers_that_end_at_the_limit_of_a_reply_are_counted_by_arm():
    whole, cut = made(["Why?", "How?"]).answers, made(["Why?"], finish="length").answers
    assert cut_off(whole) == []
    assert cut_off({**whole, ("tuned", "e0"): cut["tuned", "e0"]}) == [
        "1 of 2 answers of tuned end at the reply's limit of tokens, and were judged as they are."
    ]


def test_a_judge_with_a_stake_and_a_model_that_changed_are_named():
    assert conflicts("big-a", "small-b", "judge-c", {"big-a": ["big-a"]}) == []
    assert "gpt-4.1 is the teacher itself" in conflicts("gpt-4.1", "llama-3", "gpt-4.1", {})[0]
    assert "of the family of the student" in conflicts("gpt-4.1", "meta/llama-3", "Llama-3.1-70B", {})[0]
    assert "changed within the run" in conflicts("a", "b", "c", {"a": ["a-1", "a-2"]})[0]
    names = ("ft:gpt-4o:x::y", "o4-mini", "Qwen2.5-7B", "mixtral-8x7b")
    assert [family(name) for name in names] == ["gpt", "gpt", "qwen", "mistral"]


def label(folder: Path, typed: str, monkeypatch: pytest.MonkeyPatch, *more: str) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    return main(["label", str(folder), "--sample", "60", *more])


def test_a_person_s_labels_are_resumed_and_correct_the_scores_everywhere(folder, monkeypatch, capsys):
    assert label(folder, "y\nn\na\ns\n", monkeypatch) == 0
    shown = capsys.readouterr().err
    assert "3 of 60 statements judged; run again" in shown
    assert "at least 10 labels" in shown
    assert max(map(len, shown.replace(": ", ":\n").splitlines())) < 80
    assert list(read_labels(folder).values()) == [True, False, None]
    scores = Scores.read(folder / "scores.jsonl")
    reasons = {item["reason"] for row in scores for item in row.score.evidence if item.get("reason")}
    assert reasons
    assert not any(reason in shown for reason in reasons)  # a person judges without the judge's opinion
    assert label(folder, "n\n" + "y\n" * 60, monkeypatch) == 0
    printed = capsys.readouterr().out.splitlines()
    labels = read_labels(folder)
    pairs = [(claim.supported > 0.5, labels.get(claim.key)) for claim in claims(scores)]
    yes, no = pairs.count((True, True)), pairs.count((False, False))
    assert printed[0].startswith(f"judge against person on 59 statements: both say yes to {yes} and no to {no}; too ")
    assert any(line.startswith("faithfulness of tuned, corrected by") for line in printed)
    assert main(["report", "--out", str(folder)]) == 0
    assert comparison(folder)["in_words"]["a person's labels"] == printed
    assert printed[0] in (folder / "report.html").read_text("utf-8")
    assert label(folder, "", monkeypatch, "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["too_kind"] == pairs.count((True, False))


def test_a_folder_without_scores_or_with_damaged_labels_is_a_sentence(folder, tmp_path, capsys):
    assert main(["label", str(tmp_path)]) == 2
    assert "evaluate the run first" in capsys.readouterr().err
    for name in ("scores.jsonl", "answers.jsonl", "chunks.jsonl", "questions.jsonl"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    for supported in ("", ', "supported": "yes"'):  # none, and not as `label` writes it
        line = f'{{"question_id": "q01", "arm": "base", "statement": "A."{supported}}}'
        (tmp_path / "labels.jsonl").write_text(f"{line}\n")
        assert main(["label", str(tmp_path)]) == 2
        assert "Line 1 of" in capsys.readouterr().err


def compared(values: dict[str, dict[str, list[float | None]]]) -> dict[str, Any]:
    """The comparison of these values by metric and arm, in the order of the questions."""
    rows = Scores(
        ScoredRow(f"e{i}", arm, metric, 0, Score(value, "" if value is not None else "cut off"))
        for metric, arms in values.items()
        for arm, column in arms.items()
        for i, value in enumerate(column)
    )
    pages = {row.question_id: row.question_id for row in rows}
    return comparison_of(rows, pages, arms=("base", "tuned", "teacher"), metrics=list(values))


RISING = [0.5, 0.6, 0.7, 0.5, 0.6, 0.7, 0.5, 0.6]
MIXED = [0.9, 0.3, 0.9, 0.4, 0.9, 0.3, 0.9, 0.8]


def test_one_comparison_is_primary_and_the_family_is_every_comparison_with_a_verdict():
    values = {
        "faithfulness": {"base": [0.5] * 8, "tuned": [0.6] * 8, "teacher": [0.6] * 8},
        "answer_relevancy": {"base": RISING, "tuned": MIXED, "teacher": [None] + [0.9] * 7},
    }
    result = compared(values)
    found = [one for _, _, one in comparisons(result)]
    assert [one["p_holm"] for one in found] == holm([one["p_value"] for one in found])
    assert result["in_words"]["several comparisons"] == [
        "primary: faithfulness, tuned against base; the other 3 are secondary",
        "1 of 3 are better or worse; after Holm's correction for all 3: faithfulness, tuned against base (better)",
    ]
    verdicts = verdicts_in_words(result)
    assert verdicts["tuned against base"][0].startswith("faithfulness (primary) +0.100 ")
    same, unscored = verdicts["tuned against teacher"]
    assert same == "faithfulness +0.000 [+0.000, +0.000]: cannot tell (the same in every question)"
    assert unscored.endswith("cannot tell (1 of 8 questions lack one of the two scores)")
    assert result["metrics"]["answer_relevancy"]["arms"]["teacher"]["unscored"] == {"cut off": 1}


def test_the_primary_comparison_is_named_by_metric_and_arms():
    metrics, arms = ["faithfulness", "answer_relevancy"], ["base", "teacher"]
    assert primary_of(None, metrics, arms) == ("faithfulness", "base")
    assert primary_of("answer_relevancy", metrics, arms) == ("answer_relevancy", "base")
    assert primary_of("faithfulness:teacher,tuned", metrics, arms) == ("faithfulness", "teacher")
    for name in ("bleu", "faithfulness:base,teacher", "faithfulness:tuned,control", "faithfulness:x"):
        with pytest.raises(InputError, match=f"--primary {name}: name one of the metrics faithfulness, answer_relev"):
            primary_of(name, metrics, arms)
    assert main(["run", str(SAMPLE), "--offline", "--primary", "bleu", "--out", "/nowhere"]) == 2


def test_rare_large_losses_are_said():
    values = {"faithfulness": {"base": [0.9] * 40, "tuned": [0.95] * 39 + [0.0], "teacher": [0.9] * 40}}
    assert compared(values)["in_words"]["large losses"] == [
        f"faithfulness, tuned against {arm}: 1 of 40 questions (2 %) lost more than 0.5; a mean does not speak of rare "
        "disasters"
        for arm in ("base", "teacher")
    ]
    values["faithfulness"]["tuned"] = [0.95] * 40
    (primary,) = compared(values)["in_words"]["large losses"]
    assert primary.startswith("faithfulness, tuned against base: 0 of 40 questions")


def test_a_second_evaluation_of_the_same_questions_says_that_it_is_the_second(folder):
    log = list(MessageLog(folder / "messages.jsonl"))
    questions = [prompt.question for exchange in log if (prompt := parse(exchange.request.get("messages", [])))]
    assert repeated(log, questions) == []
    other = [replace(one, request={**one.request, "temperature": 1}, id="") for one in log if one.stage == "draft"]
    (warning,) = repeated([*log, *other], questions)
    assert warning.startswith("This is evaluation number 2 of these questions")
    assert repeated([*log, *other], ["Another question?"]) == []


def in_rounds(base: list[list[float | None]], tuned: list[list[float | None]]) -> Scores:
    """Scores of these values by round and question."""
    return Scores(
        ScoredRow(f"e{i}", arm, "f", number, Score(value))
        for arm, rounds in (("base", base), ("tuned", tuned))
        for number, column in enumerate(rounds)
        for i, value in enumerate(column)
    )


def test_the_judge_s_noise_is_that_of_the_analysis_of_variance():
    random = np.random.default_rng(0)
    true, noise = random.normal(0.05, 0.2, 200), random.normal(0, 0.1 / np.sqrt(2), (2, 3, 200))
    result = judge_noise(in_rounds(noise[0].tolist(), (true + noise[1]).tolist()), "f")
    differences = true + noise[1] - noise[0]
    within = differences.var(axis=0, ddof=1).mean()
    ratio = stats.f_oneway(*differences.T).statistic
    assert result["judge"] == pytest.approx(within, abs=1e-12)
    assert result["questions"] == pytest.approx(within * (ratio - 1) / 3, abs=1e-9)
    # a round that left an answer unscored is left out of that question alone
    base, tuned = [[0.5, 0.5, 0.5], [0.5, None, 0.5]], [[0.7, 0.6, None], [0.9, 0.6, 0.4]]
    assert judge_noise(in_rounds(base, tuned), "f")["judge"] == pytest.approx(0.02)
    for one_round_or_question in ([[0.5, 0.6]], [[0.5], [0.6]], []):
        assert judge_noise(in_rounds(one_round_or_question, one_round_or_question), "f") is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_it_is_the_closed_test_of_bonferroni(p_values):
    """A metric's p-value is the largest Bonferroni p-value of all the sets of metrics that it belongs to."""
    numbers = range(len(p_values))
    sets = [chosen for size in range(1, len(p_values) + 1) for chosen in combinations(numbers, size)]
    expected = [
        max(min(1.0, len(chosen) * min(p_values[j] for j in chosen)) for chosen in sets if i in chosen) for i in numbers
    ]
    assert holm(p_values) == expected
