"""Evaluation: rows from anywhere, a failing row harms no other, what has no score is counted and shown."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from minirag import evaluate
from minirag.cli.main import main
from minirag.errors import InputError, ServiceError, ServiceRefused
from minirag.evaluation import ragas_score
from minirag.metrics.judging import read_verdicts
from minirag.replies import NotJSON, json_value
from minirag.rows import Row, as_row, read_rows
from minirag.testing import FunctionChat, ScriptedChat

ROW = {"question": "Who?", "answer": "Ann.", "contexts": ["Ann did it.", "It rained."]}
NEEDED = {"needed": [1]}


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def test_minirag_s_and_ragas_names_give_the_same_row() -> None:
    other = {"user_input": "Who?", "response": "Ann.", "retrieved_contexts": ["Ann did it.", "It rained."]}
    assert as_row(ROW) == as_row(other) == Row("Who?", "Ann.", ("Ann did it.", "It rained."), None, "1", "")


def test_jsonl_and_csv_give_the_same_rows(tmp_path: Path) -> None:
    jsonl = write(tmp_path / "rows.jsonl", {**ROW, "reference": 'She said "Ann, really".'})
    csv = tmp_path / "rows.csv"
    contexts = json.dumps(ROW["contexts"]).replace('"', '""')
    csv.write_text(f'question,answer,contexts,reference\nWho?,Ann.,"{contexts}","She said ""Ann, really""."\n')
    python = tmp_path / "python.csv"
    listed = str(ROW["contexts"])
    python.write_text(
        f'user_input,response,retrieved_contexts,reference\nWho?,Ann.,"{listed}","She said ""Ann, really""."\n'
    )
    assert read_rows(jsonl) == read_rows(csv) == read_rows(python)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "holds no rows"),
        ("\n\n", "holds no rows"),
        ("{", "Line 1"),
        ('{"question": "Q?", "answer": "A"}\n[]', "Line 2"),
        ('{"question": "Q?"}', "'answer'"),
        ('{"question": 3, "answer": "A"}', "'question'"),
        ('{"question": "Q?", "answer": "A", "contexts": [1]}', "contexts of row 1"),
        ('{"question": "Q?", "answer": "A", "contexts": "[1, 2]"}', "contexts of row 1"),
    ],
)
def test_a_file_that_holds_no_rows_is_one_sentence(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(content)
    with pytest.raises(InputError, match=says):
        read_rows(path)


def test_a_text_that_only_looks_like_a_list_is_one_context(tmp_path: Path) -> None:
    text = "[1] The company sells sensors."
    assert as_row({**ROW, "contexts": text}).contexts == (text,)
    odd = "one\u2028two\x85three\x0cfour"
    assert read_rows(write(tmp_path / "rows.jsonl", {**ROW, "answer": odd}))[0].answer == odd


def test_missing_files_folders_without_a_run_and_bytes(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(InputError):
            read_rows(path)
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read"):
        read_rows(tmp_path / "x.csv")


def test_a_failing_row_is_unscored_with_its_reason_and_harms_no_other() -> None:
    def reply(messages: Any) -> str:
        if "Bad" in messages[-1]["content"]:
            raise ServiceError("The service answered 500: sorry.")
        return json.dumps(NEEDED)

    rows = [ROW, {**ROW, "question": "Bad?"}, ROW]
    scores = evaluate(rows, ["context_relevancy"], FunctionChat(reply), workers=3)
    assert [s.score.value for s in scores] == [0.5, None, 0.5]
    assert [s.failed for s in scores] == [False, True, False]
    assert scores.mean("", "context_relevancy") == (0.5, 2, 1)
    assert scores.reasons("", "context_relevancy") == {"The service answered 500: sorry.": 1}


def test_a_row_that_names_no_contexts_is_unscored_where_they_are_needed() -> None:
    row = {"question": "Who?", "answer": "Ann.", "context": ["misspelt"]}
    scores = evaluate([row], ["faithfulness", "context_relevancy"], ScriptedChat(NEEDED))
    assert [s.score.reason for s in scores] == ["the row names no contexts"] * 2


def test_lone_surrogates_in_rows_are_replaced() -> None:
    assert as_row({**ROW, "question": "bad \udc80?"}).question == "bad ??"


def test_a_mistake_inside_the_judge_is_no_fault_of_its_reply() -> None:
    def reply(_: Any) -> str:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        evaluate([ROW], ["context_relevancy"], FunctionChat(reply))


def test_a_judge_that_refuses_all_work_stops_it() -> None:
    def reply(_: Any) -> str:
        raise ServiceRefused("no key")

    with pytest.raises(ServiceRefused):
        evaluate([ROW] * 50, ["context_relevancy"], FunctionChat(reply))


def test_rows_of_one_id_are_told_apart_and_rounds_are_averaged_per_row() -> None:
    scores = evaluate([{**ROW, "id": "a"}, {**ROW, "id": "a"}], ["context_relevancy"], ScriptedChat(NEEDED), rounds=2)
    assert [(s.question_id, s.round) for s in scores] == [("a", 0), ("a", 1), ("a#2", 0), ("a#2", 1)]
    assert scores.mean("", "context_relevancy") == (0.5, 2, 0)


def test_a_path_serves_as_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", ROW, ROW)
    assert len(evaluate(path, ["context_relevancy"], ScriptedChat(NEEDED))) == 2


def test_rounds_are_distinct_calls() -> None:
    judge = ScriptedChat(NEEDED)
    evaluate([ROW], ["context_relevancy"], judge, rounds=3)
    assert len(judge.asked) == 3


def test_unknown_metrics_and_a_missing_embedding_are_found_before_a_call() -> None:
    judge = ScriptedChat(NEEDED)
    for metrics in (["truth"], [], ["answer_relevancy"]):
        with pytest.raises(InputError):
            evaluate([ROW], metrics, judge)
    assert judge.asked == []


def test_the_summary_gives_means_with_n_and_reasons_and_the_harmonic_mean() -> None:
    scores = evaluate([ROW, {**ROW, "contexts": []}], ["context_relevancy"], ScriptedChat(NEEDED))
    facts = scores.summary()[""]
    assert facts["context_relevancy"] == {
        "mean": 0.5,
        "n": 1,
        "n_unscored": 1,
        "unscored": {"there are no contexts": 1},
    }
    assert facts["ragas_score"] == 0.5


def test_the_article_s_scores_have_its_ragas_score(shared: Path) -> None:
    import csv

    with (shared / "nvidia-10k" / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    for arm, expected in (("base", 0.8947), ("ft", 0.9207)):
        means = [sum(float(r[f"{arm}_{m}"]) for r in rows) / len(rows) for m in ("faithfulness", "answer_relevancy")]
        assert round(ragas_score(means), 4) == expected


def test_scores_become_a_data_frame_where_pandas_is_there() -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    frame = evaluate([ROW], ["context_relevancy"], ScriptedChat(NEEDED)).to_pandas()
    assert frame.loc[0, "value"] == 0.5


# -- the command -------------------------------------------------------------------------------------------


def test_the_command_scores_a_file_and_a_second_call_sends_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "mine.jsonl", {**ROW, "reference": "Ann did it."}, {**ROW, "answer": "I do not know."})
    command = ["evaluate", "mine.jsonl", "--offline", "--metrics", "faithfulness,context_recall", "--json"]
    assert main(command) == 0
    first = json.loads(capsys.readouterr().out)
    assert first[""]["faithfulness"]["n_unscored"] == 1
    assert first[""]["context_recall"]["mean"] == 1.0
    log = (tmp_path / "mine.jsonl-scores" / "messages.jsonl").read_bytes()
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out) == first
    assert (tmp_path / "mine.jsonl-scores" / "messages.jsonl").read_bytes() == log
    assert main(command[:-1]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) < 80


def test_scores_never_replace_the_rows_they_come_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "scores.jsonl", ROW)
    assert main(["evaluate", str(path), "--offline", "--out", str(tmp_path)]) == 2
    assert "would replace" in capsys.readouterr().err
    assert read_rows(path) == [as_row(ROW)]


def test_bad_rows_are_one_sentence_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.jsonl").write_text("{")
    assert main(["evaluate", str(tmp_path / "bad.jsonl"), "--offline"]) == 2
    assert main(["evaluate", str(tmp_path / "none.jsonl"), "--offline"]) == 2
    assert main(["evaluate", str(write(tmp_path / "ok.jsonl", ROW))]) == 2
    assert capsys.readouterr().err.count("minirag: ") == 3


# -- real judges' replies ----------------------------------------------------------------------------------


def judged(shared: Path) -> list[tuple[str, str]]:
    """The texts of recorded replies of judges and to schemas."""
    found = []
    for line in (shared / "openai" / "recordings" / "chat.jsonl").read_text("utf-8").splitlines():
        item = json.loads(line)
        body = item["response"]["body"]
        if isinstance(body, dict) and {"chat:judge", "chat:json_schema"} & set(item["features"]):
            message = body["choices"][0].get("message") or {}
            found.append((message.get("content") or "", body["choices"][0]["finish_reason"]))
    return found


def test_recorded_judge_replies_go_through_the_parser_without_a_traceback(shared: Path) -> None:
    outcomes = Counter(_outcome(text) for text, _ in judged(shared))
    assert sum(outcomes.values()) > 70
    assert outcomes.keys() == {"verdicts", "ValueError", "NotJSON"}


def _outcome(text: str) -> str:
    try:
        read_verdicts(json_value(text), ["The capital of France is Paris."], "supported")
    except ValueError as fault:
        return type(fault).__name__
    return "verdicts"


def test_recorded_replies_in_ragas_shapes_give_the_verdicts_that_stand_in_them(shared: Path) -> None:
    texts = [text for text, _ in judged(shared) if re.search(r'"verdict"', text)]
    assert len(texts) >= 6
    for text in texts:
        statements = re.findall(r'"statement": "([^"]*)"', text) or ["the only one"]
        stated = [bool(int(digit)) for digit in re.findall(r'"verdict": ([01])', text)]
        assert [v.positive for v in read_verdicts(json_value(text), statements, "supported")] == stated


def test_a_cut_off_reply_is_never_read_as_the_part_that_is_there() -> None:
    whole = '{"verdicts": [{"index": 1, "supported": true}, {"index": 2, "supported": false}]}'
    for cut in range(len(whole)):
        with pytest.raises(NotJSON):
            json_value(whole[:cut])
