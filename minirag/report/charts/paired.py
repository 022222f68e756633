"""All questions of one metric, each a stick from one arm's score to the other's, sorted by the difference."""

from collections.abc import Sequence
from typing import NamedTuple

from minirag.report.charts.drawing import (
    LINE,
    WIDTH,
    Scale,
    arm_class,
    bar,
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

LEFT, TOP, BOTTOM = 34, 28, 178
BELOW, END = 196, 256
"""Between them stand the differences alone."""


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

    Below them the differences, second arm − first. A stick has the colour of the arm that is ahead.

    >>> "1 better, 0 the same, 0 worse, 1 not scored" in paired("", [Pair("q1", 0.5, 1.0), Pair("q2", None, 1.0)])
    True
    """
    sticks = [_Stick(q, first, second) for q, first, second in pairs if first is not None and second is not None]
    if not sticks:
        return empty(title, f"None of {len(pairs)} questions was scored in both." if pairs else "There is no question.")
    sticks.sort(key=lambda stick: (stick.difference, stick.second, stick.question))
    worst, best = sticks[0], sticks[-1]
    worse, better = (sum(sign * stick.difference > 0 for stick in sticks) for sign in (-1, 1))
    counts = f"{better} better, {len(sticks) - worse - better} the same, {worse} worse"
    counts += f", {len(pairs) - len(sticks)} not scored" if len(pairs) > len(sticks) else ""
    description = (
        f"{arms[1]} against {arms[0]}, {len(sticks)} questions sorted by the difference: {counts}. "
        f"From {worst.difference:+.3f} ({worst.question}) to {best.difference:+.3f} ({best.question})."
    )
    scores, differences = Scale(0, 1, BOTTOM, TOP), _differences(worst, best)
    marks = [
        *legend(12, arms),
        label(WIDTH - 6, 12, "sorted by difference", "end"),
        *upward(scores, LEFT, plain),
        label(LEFT, BOTTOM + 13, "difference"),
        *upward(differences, LEFT, lambda value: f"{value:+g}" if value else "0", 3),
        *_turns(worse, len(sticks) - better, len(sticks)),
        *(_drawn(stick, number, len(sticks), arms, (scores, differences)) for number, stick in enumerate(sticks)),
        label(LEFT, END + LINE + 2, counts),
    ]
    return picture(title, description, END + LINE + 8, marks)


def _differences(worst: _Stick, best: _Stick) -> Scale:
    """The scale of the lower part, with nought in it."""
    low, high = min(0.0, worst.difference), max(0.0, best.difference)
    return Scale(low, high, END, BELOW) if low < high else Scale(-1, 1, END, BELOW)


def _turns(worse: int, not_better: int, n: int) -> list[str]:
    """Lines where losses end and gains begin."""
    edges = sorted({edge for edge in (worse, not_better) if 0 < edge < n})
    places = [column(edge - 0.5, n, LEFT) for edge in edges]
    return [line(x, TOP - 6, x, END, "turn") for x in places]


def _drawn(stick: _Stick, number: int, n: int, arms: tuple[str, str], scales: tuple[Scale, Scale]) -> str:
    """One question: its stick with a mark at either end, and its difference below."""
    question, first, second = stick
    y, lower = scales
    x, step = column(number, n, LEFT), (WIDTH - 6 - LEFT) / n
    size = max(0.8, min(4.0, 0.4 * step))
    ahead = arm_class(arms[second > first])
    inner = 0.6 * size if first == second else size  # both can be seen where they lie on each other
    marks = [mark(x, y(first), size, arms[0]), mark(x, y(second), inner, arms[1])]
    if first != second:
        top, wide = min(lower(0), lower(stick.difference)), min(10.0, 0.8 * step)
        marks.insert(0, line(x, y(first), x, y(second), f"stick {ahead}"))
        marks.append(bar(x - wide / 2, top, wide, abs(lower(0) - lower(stick.difference)), ahead))
    about = f"{question}: {arms[0]} {first:.3f}, {arms[1]} {second:.3f}, difference {stick.difference:+.3f}"
    return group(about, *marks, question=question, first=first, second=second)
