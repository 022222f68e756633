"""Does it replicate? Finished runs side by side, their shared questions paired."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from made_results import made, saved
from minirag.cli.main import main
from minirag.report import SavedRun
from minirag.statistics.replication import Replication, outcome, replication


def replicated(*runs: SavedRun) -> list[Replication]:
    return replication([(run.comparison, run.evaluated, run.scores) for run in runs])


def test_a_run_replicates_itself_and_its_shared_questions_do_not_move(tmp_path: Path) -> None:
    run = saved(made([f"Why {n}?" for n in range(30)]), tmp_path / "a")
    found = replicated(run, run)
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
    found = {(each.metric, each.against): each for each in replicated(one, other)}["faithfulness", "base"]
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
