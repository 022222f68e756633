"""Scores and comparison as CSV: the same numbers, and nothing that a spreadsheet computes."""

import csv
import io
import json

import pytest

from made_results import made
from minirag.report.tables import comparison_table, score_table, to_csv
from payloads import ESCAPES, FORMULAS


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("text", [*FORMULAS, *ESCAPES])
def test_no_text_begins_like_a_formula_or_holds_controls_and_each_stays_in_its_cell(text: str) -> None:
    written = to_csv(["text", "number"], [[text, -0.5]])
    (row,) = read(written)
    assert row["number"] == "-0.5"
    assert not row["text"].lstrip("\"' \t\r\n").startswith(("=", "+", "-", "@", "＝")) or row["text"].startswith("'")
    assert all(ord(c) >= 32 and not 0x7F <= ord(c) < 0xA0 for c in written.replace("\r\n", ""))


def test_numbers_come_back_unrounded_and_unscored_is_empty() -> None:
    results = made(["Why?", "How?"])
    rows = read(score_table({"e0": "Why?", "e1": "How?"}, results.scores))
    assert [float(row["value"]) for row in rows] == [row.score.value for row in results.scores]
    assert {row["question"] for row in rows} == {"Why?", "How?"}
    unscored = read(score_table({}, made(["Why?"], scored=False).scores))
    assert {(row["value"], row["reason"]) for row in unscored} == {("", "Why?")}


def test_the_comparison_has_a_row_for_every_pair_as_comparison_json_has_it() -> None:
    comparison = json.loads(json.dumps(made([f"Why {n}?" for n in range(9)]).comparison))
    rows = {(row["metric"], row["against"]): row for row in read(comparison_table(comparison))}
    assert len(rows) == 4
    for metric in ("faithfulness", "answer_relevancy"):
        found = comparison["metrics"][metric]
        for arm, one in (("base", found), ("teacher", found["tuned_against_teacher"])):
            for name in ("difference", "low", "high", "n"):
                assert float(rows[metric, arm][name]) == one[name]
