"""Does it replicate? Finished runs side by side."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from made_results import made, save
from minirag.cli.main import main
from minirag.metrics.comparison import compare
from minirag.statistics.power import to_json
from minirag.statistics.replication import replication


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """The comparisons of two runs in the working folder, a and b; the second has no tuned model."""
    monkeypatch.chdir(tmp_path)
    results = made([f"Why {n}?" for n in range(20)]), made(["How?", "Who?"], arms=("base", "teacher"))
    for name, one in zip("ab", results, strict=True):
        save(one, Path(name))
    return [one.comparison for one in results]


def test_the_command_shows_both_runs(runs, capsys):
    assert main(["compare", "a", "b"]) == 0
    told = capsys.readouterr().out
    assert "faithfulness, tuned against base: " in told
    assert max(map(len, told.splitlines())) <= 79
    shutil.copytree("a", "c")
    assert main(["compare", "a", "c", "--json"]) == 0
    comparisons = json.loads(capsys.readouterr().out)["comparisons"]
    assert comparisons[0]["runs"][0]["difference"] == runs[0]["metrics"]["faithfulness"]["difference"]
    assert {one["outcome"] for one in comparisons} == {"no difference shown"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["a"], "two or more to compare: folders of finished runs, or two files"),
        (["a", "nowhere"], "no finished run in nowhere (comparison.json is missing)"),
        (["a", "a/run.json"], "name the folders of finished runs, or two files of scores"),
        (["a", "./a"], "a run does not replicate itself"),
        (["a", "empty"], "no finished run in empty (comparison.json is missing)"),
        (["a", "damaged"], "The run in damaged cannot be read"),
    ],
)
def test_what_cannot_be_compared_is_named_and_nothing_is_replaced(arguments, told, runs, capsys):
    log = Path("a", "messages.jsonl")
    log.write_text("paid for")
    Path("empty").mkdir()
    Path("damaged").mkdir()
    Path("damaged", "comparison.json").write_text("{}")
    assert main(["compare", *arguments]) == 2
    assert told in capsys.readouterr().err
    assert log.read_text() == "paid for"


def run_of(differences: list[float]) -> dict[str, Any]:
    """A `comparison.json` with one metric in which the tuned model differs so from base."""
    return {"metrics": {"faithfulness": to_json(compare([0.5] * len(differences), [0.5 + d for d in differences]))}}


def test_the_interval_between_two_runs_is_welch_s():
    random = np.random.default_rng(4)
    first, second = random.normal(0.1, 0.1, 30), random.normal(0.0, 0.2, 20)
    (row,) = replication([run_of(list(first)), run_of(list(second))])
    oracle = stats.ttest_ind(second, first, equal_var=False).confidence_interval(0.95)
    assert (row["shifts"][0]["low"], row["shifts"][0]["high"]) == pytest.approx((oracle.low, oracle.high), abs=1e-9)
    assert row["outcome"] == ("differ" if oracle.high < 0 or oracle.low > 0 else "no difference shown")


def test_neither_verdicts_that_differ_nor_rounding_are_a_difference_between_runs():
    better, unsure = (run_of([mean - spread, mean + spread] * 6) for mean, spread in ((0.036, 0.05), (0.028, 0.06)))
    verdicts = [run["metrics"]["faithfulness"]["verdict"] for run in (better, unsure)]
    assert verdicts == ["better", "cannot tell"]
    same = run_of([0.1] * 8), run_of([0.1 + 1e-12] * 8)
    assert [replication(runs)[0]["outcome"] for runs in ((better, unsure), same)] == ["no difference shown"] * 2


def test_too_few_questions_an_earlier_version_and_a_run_without_the_metric_cannot_tell():
    many, few = run_of([0.1, 0.2] * 4), run_of([0.1, 0.2, 0.3])
    old = {"metrics": {"faithfulness": {**many["metrics"]["faithfulness"], "error": None}}}
    for other in (few, old, {"metrics": {}}):
        assert replication([many, other])[0]["outcome"] == "cannot tell"
