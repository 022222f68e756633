"""Scores and comparison as plain tables: CSV for spreadsheets, Markdown for people.

A spreadsheet computes cells that begin like a formula, so no text in a CSV file begins like one.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from minirag.metrics.score import ScoredRow
from minirag.report.markup import visible
from minirag.statistics.power import comparisons

Cell = str | float | None
FORMULA = tuple("=+-@＝＋－＠|%")
SCORE_COLUMNS = ("question_id", "question", "arm", "metric", "round", "value", "reason")
COMPARED = ("base_mean", "tuned_mean", "difference", "low", "high", "n", "n_unscored", "detectable", "verdict", "why")


@dataclass(frozen=True, slots=True)
class Table:
    """Names of columns, and rows of text, numbers and None."""

    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    def csv(self) -> str:
        r"""Return the table as CSV (RFC 4180): numbers unrounded, None empty, text on one line and never a formula.

        >>> Table(["a", "b"], [["=1+1", -0.5], ["x", None]]).csv()
        "a,b\r\n'=1+1,-0.5\r\nx,\r\n"
        """
        file = io.StringIO()
        csv.writer(file).writerows([self.head, *([_harmless(cell) for cell in row] for row in self.rows)])
        return file.getvalue()

    def markdown(self) -> str:
        """Return the table as Markdown: numbers with three decimals, a dash for None.

        >>> print(Table(["a", "b"], [["x|y", 0.5]]).markdown(), end="")
        | a | b |
        |---|---|
        | x\\|y | 0.500 |
        """
        rows = [f"| {' | '.join(map(_plain, row))} |\n" for row in self.rows]
        return "".join([f"| {' | '.join(self.head)} |\n", "|---" * len(self.head) + "|\n", *rows])


def _one_line(cell: str) -> str:
    return visible(" ".join(cell.split()))


def _harmless(cell: Cell) -> Cell:
    """Return the cell, with an apostrophe before text that a spreadsheet would compute."""
    if not isinstance(cell, str):
        return cell
    line = _one_line(cell)
    return f"'{line}" if line.lstrip("\"' ").startswith(FORMULA) else line


def _plain(cell: Cell) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, float):
        return f"{cell:.3f}"
    line = _one_line(str(cell))
    for mark in "\\|`*_<[":
        line = line.replace(mark, f"\\{mark}")
    return line


def score_table(questions: Mapping[str, str], scores: Iterable[ScoredRow]) -> Table:
    """Return one row a score; `questions` are texts by id."""
    rows: list[list[Cell]] = []
    for row in scores:
        question, score = questions.get(row.question_id, ""), row.score
        rows.append([row.question_id, question, row.arm, row.metric, row.round, score.value, score.reason])
    return Table(SCORE_COLUMNS, rows)


def comparison_table(comparison: Mapping[str, Any]) -> Table:
    """Return one row for each metric and each arm that the tuned model is compared with, `ragas_score` last."""
    rows = [[metric, arm, *(row[name] for name in COMPARED)] for metric, arm, row in comparisons(comparison)]
    return Table(["metric", "against", "mean", *COMPARED[1:]], rows)
