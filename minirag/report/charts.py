"""The report's charts, from plain numbers to one SVG: differences, and scores question by question.

Where there is nothing to draw, or all values are equal, a chart is a sentence instead. A picture is 400 units wide and
its text 12 units high, so that it can be read on a screen of 400 pixels. Colours come from the style sheet by class.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from minirag.report.markup import tag, text
from minirag.statistics.power import figures_of

WIDTH = 400
LINE = 16
"""Height of a line of text."""
ROW = 22
"""Height of a row of the chart of differences."""
STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Distances of grid lines to choose from."""


def differences(title: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Draw differences with their intervals below each other over one axis, zero included.

    `rows` are comparisons as `comparison.json` has them, by the name that stands before each.
    """
    keys = ("difference", "low", "high")
    values: list[float] = [row[key] for row in rows.values() for key in keys if row[key] is not None]
    if not values:
        return "Nothing was scored."
    if not any(values):
        return "The same in every question."
    low, high, left, right = min(0.0, *values), max(0.0, *values), 66, WIDTH - 164
    step = next((step for step in STEPS if high - low <= 5 * step), STEPS[-1])
    bottom = ROW * len(rows) + 4

    def x(value: float) -> float:
        return round(left + (value - low) / (high - low) * (right - left), 2)

    marks, descriptions = [], []
    for number in range(math.ceil(low / step), math.floor(high / step) + 1):
        place = x(number * step)
        marks += [_line(place, 2, place, bottom, "grid"), _label(place, bottom + LINE, f"{number * step:g}", "middle")]
    marks.append(_line(x(0), 2, x(0), bottom, "zero"))
    for i, (name, row) in enumerate(rows.items()):
        y = ROW * i + ROW / 2 + 2
        drawn = [_label(56, y + 4, name, "end", "ink"), _label(WIDTH - 152, y + 4, row["verdict"])]
        if row["low"] is not None and row["high"] is not None:
            drawn.append(_line(x(row["low"]), y, x(row["high"]), y, "interval"))
        if row["difference"] is not None:
            drawn.append(_mark(x(row["difference"]), y, 4, "tuned"))
        descriptions.append(f"{name}: {figures_of(row) or 'unscored'}, {row['verdict']}")
        marks.append(_group(descriptions[-1], *drawn))
    return _picture(title, "; ".join(descriptions) + ".", bottom + LINE + 4, marks)


def paired(title: str, base: Mapping[str, float | None], tuned: Mapping[str, float | None]) -> str:
    """Draw each question as a stick from its score by the base model to that by the tuned one, largest loss first.

    Scores are in [0, 1] by question id; questions that lack one of them are counted, not drawn.

    >>> "1 better, 0 the same, 0 worse, 1 unscored" in paired("", {"a": 0.5, "b": 1}, {"a": 1, "b": None})
    True
    """
    pairs = [(id, one, two) for id, one in base.items() if one is not None and (two := tuned[id]) is not None]
    if not pairs:
        return f"None of {len(base)} questions is scored in both."
    pairs.sort(key=lambda pair: (pair[2] - pair[1], pair[2], pair[0]))
    better, worse = (sum(sign * (two - one) > 0 for _, one, two in pairs) for sign in (1, -1))
    unscored = f", {len(base) - len(pairs)} unscored" if len(pairs) < len(base) else ""
    if not better and not worse:
        return f"{len(pairs)} questions, each with the same score in both{unscored}."
    counts = f"{better} better, {len(pairs) - better - worse} the same, {worse} worse{unscored}"
    left, top, bottom = 34, 28, 178
    width = (WIDTH - 8 - left) / len(pairs)
    size = max(0.8, min(4.0, 0.4 * width))

    def y(score: float) -> float:
        return round(bottom - score * (bottom - top), 2)

    marks = [_label(WIDTH - 6, 12, "sorted by difference", "end")]
    for score in (0, 0.5, 1):
        marks += [_line(left, y(score), WIDTH - 4, y(score), "grid"), _label(left - 4, y(score) + 4, f"{score}", "end")]
    for place, arm in ((6, "base"), (60, "tuned")):
        marks += [_mark(place, 8, 4, arm), _label(place + 8, 12, arm, kind="ink")]
    for i, (question, one, two) in enumerate(pairs):
        x = round(left + 2 + (i + 0.5) * width, 2)
        stick = [_line(x, y(one), x, y(two), f"stick {'tuned' if two > one else 'base'}")] if one != two else []
        # where both scores are equal the second mark is smaller, so that both can be seen
        inner = size if one != two else 0.6 * size
        about = f"{question}: base {one:.3f}, tuned {two:.3f}, difference {two - one:+.3f}"
        marks.append(_group(about, *stick, _mark(x, y(one), size, "base"), _mark(x, y(two), inner, "tuned")))
    marks.append(_label(left, bottom + LINE + 2, counts))
    description = f"tuned against base, {len(pairs)} questions sorted by the difference: {counts}."
    return _picture(title, description, bottom + LINE + 8, marks)


def _picture(title: str, description: str, height: float, marks: Iterable[str]) -> str:
    """Return the whole SVG; a screen reader reads its title and its description."""
    head = tag("title", text(title)), tag("desc", text(description))
    return tag("svg", *head, *marks, viewBox=f"0 0 {WIDTH} {height:g}", role="img", class_="chart")


def _label(x: float, y: float, content: str, anchor: str = "start", kind: str = "soft") -> str:
    """Return text with its baseline at `y`; `anchor` is `start`, `middle` or `end`."""
    return tag("text", text(content), x=f"{x:g}", y=f"{y:g}", text_anchor=anchor, class_=kind)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return tag("line", x1=f"{x1:g}", y1=f"{y1:g}", x2=f"{x2:g}", y2=f"{y2:g}", class_=kind)


def _mark(x: float, y: float, size: float, arm: str) -> str:
    """Return an arm's mark; they differ in shape too: base is a ring, tuned a disc."""
    kind = "ring base" if arm == "base" else arm
    return tag("circle", cx=f"{x:g}", cy=f"{y:g}", r=f"{size:g}", class_=kind)


def _group(tooltip: str, *marks: str) -> str:
    """Return marks that belong together, with the text that a mouse over them shows."""
    return tag("g", tag("title", text(tooltip)), *marks)
