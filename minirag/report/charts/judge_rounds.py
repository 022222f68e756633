"""How far the rounds of a judge lie apart, question by question."""

from collections.abc import Sequence

from minirag.report.charts.drawing import (
    LINE,
    WIDTH,
    Scale,
    column,
    empty,
    group,
    label,
    line,
    mark,
    picture,
    plain,
    upward,
)

LEFT, TOP, BOTTOM = 28, 14, 170


def judge_rounds(title: str, questions: Sequence[tuple[str, Sequence[float | None]]], arm: str = "tuned") -> str:
    """Every question's scores in [0, 1] of all rounds (None: not scored) with the stick that they span, as SVG.

    Sorted by that stick's length, the steadiest first.

    >>> "2 rounds, 1 of 2 questions scored alike" in judge_rounds("", [("q1", [1.0, 1.0]), ("q2", [0.5, 1.0])])
    True
    """
    rounds = max((len(scores) for _, scores in questions), default=0)
    known = [(name, [score for score in scores if score is not None]) for name, scores in questions]
    seen = sorted(((name, scores) for name, scores in known if len(scores) > 1), key=lambda each: _span(each[1]))
    if not seen:
        return empty(title, "No question was scored in two rounds.")
    alike = sum(_span(scores) == 0 for _, scores in seen)
    told = f"{rounds} rounds, {alike} of {len(seen)} questions scored alike"
    y = Scale(0, 1, BOTTOM, TOP)
    size = max(0.8, min(3.0, 0.4 * (WIDTH - LEFT) / len(seen)))
    marks = upward(y, LEFT, plain)
    for number, (name, scores) in enumerate(seen):
        x, low, high = column(number, len(seen), LEFT), min(scores), max(scores)
        stick = [line(x, y(low), x, y(high), "span")] if low < high else []
        dots = [mark(x, y(score), size, arm) for score in scores]
        written = ", ".join(f"{score:.3f}" for score in scores)
        marks.append(group(f"{name}: {written}", *stick, *dots, question=name, rounds=" ".join(map(str, scores))))
    marks.append(label(LEFT, BOTTOM + LINE + 2, told))
    widest = f"The widest apart is {seen[-1][0]}, by {_span(seen[-1][1]):.3f}"
    return picture(title, f"{told}. {widest}.", BOTTOM + LINE + 8, marks)


def _span(scores: Sequence[float]) -> float:
    return max(scores) - min(scores)
