"""A person's review of the questions: by keys, resumed, and what a rejection does."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from minirag.cli.main import main
from minirag.curation.questions import read_decisions
from run_files import SAMPLE_TEXT, rows


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A run folder with 4 train and 3 eval questions that nobody has reviewed."""
    out = tmp_path_factory.mktemp("written") / "out"
    counts = ["--train-questions", "4", "--eval-questions", "3"]
    assert main(["questions", str(SAMPLE_TEXT), "--offline", *counts, "--out", str(out)]) == 0
    return out


@pytest.fixture
def out(written, tmp_path):
    return Path(shutil.copytree(written, tmp_path / "out"))


@pytest.fixture
def review(out, monkeypatch):
    """Review the questions of `out` with what a person types."""

    def reviewed(typed: str, *more: str) -> int:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        return main(["questions", "--out", str(out), *(more or ("--review",))])

    return reviewed


def asked(out: Path) -> list[dict[str, Any]]:
    return rows(out / "questions.jsonl")


def test_a_rejected_question_is_replaced_by_another_and_never_comes_back(out, review, capsys):
    before = [question["text"] for question in asked(out)]
    assert review("n\nq\n") == 0
    [text] = read_decisions(out)
    after = [question["text"] for question in asked(out)]
    assert (len(after), text in before, text in after) == (7, True, False)
    assert len(set(after) - set(before)) == 1
    assert max(map(len, capsys.readouterr().err.splitlines())) <= 120
    assert main(["questions", "--out", str(out)]) == 0
    assert [question["text"] for question in asked(out)] == after


def test_decisions_are_kept_as_they_are_made_and_only_the_rest_is_shown_again(out, review, capsys):
    assert review("y\ne\nWhat does Tarnwick Instruments make in Zwolle?\n") == 0
    assert "2 questions accepted, 5 not decided" in capsys.readouterr().err
    reworded = [q for q in asked(out) if q["text"] == "What does Tarnwick Instruments make in Zwolle?"]
    assert "accepted in review" in reworded[0]["flags"]
    assert review("y\n" * 9) == 0
    printed = capsys.readouterr().err
    assert "1/5" in printed
    assert "7 questions accepted, 0 not decided" in printed
    facts = json.loads((out / "run.json").read_text())
    assert list(facts["a_person_said"]) == ["decisions.jsonl"]


def test_questions_of_a_file_are_left_out_when_rejected_but_never_all_of_them(out, review, tmp_path, capsys):
    (tmp_path / "eval.txt").write_text("What does Tarnwick make?\nWho founded Tarnwick in 1986?\n")
    options = ["--eval-questions", str(tmp_path / "eval.txt"), "--review"]
    assert review("n\nq\n", *options) == 0
    assert sum(question["split"] == "eval" for question in asked(out)) == 1
    assert review("n\nq\n", *options) == 2
    assert "Every eval question was rejected" in capsys.readouterr().err


def test_a_damaged_file_of_decisions_is_named(out, review, capsys):
    (out / "decisions.jsonl").write_text('{"question": "Why?", "accepted": true}\n{"x": 1}\n')
    assert review("") == 2
    assert "Line 2 of" in capsys.readouterr().err
