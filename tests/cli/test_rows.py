"""`minirag evaluate FILE`: rows from anywhere, scored; what has no score is counted and shown."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minirag.cli.main import main
from minirag.cli.rows import read_rows
from minirag.errors import InputError
from minirag.metrics.evaluation import as_row

ROW = {"question": "Who?", "answer": "Ann.", "contexts": ["Ann did it.", "It rained."]}


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize(
    "contexts",
    [["a.", "b."], ['It\'s; [1] "so",\nand é.', "'b'", "c\\n"], ["one"], [f"Context {n}, " * 9 for n in range(30)]],
)
def test_a_table_of_any_program_gives_the_same_contexts(
    tmp_path: Path, contexts: list[str], delimiter: str, encoding: str
) -> None:
    """As numpy, Python and JSON write a list, and as spreadsheets write a table; the same as a JSON Lines file."""
    expected = {"question": "Who?", "answer": 'Ann; Bob, and "others".', "contexts": contexts}
    for number, cell in enumerate([str(np.array(contexts, dtype=object)), str(contexts), json.dumps(contexts)]):
        path = tmp_path / f"{number}.csv"
        with path.open("w", encoding=encoding, newline="") as file:
            csv.writer(file, delimiter=delimiter).writerows([expected, {**expected, "contexts": cell}.values()])
        assert read_rows(path) == read_rows(write(tmp_path / "rows.jsonl", expected))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "holds no rows"),
        ("{", "Line 1"),
        ('{"question": "Q?", "answer": "A"}\n[]', "Row 2"),
        ('{"question": "Q?"}', "'answer'"),
        ('{"question": 3, "answer": "A"}', "'question'"),
        ('{"question": "Q?", "answer": "A", "contexts": [1]}', "contexts of row 1"),
    ],
)
def test_a_file_that_holds_no_rows_is_one_sentence(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(content)
    with pytest.raises(InputError, match=says):
        read_rows(path)


def test_a_text_that_only_looks_like_a_list_is_one_context(tmp_path: Path) -> None:
    text = "[1] The company sells sensors."
    assert read_rows(write(tmp_path / "rows.jsonl", {**ROW, "contexts": text}))[0].contexts == (text,)
    odd = "one\u2028two\x85three\x0cfour"
    assert read_rows(write(tmp_path / "rows.jsonl", {**ROW, "answer": odd}))[0].answer == odd


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
