"""Scores and comparison as CSV, unrounded.

A spreadsheet computes cells that begin like a formula, so no text begins like one.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from minirag.errors import printable
from minirag.metrics.score import ScoredRow
from minirag.statistics.power import comparisons

Cell = str | float | None
FORMULA = tuple("=+-@＝＋－＠|%")
SCORE_COLUMNS = ("question_id", "question", "arm", "metric", "round", "value", "reason")
COMPARED = ("base_mean", "tuned_mean", "difference", "low", "high", "n", "n_unscored", "detectable", "verdict", "why")


def to_csv(head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    r"""Return a table as CSV (RFC 4180): None is empty, text on one line, with an apostrophe before a formula.

    >>> to_csv(["a", "b"], [["=1+1", -0.5], ["x", None]])
    "a,b\r\n'=1+1,-0.5\r\nx,\r\n"
    """
    file = io.StringIO()
    csv.writer(file).writerows([head, *([_harmless(cell) for cell in row] for row in rows)])
    return file.getvalue()


def _harmless(cell: Cell) -> Cell:
    if not isinstance(cell, str):
        return cell
    line = printable(" ".join(cell.split()))
    return f"'{line}" if line.lstrip("\"' ").startswith(FORMULA) else line


def score_table(questions: Mapping[str, str], scores: Iterable[ScoredRow]) -> str:
    """Return one row a score; `questions` are texts by id."""
    rows: list[list[Cell]] = []
    for row in scores:
        question, score = questions.get(row.question_id, ""), row.score
        rows.append([row.question_id, question, row.arm, row.metric, row.round, score.value, score.reason])
    return to_csv(SCORE_COLUMNS, rows)


def comparison_table(comparison: Mapping[str, Any]) -> str:
    """Return one row for each metric and each arm that the tuned model is compared with."""
    rows = [[metric, arm, *(row[name] for name in COMPARED)] for metric, arm, row in comparisons(comparison)]
    return to_csv(["metric", "against", "mean", *COMPARED[1:]], rows)
