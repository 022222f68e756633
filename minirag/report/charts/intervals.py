"""Differences with their intervals, one below the other: the rounds of a judge, or several runs of one question."""

from collections.abc import Sequence
from typing import NamedTuple

from minirag.report.charts.drawing import (
    WIDTH,
    Scale,
    across,
    empty,
    group,
    label,
    line,
    mark,
    picture,
    plain,
    shortened,
)

LEFT, RIGHT, ROW = 88, WIDTH - 136, 22


class Interval(NamedTuple):
    """A difference with its interval, and a word on it; None: not known."""

    name: str
    difference: float | None
    low: float | None = None
    high: float | None = None
    verdict: str = ""


def intervals(title: str, rows: Sequence[Interval]) -> str:
    """One row for each difference, over one axis with nought in it, as SVG.

    >>> "round 1: +0.100 [+0.050, +0.150], better" in intervals("", [Interval("round 1", 0.1, 0.05, 0.15, "better")])
    True
    """
    if all(row.difference is None for row in rows):
        return empty(title, "Nothing was scored." if rows else "There is nothing to compare.")
    ends = [end for row in rows for end in (row.difference, row.low, row.high) if end is not None]
    x = Scale(min(0.0, *ends), max(0.0, *ends), LEFT, RIGHT)
    bottom = ROW * len(rows) + 6
    marks = [*across(x, 2, bottom, plain, 3), line(x(0), 2, x(0), bottom, "turn")]
    told = [_told(row) for row in rows]
    for number, row in enumerate(rows):
        marks.append(_row(row, told[number], x, ROW * number + ROW / 2 + 4))
    return picture(title, "; ".join(told) + ".", bottom + 22, marks)


def _told(row: Interval) -> str:
    verdict = f", {row.verdict}" if row.verdict else ""
    if row.difference is None:
        return f"{row.name}: no difference known{verdict}"
    interval = "" if row.low is None or row.high is None else f" [{row.low:+.3f}, {row.high:+.3f}]"
    return f"{row.name}: {row.difference:+.3f}{interval}{verdict}"


def _row(row: Interval, told: str, x: Scale, middle: float) -> str:
    drawn = [label(LEFT - 8, middle + 4, shortened(row.name, 12), "end", "ink")]
    if row.low is not None and row.high is not None:
        drawn.append(line(x(row.low), middle, x(row.high), middle, "interval"))
    if row.difference is not None:
        drawn.append(mark(x(row.difference), middle, 4, "tuned"))
    written = "" if row.difference is None else f"{row.difference:+.3f} "
    drawn.append(label(RIGHT + 8, middle + 4, shortened(written + row.verdict, 18)))
    return group(told, *drawn, name=row.name, difference=row.difference, low=row.low, high=row.high)
