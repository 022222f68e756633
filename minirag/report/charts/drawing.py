"""What all charts are drawn with: a picture with a title and a description, scales, lines and labels.

A picture is 400 units wide and its text 12 units high, so that it can be read on a screen of 400 pixels. It has no
colours of its own: the report's style gives them by class (`ink`, `soft`, `grid`, `base`, `tuned`, `teacher`), for
light, dark and paper. Numbers that are drawn stand beside the mark in `data-` attributes, unrounded.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from minirag.report.markup import tag, text

WIDTH = 400
LINE = 16
"""Height of a line of text."""
ARMS = ("base", "tuned", "teacher")
"""The classes that have a colour and a shape; another arm is drawn in ink."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Numbers from `low` to `high` laid on the picture from `start` to `end`; all of one number lie in the middle.

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
    """At most `most` round numbers (1, 2 or 5 times a power of ten apart) from `low` to `high`.

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
    """The whole SVG: `title` is what it is called, `description` what one would say who sees it."""
    return tag(
        "svg",
        tag("title", text(title)),
        tag("desc", text(description)),
        *marks,
        viewBox=f"0 0 {WIDTH} {height:g}",
        role="img",
        class_="chart",
    )


def empty(title: str, reason: str) -> str:
    """A picture that says why there is nothing to draw."""
    return picture(title, reason, 2 * LINE, [label(0, LINE, shortened(reason, 62))])


def label(x: float, y: float, content: str, anchor: str = "start", kind: str = "soft") -> str:
    """Text whose line stands on `y`; `anchor` is `start`, `middle` or `end`."""
    side = None if anchor == "start" else anchor
    return tag("text", text(content), x=f"{x:g}", y=f"{y:g}", text_anchor=side, class_=kind)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line."""
    return tag("line", x1=f"{x1:g}", y1=f"{y1:g}", x2=f"{x2:g}", y2=f"{y2:g}", class_=kind)


def bar(x: float, y: float, wide: float, tall: float, kind: str) -> str:
    """A filled rectangle with its upper left corner at (x, y)."""
    return tag("rect", x=f"{x:g}", y=f"{y:g}", width=f"{wide:g}", height=f"{tall:g}", class_=f"bar {kind}")


def curve(points: Sequence[tuple[float, float]], kind: str) -> str:
    """A line through points (x, y)."""
    return tag("polyline", points=" ".join(f"{x:g},{y:g}" for x, y in points), class_=f"curve {kind}")


def mark(x: float, y: float, size: float, arm: str) -> str:
    """One arm's mark, told from the others by its shape as well: base a ring, tuned a disc, teacher a diamond."""
    if arm == "teacher":
        points = f"{x:g},{y - size:g} {x + size:g},{y:g} {x:g},{y + size:g} {x - size:g},{y:g}"
        return tag("polygon", points=points, class_=arm)
    kind = f"ring {arm}" if arm == "base" else arm_class(arm)
    return tag("circle", cx=f"{x:g}", cy=f"{y:g}", r=f"{size:g}", class_=kind)


def arm_class(arm: str) -> str:
    """The class that colours an arm's marks."""
    return arm if arm in ARMS else "ink"


def group(about: str, *marks: str, **data: object) -> str:
    """Marks that belong together: `about` appears when they are pointed at, `data` are their numbers."""
    return tag("g", tag("title", text(about)), *marks, **{f"data_{name}": value for name, value in data.items()})


def across(scale: Scale, top: float, bottom: float, written: Callable[[float], str], most: int = 5) -> list[str]:
    """A horizontal axis: a line from `top` to `bottom` at each round number, the number below."""
    marks = []
    for value in ticks(scale.low, scale.high, most):
        x = scale(value)
        marks += [line(x, top, x, bottom, "grid"), label(x, bottom + LINE, written(value), _anchor(x))]
    return marks


def _anchor(x: float) -> str:
    """How a number stands at `x` without leaving the picture."""
    return "end" if x > WIDTH - 24 else "start" if x < 16 else "middle"


def upward(scale: Scale, left: float, written: Callable[[float], str], most: int = 5) -> list[str]:
    """A vertical axis: a line from `left` to the right edge at each round number, the number before it."""
    marks = []
    for value in ticks(scale.low, scale.high, most):
        y = scale(value)
        marks += [line(left, y, WIDTH - 4, y, "grid"), label(left - 4, y + 4, written(value), "end")]
    return marks


def legend(y: float, arms: Sequence[str], left: float = 6) -> list[str]:
    """The arms' marks with their names in one line."""
    marks, x = [], left
    for arm in arms:
        marks += [mark(x, y - 4, 4, arm), label(x + 8, y, arm, kind="ink")]
        x += 26 + 7 * len(arm)
    return marks


def column(number: float, n: int, left: float) -> float:
    """Where the middle of column `number` (from 0) of `n` stands, between `left` and the right edge."""
    return Scale(0, n, left + 2, WIDTH - 6)(number + 0.5)


def shortened(content: str, most: int) -> str:
    """Text that fits: at most `most` characters, the last an ellipsis where something was left out.

    >>> shortened("a long name", 6)
    'a lon…'
    """
    content = " ".join(content.split())
    return content if len(content) <= most else content[: most - 1] + "…"


def plain(value: float) -> str:
    """A number of an axis, without needless digits.

    >>> plain(0.5), plain(12000.0), plain(1e-05)
    ('0.5', '12,000', '1e-05')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"
