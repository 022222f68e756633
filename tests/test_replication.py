"""Does it replicate? Two finished runs side by side, their shared questions paired; and a run opened to be read."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from made_results import made
from minirag.cli import main
from minirag.errors import InputError
from minirag.files import write_json, write_jsonl
from minirag.pipeline import Run
from minirag.replication import replication
from minirag.report.results import Results
from minirag.saved_run import SavedRun


def saved(results: Results, folder: Path) -> SavedRun:
    """The files of a run that never was."""
    folder.mkdir()
    write_json(folder / "comparison.json", results.comparison)
    write_jsonl(folder / "questions.jsonl", map(asdict, results.questions))
    write_jsonl(folder / "scores.jsonl", (row.to_json() for row in results.scores))
    answers = ({"arm": arm, "question_id": id, "text": a.text} for (arm, id), a in results.answers.items())
    write_jsonl(folder / "answers.jsonl", answers)
    return Run.open(folder)


def test_a_run_replicates_itself_and_its_shared_questions_do_not_move(tmp_path: Path) -> None:
    run = saved(made([f"Why {n}?" for n in range(30)]), tmp_path / "a")
    found = replication(run, run)
    assert {one.outcome for one in found} <= {"replicates", "undecided"}
    assert {(one.metric, one.against) for one in found} == {
        (metric, arm) for metric in ("faithfulness", "answer_relevancy", "ragas_score") for arm in ("base", "teacher")
    }
    assert [one.shared for one in found if one.metric != "ragas_score"] == [30] * 4
    assert all(one.change.value == 0.0 for one in found if one.change)


def test_only_questions_of_the_same_text_are_paired_and_their_change_is_that_of_a_paired_t_test(tmp_path: Path) -> None:
    texts = [f"Why {n}?" for n in range(20)]
    first, second = made(texts), made([*texts[10:], "How?"])
    one, other = saved(first, tmp_path / "a"), saved(second, tmp_path / "b")
    found = {(each.metric, each.against): each for each in replication(one, other)}["faithfulness", "base"]
    before = {q.text: first.difference(q.id, "faithfulness") for q in first.questions}
    after = {q.text: second.difference(q.id, "faithfulness") for q in second.questions}
    moved = np.array([after[text] - before[text] for text in texts[10:]], dtype=float)
    expected = stats.ttest_1samp(moved, 0).confidence_interval(0.95)
    assert (found.shared, found.change.value) == (10, pytest.approx(moved.mean()))
    assert (found.change.low, found.change.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_the_command_shows_both_runs_and_the_json_holds_their_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = saved(made([f"Why {n}?" for n in range(20)]), tmp_path / "a")
    saved(made(["How?", "Who?"], arms=("base", "teacher")), tmp_path / "b")
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    told = capsys.readouterr().out
    assert "faithfulness, tuned against base: " in told
    assert max(map(len, told.splitlines())) <= 79
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--json"]) == 0
    comparisons = json.loads(capsys.readouterr().out)["comparisons"]
    assert comparisons[0]["first"]["difference"] == first.comparison["metrics"]["faithfulness"]["difference"]
    assert comparisons[0]["shared"] == 0


@pytest.mark.parametrize("names", [["a"], ["a", "nowhere"], ["a", "a", "a"]])
def test_anything_but_two_folders_is_named(
    names: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(made(["Why?"]), tmp_path / "a")
    assert main(["compare", *(str(tmp_path / name) for name in names)]) == 2
    assert "two finished runs" in capsys.readouterr().err


def test_an_opened_run_gives_its_files_and_writes_nothing(tmp_path: Path) -> None:
    results = made(["Why?", "<b>"])
    run = saved(results, tmp_path / "a")
    before = {path.name: path.read_bytes() for path in run.folder.iterdir()}
    assert run.questions == list(results.questions)
    assert run.evaluated == run.questions
    assert run.answers["tuned", "e0"] == "Why? More of tuned."
    assert [row.score.value for row in run.scores] == [row.score.value for row in results.scores]
    assert run._repr_html_().count("<tr>") == 1 + 6
    assert {path.name: path.read_bytes() for path in run.folder.iterdir()} == before


def test_an_opened_run_as_a_data_frame_has_question_page_and_answer(tmp_path: Path) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    frame = saved(made(["Why?", "How?"]), tmp_path / "a").to_pandas()
    assert len(frame) == 12
    first = frame.iloc[0]
    assert (first["question"], first["page"], first["answer"]) == ("Why?", 0, "Why?")


def test_a_folder_without_a_finished_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no .*comparison\.json; name the folder of a finished run"):
        _ = Run.open(tmp_path).comparison
