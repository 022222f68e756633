"""Does it replicate? Two finished runs side by side, their shared questions paired; and a run opened to be read."""

import json
import re
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from browser import SCHEMES, SIZES, Browser
from made_results import made
from minirag.cli.main import main
from minirag.errors import InputError
from minirag.files import write_json, write_jsonl
from minirag.pipeline import Run
from minirag.report.results import Results
from minirag.report.saved_run import SavedRun
from minirag.report.several import html
from minirag.statistics.replication import outcome, replication


def saved(results: Results, folder: Path) -> SavedRun:
    """The files of a run that never was."""
    folder.mkdir()
    write_json(folder / "comparison.json", results.comparison)
    write_json(folder / "run.json", results.facts)
    write_jsonl(folder / "questions.jsonl", map(asdict, results.questions))
    write_jsonl(folder / "scores.jsonl", (row.to_json() for row in results.scores))
    answers = ({"arm": arm, "question_id": id, "text": a.text} for (arm, id), a in results.answers.items())
    write_jsonl(folder / "answers.jsonl", answers)
    return Run.open(folder)


def test_a_run_replicates_itself_and_its_shared_questions_do_not_move(tmp_path: Path) -> None:
    run = saved(made([f"Why {n}?" for n in range(30)]), tmp_path / "a")
    found = replication([run, run])
    assert {one.outcome for one in found} <= {"replicates", "undecided"}
    assert {(one.metric, one.against) for one in found} == {
        (metric, arm) for metric in ("faithfulness", "answer_relevancy", "ragas_score") for arm in ("base", "teacher")
    }
    changes = [one.changes[0] for one in found if one.metric != "ragas_score"]
    assert [change.shared for change in changes] == [30] * 4
    assert all(change.estimate is not None and change.estimate.value == 0.0 for change in changes)


def test_only_questions_of_the_same_text_are_paired_and_their_change_is_that_of_a_paired_t_test(tmp_path: Path) -> None:
    texts = [f"Why {n}?" for n in range(20)]
    first, second = made(texts), made([*texts[10:], "How?"])
    one, other = saved(first, tmp_path / "a"), saved(second, tmp_path / "b")
    found = {(each.metric, each.against): each for each in replication([one, other])}["faithfulness", "base"]
    before = {q.text: first.difference(q.id, "faithfulness") for q in first.questions}
    after = {q.text: second.difference(q.id, "faithfulness") for q in second.questions}
    moved = np.array([after[text] - before[text] for text in texts[10:]], dtype=float)
    expected = stats.ttest_1samp(moved, 0).confidence_interval(0.95)
    (change,) = found.changes
    assert (change.shared, change.estimate.value) == (10, pytest.approx(moved.mean()))
    assert (change.estimate.low, change.estimate.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


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
    assert comparisons[0]["runs"][0]["difference"] == first.comparison["metrics"]["faithfulness"]["difference"]
    assert comparisons[0]["changes"][0]["shared"] == 0


@pytest.mark.parametrize("names", [["a"], ["a", "nowhere"]])
def test_anything_but_several_folders_is_named(
    names: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(made(["Why?"]), tmp_path / "a")
    assert main(["compare", *(str(tmp_path / name) for name in names)]) == 2
    told = "nowhere is no folder" if "nowhere" in names else "the folders of two or more finished runs"
    assert told in capsys.readouterr().err


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


def test_several_verdicts_replicate_only_if_all_say_the_same() -> None:
    assert outcome(["better"] * 3) == "replicates"
    assert outcome(["better"]) == "not shown"
    assert outcome(["better", "better", "cannot tell"]) == "not shown"
    assert outcome(["better", "cannot tell", "worse"]) == "contradicts"
    assert outcome(["cannot tell"] * 3) == outcome([]) == "undecided"


@pytest.fixture
def several(tmp_path: Path) -> list[SavedRun]:
    """Three runs with questions in common; the last has no tuned model, and a name from the document in its facts."""
    texts = [f"Why {n}?" for n in range(12)]
    results = [made(texts, names="<i>"), made(texts[6:], names="other"), made(["<b>"], arms=("base", "teacher"))]
    return [saved(one, tmp_path / name) for name, one in zip("abc", results, strict=True)]


def test_the_report_of_several_runs_has_every_number_of_their_files(several: list[SavedRun], tmp_path: Path) -> None:
    page = html(several, replication(several))
    places = re.findall(r'<data value="([^"]*)" data-at="([abc])/comparison.json#/([^"]*)">', page)
    assert len(places) > 40
    for value, name, pointer in places:
        found = json.loads((tmp_path / name / "comparison.json").read_text())
        for part in pointer.split("/"):
            found = found[part]
        assert value == ("" if found is None else str(found))
    assert "<i>" not in page
    assert "<b>" not in page.replace("<b class", "")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_report_of_several_runs_is_quiet_alone_and_fits(
    several: list[SavedRun], browser: Browser, size: str, scheme: str
) -> None:
    with browser.open(html(several, replication(several)), size=size, scheme=scheme) as opened:
        opened.clean()


def test_the_command_writes_the_report_and_runs_of_one_name_go_by_their_paths(
    several: list[SavedRun], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = tmp_path / "again" / "a"
    shutil.copytree(several[0].folder, again)
    path = tmp_path / "page.html"
    assert main(["compare", str(several[0].folder), str(again), "--html", str(path)]) == 0
    page = path.read_text("utf-8")
    assert str(again) in page
    assert "The runs have the same settings" in page
    assert f"report: {path}" in capsys.readouterr().err


def test_without_a_folder_compare_says_what_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare"]) == 2
    assert "the folders of two or more finished runs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["a", "./a"], "are the same run; a run does not replicate itself"),
        (["a", "b", "--batch"], "--batch is for a run"),
        (["a", "b", "--html", "a/messages.jsonl"], "must be a file that ends in .html, outside the folder of a run"),
        (["a", "b", "--html", "a/report.html"], "must be a file that ends in .html, outside the folder of a run"),
        (["a", "b", "--html", "/dev/null"], "must be a file that ends in .html, outside the folder of a run"),
        (["a", "b", "--html", ""], "must be a file that ends in .html, outside the folder of a run"),
        (["a", "--out", "b", "--html", "x.html"], "the folders of two or more finished runs"),
    ],
)
def test_a_page_replaces_nothing_and_what_would_do_nothing_is_named(
    arguments: list[str],
    told: str,
    several: list[SavedRun],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(several[0].folder.parent)
    log = several[0].folder / "messages.jsonl"
    log.write_text("paid for")
    assert main(["compare", *arguments]) == 2
    assert told in capsys.readouterr().err
    assert log.read_text() == "paid for"
