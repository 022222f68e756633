"""When training has paid for itself: what so many questions cost with the teacher, and with the tuned model."""

from typing import NamedTuple

from minirag.costs.bill import dollars
from minirag.report.charts.drawing import (
    LINE,
    WIDTH,
    Scale,
    across,
    curve,
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

LEFT, RIGHT, TOP, BOTTOM = 62, WIDTH - 10, 28, 190


class Costs(NamedTuple):
    """US dollars: `training` once, the rest for one question; `hosting` is its part of a rent. None: not known."""

    training: float | None
    teacher: float | None
    tuned: float | None
    hosting: float | None = 0.0


def break_even(
    title: str, costs: Costs, *, questions: float | None = None, last: float | None = None, off: str = "", why: str = ""
) -> str:
    """Cumulative cost of the teacher and of training with the tuned model, over the number of questions, as SVG.

    `questions` is where training has paid for itself (None: nowhere, and `why` says so), `last` how many can be
    asked before the tuned model is switched off on the day `off`: behind it its line ends.

    >>> "The lines meet at 32 questions." in break_even("", Costs(8.0, 0.75, 0.5), questions=32)
    True
    """
    training, teacher, tuned, hosting = costs
    if training is None or teacher is None or tuned is None or hosting is None:
        return empty(title, why or "A price is not known.")
    each = tuned + hosting
    if training == teacher == each == 0:
        return empty(title, why or "These models cost nothing.")
    shown = _shown(training, teacher, questions, last)
    x = Scale(0, shown, LEFT, RIGHT)
    y = Scale(0, max(teacher * shown, training + each * shown) or 1, BOTTOM, TOP)
    ends = shown if last is None else min(last, shown)
    marks = [
        *legend(12, ("teacher", "tuned")),
        *across(x, TOP, BOTTOM, plain, 4),
        *upward(y, LEFT, lambda usd: f"${plain(usd)}", 4),
        label(RIGHT, BOTTOM + 2 * LINE, "questions", "end"),
        _path((x, y), "teacher", 0.0, teacher, shown),
        _path((x, y), "tuned", training, each, ends),
        *_meeting(x, y, questions, teacher),
        *_end(x, last, shown, off),
    ]
    told = [
        f"Teacher: {dollars(teacher)} a question.",
        f"Tuned: {dollars(training)} for training, then {dollars(each)} a question"
        + (f", hosting included ({dollars(hosting)})." if hosting else "."),
        why
        or (f"The lines meet at {questions:,.0f} questions." if questions is not None else "The lines do not meet."),
        f"The tuned model is off on {off}, after {last:,.0f} questions." if last is not None and off else "",
    ]
    return picture(title, " ".join(filter(None, told)), BOTTOM + 2 * LINE + 6, marks)


def _shown(training: float, teacher: float, questions: float | None, last: float | None) -> float:
    """How many questions the picture shows: both what is to be seen of it, and some more."""
    points = [point for point in (questions, last) if point]
    if points:
        return max(2 * points[0], 1.1 * points[-1])
    return 2 * training / teacher if training and teacher else 1000.0


def _path(axes: tuple[Scale, Scale], arm: str, start: float, each: float, ends: float) -> str:
    x, y = axes
    points = [(x(0), y(start)), (x(ends), y(start + each * ends))]
    about = f"{arm}: {dollars(start)}, and {dollars(each)} a question"
    return group(about, curve(points, arm), arm=arm, start=start, each=each, ends=ends)


def _meeting(x: Scale, y: Scale, questions: float | None, teacher: float) -> list[str]:
    if questions is None:
        return []
    at = f"{questions:,.0f} questions"
    place = x(questions), y(teacher * questions)
    marks = [mark(*place, 4, ""), label(place[0] + 8, place[1] + LINE, at, kind="ink")]
    return [group(f"paid for itself after {at}", *marks, questions=questions)]


def _end(x: Scale, last: float | None, shown: float, off: str) -> list[str]:
    """Where the tuned model is switched off."""
    if last is None or last > shown:
        return []
    side = "end" if x(last) > (LEFT + RIGHT) / 2 else "start"
    told = label(x(last) + (-4 if side == "end" else 4), BOTTOM - 6, f"off {off}".strip(), side, "ink")
    return [group(f"switched off: {off}", line(x(last), TOP, x(last), BOTTOM, "turn"), told, last=last)]
