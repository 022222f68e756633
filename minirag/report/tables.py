"""Row 8. Scores and comparison as plain tables: for spreadsheets, for Markdown, for a terminal.

A spreadsheet computes what begins like a formula, so no text in a CSV file begins like one.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from minirag.arms import COMPARED
from minirag.cli.visible import visible
from minirag.evaluation import Scores
from minirag.metrics.score import Score

Cell = str | float | None
_FORMULA = tuple("=+-@＝＋－＠|%")


@dataclass(frozen=True, slots=True)
class Table:
    """Names of columns, and rows of text, numbers and None."""

    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    def csv(self) -> str:
        r"""As CSV (RFC 4180): numbers unrounded, None empty, text on one line and never a formula.

        >>> Table(["a", "b"], [["=1+1", -0.5], ["x", None]]).csv()
        "a,b\r\n'=1+1,-0.5\r\nx,\r\n"
        """
        file = io.StringIO()
        csv.writer(file).writerows([self.head, *([_safe(cell) for cell in row] for row in self.rows)])
        return file.getvalue()

    def markdown(self) -> str:
        """As a table of Markdown: numbers with three decimals, None a dash.

        >>> print(Table(["a", "b"], [["x|y", 0.5]]).markdown(), end="")
        | a | b |
        |---|---|
        | x\\|y | 0.500 |
        """
        lines = [self.head, ["---"] * len(self.head), *([_plain(cell) for cell in row] for row in self.rows)]
        head, rule, *rows = lines
        return "".join(
            [f"| {' | '.join(head)} |\n", f"|{'|'.join(rule)}|\n", *(f"| {' | '.join(row)} |\n" for row in rows)]
        )


def _one_line(cell: str) -> str:
    return visible(" ".join(cell.split()))


def _safe(cell: Cell) -> Cell:
    """A cell that a spreadsheet takes for what it is."""
    if not isinstance(cell, str):
        return cell
    line = _one_line(cell)
    return f"'{line}" if line.lstrip("\"'").lstrip().startswith(_FORMULA) else line


def _plain(cell: Cell) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, float):
        return f"{cell:.3f}"
    line = _one_line(str(cell))
    for mark in "\\|`*_<[":
        line = line.replace(mark, f"\\{mark}")
    return line


def score_table(questions: Mapping[str, str], scores: Scores) -> Table:
    """One row a score; `questions` are the texts by id."""
    head = ["question_id", "question", "arm", "metric", "round", "value", "reason"]
    rows: list[list[Cell]] = [
        [row.question_id, questions.get(row.question_id, ""), row.arm, row.metric, row.round, *_value(row.score)]
        for row in scores
    ]
    return Table(head, rows)


def _value(score: Score) -> tuple[Cell, Cell]:
    return score.value, score.reason


def comparison_table(comparison: Mapping[str, Any]) -> Table:
    """One row for each metric and each arm that the tuned model is compared with, ragas_score last."""
    head = ["metric", "against", "mean", "tuned_mean", "difference", "low", "high"]
    head += ["n", "n_unscored", "detectable", "verdict", "why"]
    names = ("base_mean", "tuned_mean", "difference", "low", "high", "n", "n_unscored", "detectable", "verdict", "why")
    rows = [[metric, arm, *(one[name] for name in names)] for metric, arm, one in pairs(comparison)]
    return Table(head, rows)


def pairs(comparison: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(metric, arm, comparison of the tuned model with it) of everything that `comparison.json` compares."""
    for metric, found in comparison["metrics"].items():
        yield metric, "base", found
        for arm in COMPARED[1:]:
            if f"tuned_against_{arm}" in found:
                yield metric, arm, found[f"tuned_against_{arm}"]
    for pair, one in comparison["ragas_score_compared"].items():
        yield "ragas_score", pair.removeprefix("tuned_against_"), one
