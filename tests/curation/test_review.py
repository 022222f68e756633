"""A person's review of the questions: by keys, in an editor, resumed, and what a rejection does."""

import io
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from minirag.cli.main import main
from minirag.curation.decisions import read_decisions

SAMPLE = str(Path(__file__).parents[2] / "minirag" / "data" / "sample-report.pdf")
COUNTS = ["--train-questions", "4", "--eval-questions", "3"]


def review(out: Path, typed: str, monkeypatch: pytest.MonkeyPatch, *more: str) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    return main(["questions", SAMPLE, "--offline", *COUNTS, "--out", str(out), *(more or ("--review",))])


def asked(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "questions.jsonl").read_text("utf-8").splitlines()]


def test_a_rejected_question_is_replaced_by_another_and_never_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert review(tmp_path, "q\n", monkeypatch) == 0
    before = [question["text"] for question in asked(tmp_path)]
    capsys.readouterr()
    assert review(tmp_path, "n\nq\n", monkeypatch) == 0
    (text,) = read_decisions(tmp_path)
    after = [question["text"] for question in asked(tmp_path)]
    assert (len(after), text in before, text in after) == (7, True, False)
    assert len(set(after) - set(before)) == 1
    assert max(map(len, capsys.readouterr().err.splitlines())) <= 120
    assert main(["questions", "--out", str(tmp_path)]) == 0
    assert [question["text"] for question in asked(tmp_path)] == after


def test_decisions_are_kept_as_they_are_made_and_only_the_rest_is_shown_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert review(tmp_path, "y\ne\nWhat does Tarnwick Instruments make in Zwolle?\n", monkeypatch) == 0
    assert "2 questions accepted, 5 not decided" in capsys.readouterr().err
    reworded = [q for q in asked(tmp_path) if q["text"] == "What does Tarnwick Instruments make in Zwolle?"]
    assert "accepted in review" in reworded[0]["flags"]
    assert review(tmp_path, "y\n" * 9, monkeypatch) == 0
    said = capsys.readouterr().err
    assert "1/5" in said
    assert "7 questions accepted, 0 not decided" in said
    facts = json.loads((tmp_path / "run.json").read_text())
    assert list(facts["a_person_said"]) == ["decisions.jsonl"]


def test_keys_that_mean_nothing_are_asked_again_and_a_page_is_shown_on_demand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert review(tmp_path, "?\n\nwhat\np\nY\nq\n", monkeypatch) == 0
    assert [d.accepted for d in read_decisions(tmp_path).values()] == [True]
    assert "  | " in capsys.readouterr().err


def test_questions_of_a_file_are_left_out_when_rejected_but_never_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "eval.txt").write_text("What does Tarnwick make?\nWho founded Tarnwick in 1986?\n")
    options = ["--eval-questions", str(tmp_path / "eval.txt"), "--review"]
    assert review(tmp_path / "o", "n\nq\n", monkeypatch, *options) == 0
    assert sum(question["split"] == "eval" for question in asked(tmp_path / "o")) == 1
    assert review(tmp_path / "o", "n\nq\n", monkeypatch, *options) == 2
    assert "Every eval question was rejected" in capsys.readouterr().err


def editor(tmp_path: Path, script: str) -> str:
    path = tmp_path / "editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_an_editor_takes_all_questions_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv(
        "EDITOR", editor(tmp_path, "sed -i 's/^skip/accept/; s/^accept e002 .*/accept e002 Who runs it?/' $1")
    )
    assert review(tmp_path / "o", "", monkeypatch, "--editor") == 0
    decisions = read_decisions(tmp_path / "o").values()
    assert [d.accepted for d in decisions] == [True] * 7
    assert [d.text for d in decisions if d.text] == ["Who runs it?"]


@pytest.mark.parametrize(
    ("script", "says"), [("exit 1", "ended with an error"), ("echo 'maybe e001 x' >> $1", "Not understood")]
)
def test_an_editor_that_fails_or_a_line_that_means_nothing_decides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], script: str, says: str
) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", editor(tmp_path, script))
    assert review(tmp_path / "o", "", monkeypatch, "--editor") == 2
    assert says in capsys.readouterr().err
    assert read_decisions(tmp_path / "o") == {}


def test_without_an_editor_it_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("EDITOR", "VISUAL"):
        monkeypatch.delenv(name, raising=False)
    assert review(tmp_path, "", monkeypatch, "--editor") == 2
    assert "Set EDITOR" in capsys.readouterr().err


def test_a_damaged_file_of_decisions_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "decisions.jsonl").write_text('{"question": "Why?", "accepted": true}\n{"x": 1}\n')
    assert review(tmp_path, "", monkeypatch) == 2
    assert "Line 2 of" in capsys.readouterr().err
