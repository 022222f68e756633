"""The report's charts, from plain numbers to one SVG: differences, scores question by question, and losses.

Where there is nothing to draw, or all values are equal, a chart is a sentence instead. A picture is 400 units wide and
its text 12 units high, so that it can be read on a screen of 400 pixels. Colours come from the style sheet by class.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from minirag.report.markup import tag, text
from minirag.statistics.power import figures_of

WIDTH = 400
LINE = 16
"""Height of a line of text."""
ROW = 22
"""Height of a row of the chart of differences."""


def differences(title: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Draw differences with their intervals below each other over one axis, zero included.

    `rows` are comparisons as `comparison.json` has them, by the name that stands before each.
    """
    values = [row[key] for row in rows.values() for key in ("difference", "low", "high") if row[key] is not None]
    if not values:
        return "Nothing was scored."
    if not any(values):
        return "The same in every question."
    x = _Scale(min(0.0, *values), max(0.0, *values), 66, WIDTH - 164)
    bottom = ROW * len(rows) + 4
    marks, descriptions = [*_x_axis(x, 2, bottom), _line(x(0), 2, x(0), bottom, "zero")], []
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


def paired(
    title: str, first: Mapping[str, float | None], second: Mapping[str, float | None], arms: tuple[str, str]
) -> str:
    """Draw each question as a stick from its score in the first arm to that in the second, sorted by the difference.

    Scores are in [0, 1] by question id; questions that lack one of them are counted, not drawn.

    >>> "1 better, 0 the same, 0 worse, 1 unscored" in paired("", {"a": 0.5, "b": 1}, {"a": 1, "b": None}, ("x", "y"))
    True
    """
    pairs = [(id, one, two) for id, one in first.items() if one is not None and (two := second[id]) is not None]
    if not pairs:
        return f"None of {len(first)} questions is scored in both." if first else "There is no question."
    pairs.sort(key=lambda pair: (pair[2] - pair[1], pair[2], pair[0]))
    better, worse = (sum(sign * (two - one) > 0 for _, one, two in pairs) for sign in (1, -1))
    unscored = f", {len(first) - len(pairs)} unscored" if len(pairs) < len(first) else ""
    if not better and not worse:
        return f"{len(pairs)} questions, each with the same score in both{unscored}."
    counts = f"{better} better, {len(pairs) - better - worse} the same, {worse} worse{unscored}"
    left, top, bottom = 34, 28, 178
    x, y = _Scale(0, len(pairs), left + 2, WIDTH - 6), _Scale(0, 1, bottom, top)
    size = max(0.8, min(4.0, 0.4 * (WIDTH - left) / len(pairs)))
    marks = [_label(WIDTH - 6, 12, "sorted by difference", "end"), *_y_axis(y, left)]
    legend = 6
    for arm in arms:
        marks += [_mark(legend, 8, 4, arm), _label(legend + 8, 12, arm, kind="ink")]
        legend += 26 + 7 * len(arm)
    for i, (question, one, two) in enumerate(pairs):
        middle = x(i + 0.5)
        stick = [_line(middle, y(one), middle, y(two), f"stick {arms[two > one]}")] if one != two else []
        # where both scores are equal the second mark is smaller, so that both can be seen
        inner = size if one != two else 0.6 * size
        about = f"{question}: {arms[0]} {one:.3f}, {arms[1]} {two:.3f}, difference {two - one:+.3f}"
        marks.append(_group(about, *stick, _mark(middle, y(one), size, arms[0]), _mark(middle, y(two), inner, arms[1])))
    marks.append(_label(left, bottom + LINE + 2, counts))
    description = f"{arms[1]} against {arms[0]}, {len(pairs)} questions sorted by the difference: {counts}."
    return _picture(title, description, bottom + LINE + 8, marks)


def loss_curve(title: str, losses: Mapping[str, Sequence[tuple[int, float]]]) -> str:
    """Draw losses over the steps of training; `losses` are points (step, loss) by `training` and `validation`.

    >>> "training loss from 2.000 (step 1) to 0.500 (step 9)" in loss_curve("", {"training": [(1, 2.0), (9, 0.5)]})
    True
    """
    points = [point for each in losses.values() for point in each]
    if not points:
        return "The service reported no losses."
    top, bottom, left = 28, 180, 50
    x = _Scale(min(step for step, _ in points), max(step for step, _ in points), left, WIDTH - 10)
    y = _Scale(0, max(loss for _, loss in points) or 1, bottom, top)
    marks = [*_x_axis(x, top, bottom), *_y_axis(y, left), _label(WIDTH - 10, bottom + 2 * LINE, "step", "end")]
    descriptions = []
    for i, (name, kind) in enumerate({"training": "tuned", "validation": "teacher"}.items()):
        if series := sorted(losses.get(name, ())):
            (first, high), (last, low) = series[0], series[-1]
            descriptions.append(f"{name} loss from {high:.3f} (step {first}) to {low:.3f} (step {last})")
            legend = 6 + 110 * i
            marks += [_curve([(legend, 8), (legend + 22, 8)], kind), _label(legend + 28, 12, name, kind="ink")]
            marks.append(_curve([(x(step), y(loss)) for step, loss in series], kind))
            marks += [_group(f"{name}, step {s}: {loss:.4f}", _mark(x(s), y(loss), 2.2, kind)) for s, loss in series]
    return _picture(title, "; ".join(descriptions) + ".", bottom + 2 * LINE + 6, marks)


# -- what charts are drawn with ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Scale:
    """Maps numbers from `low` to `high` to positions from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = 0.5 if self.high == self.low else (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 2)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return at most `most` round numbers (1, 2 or 5 times a power of ten apart) from `low` to `high`.

    >>> ticks(0, 1), ticks(-0.3, 0.45)
    ([0.0, 0.5, 1.0], [-0.2, 0.0, 0.2, 0.4])
    """
    if not low < high:
        return [low]
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    for step in (power, 2 * power, 5 * power, 10 * power):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            break
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def _picture(title: str, description: str, height: float, marks: Iterable[str]) -> str:
    """Return the whole SVG; a screen reader reads its title and its description."""
    head = tag("title", text(title)), tag("desc", text(description))
    return tag("svg", *head, *marks, viewBox=f"0 0 {WIDTH} {height:g}", role="img", class_="chart")


def _label(x: float, y: float, content: str, anchor: str = "start", kind: str = "soft") -> str:
    """Return text with its baseline at `y`; `anchor` is `start`, `middle` or `end`."""
    return tag("text", text(content), x=f"{x:g}", y=f"{y:g}", text_anchor=anchor, class_=kind)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return tag("line", x1=f"{x1:g}", y1=f"{y1:g}", x2=f"{x2:g}", y2=f"{y2:g}", class_=kind)


def _curve(points: Sequence[tuple[float, float]], kind: str) -> str:
    return tag("polyline", points=" ".join(f"{x:g},{y:g}" for x, y in points), class_=f"curve {kind}")


def _mark(x: float, y: float, size: float, arm: str) -> str:
    """Return an arm's mark; arms differ in shape too: base is a ring, tuned a disc, teacher a diamond."""
    if arm == "teacher":
        points = f"{x:g},{y - size:g} {x + size:g},{y:g} {x:g},{y + size:g} {x - size:g},{y:g}"
        return tag("polygon", points=points, class_=arm)
    kind = "ring base" if arm == "base" else arm
    return tag("circle", cx=f"{x:g}", cy=f"{y:g}", r=f"{size:g}", class_=kind)


def _group(tooltip: str, *marks: str) -> str:
    """Return marks that belong together, with the text that a mouse over them shows."""
    return tag("g", tag("title", text(tooltip)), *marks)


def _x_axis(scale: _Scale, top: float, bottom: float) -> list[str]:
    """Return a vertical grid line at each round number, with the number below."""
    marks = []
    for value in ticks(scale.low, scale.high):
        x = scale(value)
        anchor = "end" if x > WIDTH - 24 else "middle"
        marks += [_line(x, top, x, bottom, "grid"), _label(x, bottom + LINE, f"{value:,g}", anchor)]
    return marks


def _y_axis(scale: _Scale, left: float) -> list[str]:
    """Return a horizontal grid line at each round number, with the number before it."""
    marks = []
    for value in ticks(scale.low, scale.high):
        y = scale(value)
        marks += [_line(left, y, WIDTH - 4, y, "grid"), _label(left - 4, y + 4, f"{value:g}", "end")]
    return marks
