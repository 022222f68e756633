"""`minirag compare A B` on two files of scores: known columns, pairs, clusters, and what cannot be compared."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from minirag import compare
from minirag.cli.main import main

QUESTIONS = [f"Why {n}?" for n in range(12)]
FIRST = [0.5, 0.25, 1.0, 0.75, 0.5, 0.25, 0.0, 0.5, 0.75, 1.0, 0.5, 0.25]
SECOND = [0.75, 0.5, 1.0, 1.0, 0.75, 0.75, 0.25, 0.5, 1.0, 1.0, 1.0, 0.5]


def written(path: Path, rows: list[dict[str, Any]]) -> str:
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def pair(folder: Path, row: Callable[[str, float], dict[str, Any]]) -> list[str]:
    """Two CSV files with the row that `row` makes of each question and score."""
    scores = {"a.csv": FIRST, "b.csv": SECOND}
    return [written(folder / name, list(map(row, QUESTIONS, column))) for name, column in scores.items()]


def result_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["compare", *arguments, "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


METRIC = {"name": "Faithfulness", "success": True, "threshold": 0.5, "evaluationCost": 0.01}
ECHO = {"success": True, "testIdx": 0, "promptIdx": 0, "provider": {"id": "echo"}, "latencyMs": 9, "cost": 0}
SHAPES: dict[str, Callable[[str, float], dict[str, Any]]] = {
    "ours": lambda q, s: {"question_id": q, "arm": "a", "metric": "faithfulness", "round": 0, "value": s},
    "ragas": lambda q, s: {"user_input": q, "response": "x", "retrieved_contexts": ["y"], "faithfulness": s},
    "deepeval": lambda q, s: {"name": f"of {q}", "input": q, "order": 1, "metricsData": [{**METRIC, "score": s}]},
    "promptfoo": lambda q, s: {"vars": {"topic": q}, **ECHO, "score": s, "namedScores": {"Faithfulness": s}},
}
DOCUMENTS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    **{shape: (shape, lambda rows: rows) for shape in SHAPES},
    "deepeval 4.3": ("deepeval", lambda rows: {"testCases": rows, "metricsScores": []}),
    "deepeval, latest run": ("deepeval", lambda rows: {"testRunData": {"testCases": rows}}),
    "promptfoo 0.121": ("promptfoo", lambda rows: {"evalId": "e", "results": {"version": 3, "results": rows}}),
}


@pytest.mark.parametrize("tool", DOCUMENTS)
def test_every_tool_s_rows_are_paired_by_question_whatever_their_order(
    tool: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shape, document = DOCUMENTS[tool]
    first = written(tmp_path / "a.jsonl", list(map(SHAPES[shape], QUESTIONS, FIRST)))
    second = tmp_path / "a.json"
    second.write_text(json.dumps(document(list(map(SHAPES[shape], QUESTIONS, SECOND))[::-1]), indent=2))
    metrics = result_of(capsys, first, str(second))["metrics"]
    assert metrics.keys() <= {"faithfulness", "score"}
    result, oracle = metrics["faithfulness"], stats.ttest_rel(SECOND, FIRST)
    interval = oracle.confidence_interval(0.95)
    assert result["difference"] == pytest.approx(2.75 / 12)  # by hand
    assert (result["low"], result["high"]) == pytest.approx((interval.low, interval.high), abs=1e-9)
    assert (result["p_value"], result["verdict"]) == (pytest.approx(oracle.pvalue), "better")
    assert main(["compare", first, str(second)]) == 0
    assert "faithfulness (primary) +0.229 [" in capsys.readouterr().out


def test_promptfoo_s_csv_is_read_for_one_model_and_refused_for_several(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = ["[echo] {{question}}", "Status", "Score", "Named Scores", "Metric: Faithfulness", "Grader Reason"]
    for name, scores, models in (("a.csv", FIRST, 1), ("b.csv", SECOND, 1), ("two.csv", SECOND, 2)):
        cells = [["x", "PASS", s, json.dumps({"Faithfulness": s}), s, ""] for s in scores]
        rows = [[q, *(models * cell)] for q, cell in zip(QUESTIONS, cells, strict=True)]
        header = ["question", *own, *(["[other] {{question}}", *own[1:]] if models > 1 else [])]
        with (tmp_path / name).open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows])
    found = result_of(capsys, str(tmp_path / "a.csv"), str(tmp_path / "b.csv"))["metrics"]
    assert list(found) == ["score", "faithfulness"]
    assert found["faithfulness"]["difference"] == pytest.approx(2.75 / 12)
    assert main(["compare", str(tmp_path / "a.csv"), str(tmp_path / "two.csv")]) == 2
    assert "has 2 columns 'Status'; give each model a file of its own" in capsys.readouterr().err


def test_questions_of_one_page_are_clustered_and_one_without_a_page_stands_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = dict(zip(QUESTIONS, ["1", "1", "2", "2", "3", "3", "4", "4", "5", "5", "", ""], strict=True))
    files = pair(tmp_path, lambda q, s: {"question": q, "f": s, "Page": pages[q]})
    found = result_of(capsys, *files, "--cluster", "page")["metrics"]
    oracle = compare(FIRST, SECOND, clusters=[*[*pages.values()][:10], "x", "y"])
    assert list(found) == ["f"]
    assert (found["f"]["n_clusters"], found["f"]["low"]) == (7, pytest.approx(oracle.low))
    assert main(["compare", *files, "--cluster", "chapter"]) == 2
    assert "No row has a chapter" in capsys.readouterr().err


def test_missing_questions_and_scores_are_counted_and_repeated_ones_are_averaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (
        [{"question": q, "f": s} for q, s in zip(QUESTIONS, scores, strict=True)] for scores in (FIRST, SECOND)
    )
    second = [*second[:10], {**second[10], "f": float("nan")}, {**second[0], "f": 0.25}]
    files = written(tmp_path / "a.jsonl", first), written(tmp_path / "b.csv", second)
    found = result_of(capsys, *files)["metrics"]["f"]
    assert (found["n"], found["n_unscored"]) == (10, 2)
    assert found["tuned_mean"] == pytest.approx(np.mean([0.5, *SECOND[1:10]]))
    assert found["why"] == "2 of 12 questions lack one of the two scores"


def test_a_scale_is_named_or_it_is_an_error_and_no_column_disappears_in_silence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = pair(tmp_path, lambda q, s: {"question": q, "stars": 1 + 4 * s, "f": s})
    assert main(["compare", *files, "--metrics", "stars"]) == 2
    assert "The files share no such column of scores" in capsys.readouterr().err
    assert main(["compare", *files, "--json"]) == 0
    said = capsys.readouterr()
    assert list(json.loads(said.out)["metrics"]) == ["f"]
    assert "stars is left out: it holds 3, which is not from 0 to 1; if it is a score, give its range" in said.err
    found = result_of(capsys, *files, "--metrics", "stars", "--range", "1,5")["metrics"]["stars"]
    assert (found["difference"], found["scale"]) == (pytest.approx(11 / 12), [1.0, 5.0])
    assert list(found["fresh_questions"]) == ["0.2", "0.4"]  # a twentieth and a tenth of the scale


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ([{"question": "a", "f": 1}], [{"question": "b", "f": 1}], "no question in common"),
        ([{"question": "a", "f": 1}], [{"question": "a", "g": 1}], "share no such column of scores"),
        ([{"question": "a", "f": 1}], [], "There is no"),
        ([{"question": "a", "f": "good"}], [{"question": "a", "f": "bad"}], "share no such column of scores"),
        ([{"f": 1}], [{"f": 1}], "share no column that names the question"),
        ([SHAPES["ours"]("a", 1), {**SHAPES["ours"]("a", 1), "arm": "b"}], [{"question_id": "a"}], "of 2 models"),
        ([{"vars": "a", "provider": p, "f": 1} for p in "xy"], [{"vars": "a"}], "of 2 models"),
    ],
)
def test_files_that_cannot_be_compared_are_one_sentence(
    first: Any, second: Any, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [written(tmp_path / name, rows) for name, rows in (("a.jsonl", first), ("b.jsonl", second)) if rows]
    assert main(["compare", *files, *([] if second else [str(tmp_path / "b.jsonl")])]) == 2
    assert words in capsys.readouterr().err
