"""Finished runs as a notebook opens them, and the page that shows several of them side by side."""

import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from made_results import made, saved
from minirag.cli.main import main
from minirag.errors import InputError
from minirag.report import SavedRun, several_html
from minirag.statistics.replication import replication


def test_an_opened_run_gives_its_files_and_writes_nothing(tmp_path: Path) -> None:
    results = made(["Why?", "<b>"])
    folder = saved(results, tmp_path / "a").folder
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    run = SavedRun(folder)
    assert run.questions == list(results.questions)
    assert run.answers["tuned", "e0"] == "Why? More of tuned."
    assert [row.score.value for row in run.scores] == [row.score.value for row in results.scores]
    assert run.facts["minirag"] == "0"
    assert run._repr_html_().count("<tr>") == 1 + 4
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_an_opened_run_as_a_data_frame_has_question_page_and_answer(tmp_path: Path) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    frame = saved(made(["Why?", "How?"]), tmp_path / "a").to_pandas()
    assert len(frame) == 12
    first = frame.iloc[0]
    assert (first["question"], first["page"], first["answer"]) == ("Why?", 0, "Why?")


def test_a_folder_without_a_finished_run_or_with_a_damaged_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no .*comparison\.json; name the folder of a finished run"):
        _ = SavedRun(tmp_path).comparison
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(InputError, match=r"run\.json cannot be read"):
        _ = SavedRun(tmp_path).facts


def test_the_page_of_several_runs_shows_their_comparisons_and_where_they_differ(tmp_path: Path) -> None:
    texts = [f"Why {n}?" for n in range(12)]
    results = [made(texts, names="<i>"), made(texts[6:], names="other"), made(["<b>"], arms=("base", "teacher"))]
    runs = [saved(one, tmp_path / name) for name, one in zip("abc", results, strict=True)]
    compared = replication([run.comparison for run in runs])
    page = several_html({run.folder.name: run.facts for run in runs}, [asdict(one) for one in compared])
    for run in runs[:2]:
        for metric in run.comparison["metrics"].values():
            for pair in (metric, metric["tuned_against_teacher"]):
                figures = f"{pair['difference']:+.3f} [{pair['low']:+.3f}, {pair['high']:+.3f}], {pair['n']} questions"
                assert f"{pair['verdict']} <small>{figures}</small>" in page
    (shift,) = [one.shifts[0] for one in compared if (one.metric, one.against) == ("faithfulness", "teacher")]
    assert f"b minus a: {shift['difference']:+.3f} [{shift['low']:+.3f}, {shift['high']:+.3f}]" in page
    assert "<td>suffix</td><td>&lt;i&gt;</td><td>other</td>" in page
    assert "<i>" not in page
    assert "<b>" not in page


def test_compare_writes_the_page_and_runs_of_one_name_go_by_their_paths(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, again, path = saved(made(["Why?"]), tmp_path / "a").folder, tmp_path / "again" / "a", tmp_path / "page.html"
    shutil.copytree(first, again)
    assert main(["compare", str(first), str(again), "--html", str(path)]) == 0
    page = path.read_text("utf-8")
    assert str(again) in page
    assert "They have the same settings" in page
    assert f"report: {path}" in capsys.readouterr().err
