"""What charts are drawn with: the picture, scales, axes, lines and marks.

A picture is 400 units wide and its text 12 units high, so that it can be read on a screen of 400 pixels. Colours come
from the style sheet by class, for light, dark and paper.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from minirag.report.markup import tag, text

WIDTH = 400
LINE = 16
"""Height of a line of text."""
ARMS = ("base", "tuned", "teacher")
"""Arms with a colour and a shape of their own; others are drawn in ink."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps numbers from `low` to `high` to positions from `start` to `end`.

    >>> Scale(0, 1, 40, 390)(0.5)
    215.0
    """

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


def picture(title: str, description: str, height: float, marks: Iterable[str]) -> str:
    """Return the whole SVG; a screen reader reads its title and its description."""
    head = tag("title", text(title)), tag("desc", text(description))
    return tag("svg", *head, *marks, viewBox=f"0 0 {WIDTH} {height:g}", role="img", class_="chart")


def label(x: float, y: float, content: str, anchor: str = "start", kind: str = "soft") -> str:
    """Return text with its baseline at `y`; `anchor` is `start`, `middle` or `end`."""
    return tag("text", text(content), x=f"{x:g}", y=f"{y:g}", text_anchor=anchor, class_=kind)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """Return a straight line."""
    return tag("line", x1=f"{x1:g}", y1=f"{y1:g}", x2=f"{x2:g}", y2=f"{y2:g}", class_=kind)


def curve(points: Sequence[tuple[float, float]], kind: str) -> str:
    """Return a line through points (x, y)."""
    return tag("polyline", points=" ".join(f"{x:g},{y:g}" for x, y in points), class_=f"curve {kind}")


def mark(x: float, y: float, size: float, arm: str) -> str:
    """Return an arm's mark; arms differ in shape too: base is a ring, tuned a disc, teacher a diamond."""
    if arm == "teacher":
        points = f"{x:g},{y - size:g} {x + size:g},{y:g} {x:g},{y + size:g} {x - size:g},{y:g}"
        return tag("polygon", points=points, class_=arm)
    kind = "ring base" if arm == "base" else arm_class(arm)
    return tag("circle", cx=f"{x:g}", cy=f"{y:g}", r=f"{size:g}", class_=kind)


def arm_class(arm: str) -> str:
    """Return the class that colours an arm's marks."""
    return arm if arm in ARMS else "ink"


def group(tooltip: str, *marks: str) -> str:
    """Return marks that belong together, with the text that a mouse over them shows."""
    return tag("g", tag("title", text(tooltip)), *marks)


def x_axis(scale: Scale, top: float, bottom: float) -> list[str]:
    """Return a vertical grid line at each round number, with the number below."""
    marks = []
    for value in ticks(scale.low, scale.high):
        x = scale(value)
        anchor = "end" if x > WIDTH - 24 else "middle"
        marks += [line(x, top, x, bottom, "grid"), label(x, bottom + LINE, f"{value:,g}", anchor)]
    return marks


def y_axis(scale: Scale, left: float, form: Callable[[float], str] = "{:g}".format) -> list[str]:
    """Return a horizontal grid line at each round number, with the number before it."""
    marks = []
    for value in ticks(scale.low, scale.high):
        y = scale(value)
        marks += [line(left, y, WIDTH - 4, y, "grid"), label(left - 4, y + 4, form(value), "end")]
    return marks
