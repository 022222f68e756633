"""All questions of one metric, each a stick from one arm's score to the other's, sorted by the difference."""

from collections.abc import Sequence
from typing import NamedTuple

from minirag.charts.drawing import (
    LINE,
    WIDTH,
    Scale,
    column,
    empty,
    group,
    label,
    legend,
    line,
    mark,
    picture,
    plain,
    upward,
)

LEFT, TOP, BOTTOM = 28, 30, 210


class Pair(NamedTuple):
    """One question's score in both arms, in [0, 1]; None: not scored."""

    question: str
    first: float | None
    second: float | None


class _Stick(NamedTuple):
    question: str
    first: float
    second: float

    @property
    def difference(self) -> float:
        return self.second - self.first


def paired(title: str, pairs: Sequence[Pair], arms: tuple[str, str] = ("base", "tuned")) -> str:
    """The scores of both arms of every question that has both, from the largest loss to the largest gain, as SVG.

    >>> "1 better, 0 the same, 0 worse, 1 not scored" in paired("", [Pair("q1", 0.5, 1.0), Pair("q2", None, 1.0)])
    True
    """
    sticks = [_Stick(q, first, second) for q, first, second in pairs if first is not None and second is not None]
    if not sticks:
        return empty(title, f"None of {len(pairs)} questions was scored in both." if pairs else "There is no question.")
    sticks.sort(key=lambda stick: (stick.difference, stick.second, stick.question))
    worse = sum(stick.difference < 0 for stick in sticks)
    better = sum(stick.difference > 0 for stick in sticks)
    counts = f"{better} better, {len(sticks) - worse - better} the same, {worse} worse"
    unscored = f", {len(pairs) - len(sticks)} not scored" if len(pairs) > len(sticks) else ""
    worst, best = sticks[0], sticks[-1]
    description = (
        f"{arms[1]} against {arms[0]}, {len(sticks)} questions sorted by the difference: {counts}{unscored}. "
        f"From {worst.difference:+.3f} ({worst.question}) to {best.difference:+.3f} ({best.question})."
    )
    y = Scale(0, 1, BOTTOM, TOP)
    marks = [
        *legend(12, arms),
        label(WIDTH - 6, 12, "sorted by difference", "end"),
        *upward(y, LEFT, plain),
        *_turns(worse, len(sticks) - better, len(sticks)),
        *_drawn(sticks, arms, y),
        label(LEFT, BOTTOM + LINE + 2, f"{counts}{unscored}"),
    ]
    return picture(title, description, BOTTOM + LINE + 8, marks)


def _turns(worse: int, not_better: int, n: int) -> list[str]:
    """Lines where losses end and gains begin."""
    edges = sorted({edge for edge in (worse, not_better) if 0 < edge < n})
    places = [column(edge - 0.5, n, LEFT) for edge in edges]
    return [line(x, TOP - 6, x, BOTTOM, "turn") for x in places]


def _drawn(sticks: Sequence[_Stick], arms: tuple[str, str], y: Scale) -> list[str]:
    size = max(0.8, min(4.0, 0.4 * (WIDTH - LEFT) / len(sticks)))
    drawn = []
    for number, (question, first, second) in enumerate(sticks):
        x = column(number, len(sticks), LEFT)
        about = f"{question}: {arms[0]} {first:.3f}, {arms[1]} {second:.3f}, difference {second - first:+.3f}"
        marks = [mark(x, y(first), size, arms[0]), mark(x, y(second), size, arms[1])]
        stick = [line(x, y(first), x, y(second), "stick")] if first != second else []
        drawn.append(group(about, *stick, *marks, question=question, first=first, second=second))
    return drawn
