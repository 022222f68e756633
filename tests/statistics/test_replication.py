"""Does it replicate? Finished runs side by side."""

import json
from pathlib import Path

import pytest

from made_results import made, saved
from minirag.cli.main import main
from minirag.report import SavedRun
from minirag.statistics.replication import outcome, replication


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[SavedRun]:
    """Two runs in the working folder, a and b; the second has no tuned model."""
    monkeypatch.chdir(tmp_path)
    results = made([f"Why {n}?" for n in range(20)]), made(["How?", "Who?"], arms=("base", "teacher"))
    return [saved(one, Path(name)) for name, one in zip("ab", results, strict=True)]


def test_a_run_replicates_itself_in_every_comparison(runs: list[SavedRun]) -> None:
    found = replication([runs[0].comparison, runs[0].comparison])
    assert {one.outcome for one in found} <= {"replicates", "undecided"}
    assert {(one.metric, one.against) for one in found} == {
        (metric, arm) for metric in ("faithfulness", "answer_relevancy", "ragas_score") for arm in ("base", "teacher")
    }


def test_the_command_shows_both_runs_and_the_json_holds_their_numbers(
    runs: list[SavedRun], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "a", "b"]) == 0
    told = capsys.readouterr().out
    assert "faithfulness, tuned against base: " in told
    assert max(map(len, told.splitlines())) <= 79
    assert main(["compare", "a", "b", "--json"]) == 0
    comparisons = json.loads(capsys.readouterr().out)["comparisons"]
    assert comparisons[0]["runs"][0]["difference"] == runs[0].comparison["metrics"]["faithfulness"]["difference"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["a"], "the folders of two or more finished runs"),
        (["a", "nowhere"], "nowhere is no folder"),
        (["a", "./a"], "a run does not replicate itself"),
        (["a", "b", "--html", "a/messages.jsonl"], "must be a file that ends in .html"),
    ],
)
def test_what_cannot_be_compared_is_named_and_nothing_is_replaced(
    arguments: list[str], told: str, runs: list[SavedRun], capsys: pytest.CaptureFixture[str]
) -> None:
    log = Path("a", "messages.jsonl")
    log.write_text("paid for")
    assert main(["compare", *arguments]) == 2
    assert told in capsys.readouterr().err
    assert log.read_text() == "paid for"


def test_several_verdicts_replicate_only_if_all_say_the_same() -> None:
    assert outcome(["better"] * 3) == "replicates"
    assert outcome(["better"]) == outcome(["better", "better", "cannot tell"]) == "not shown"
    assert outcome(["better", "cannot tell", "worse"]) == "contradicts"
    assert outcome(["cannot tell"] * 3) == outcome([]) == "undecided"
