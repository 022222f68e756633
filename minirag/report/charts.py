"""The report's charts, from plain numbers to one SVG: differences, scores question by question, and losses.

Where there is nothing to draw, or all values are equal, a chart is a sentence instead.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from minirag.report.markup import interval, number
from minirag.report.svg import (
    LINE,
    WIDTH,
    Scale,
    arm_class,
    curve,
    group,
    label,
    line,
    mark,
    picture,
    x_axis,
    y_axis,
)

ROW = 22
"""Height of a row of the chart of differences."""


def differences(title: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Draw differences with their intervals below each other over one axis, zero included.

    `rows` are comparisons as `comparison.json` has them, by the name that stands before each.
    """
    values = {name: [row[key] for key in ("difference", "low", "high")] for name, row in rows.items()}
    numbers = [value for triple in values.values() for value in triple if value is not None]
    if not numbers:
        return "Nothing was scored."
    if not any(numbers):
        return "The same in every question."
    x = Scale(min(0.0, *numbers), max(0.0, *numbers), 66, WIDTH - 164)
    bottom = ROW * len(rows) + 4
    marks, descriptions = [*x_axis(x, 2, bottom), line(x(0), 2, x(0), bottom, "zero")], []
    for i, (name, (difference, low, high)) in enumerate(values.items()):
        y, verdict = ROW * i + ROW / 2 + 2, rows[name]["verdict"]
        descriptions.append(f"{name}: {number(difference, '+')} {interval(low, high)}, {verdict}")
        drawn = [label(56, y + 4, name, "end", "ink"), label(WIDTH - 152, y + 4, verdict)]
        if low is not None and high is not None:
            drawn.append(line(x(low), y, x(high), y, "interval"))
        if difference is not None:
            drawn.append(mark(x(difference), y, 4, "tuned"))
        marks.append(group(descriptions[-1], *drawn))
    return picture(title, "; ".join(descriptions) + ".", bottom + LINE + 4, marks)


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
    x, y = Scale(0, len(pairs), left + 2, WIDTH - 6), Scale(0, 1, bottom, top)
    size = max(0.8, min(4.0, 0.4 * (WIDTH - left) / len(pairs)))
    marks = [*_legend(arms), label(WIDTH - 6, 12, "sorted by difference", "end"), *y_axis(y, left)]
    for i, (question, one, two) in enumerate(pairs):
        middle, ahead = x(i + 0.5), arm_class(arms[two > one])
        stick = [line(middle, y(one), middle, y(two), f"stick {ahead}")] if one != two else []
        # where both scores are equal the second mark is smaller, so that both can be seen
        inner = size if one != two else 0.6 * size
        about = f"{question}: {arms[0]} {one:.3f}, {arms[1]} {two:.3f}, difference {two - one:+.3f}"
        marks.append(group(about, *stick, mark(middle, y(one), size, arms[0]), mark(middle, y(two), inner, arms[1])))
    marks.append(label(left, bottom + LINE + 2, counts))
    description = f"{arms[1]} against {arms[0]}, {len(pairs)} questions sorted by the difference: {counts}."
    return picture(title, description, bottom + LINE + 8, marks)


def _legend(arms: Sequence[str]) -> list[str]:
    """Return the arms' marks with their names, in one line."""
    marks, x = [], 6
    for arm in arms:
        marks += [mark(x, 8, 4, arm), label(x + 8, 12, arm, kind="ink")]
        x += 26 + 7 * len(arm)
    return marks


def loss_curve(title: str, losses: Mapping[str, Sequence[tuple[int, float]]]) -> str:
    """Draw losses over the steps of training; `losses` are points (step, loss) by `training` and `validation`.

    >>> "training loss from 2.000 (step 1) to 0.500 (step 9)" in loss_curve("", {"training": [(1, 2.0), (9, 0.5)]})
    True
    """
    points = [point for each in losses.values() for point in each]
    if not points:
        return "The service reported no losses."
    top, bottom, left = 28, 180, 50
    x = Scale(min(step for step, _ in points), max(step for step, _ in points), left, WIDTH - 10)
    y = Scale(0, max(loss for _, loss in points) or 1, bottom, top)
    marks = [*x_axis(x, top, bottom), *y_axis(y, left), label(WIDTH - 10, bottom + 2 * LINE, "step", "end")]
    descriptions = []
    for i, (name, kind) in enumerate({"training": "tuned", "validation": "teacher"}.items()):
        if series := sorted(losses.get(name, ())):
            (first, high), (last, low) = series[0], series[-1]
            descriptions.append(f"{name} loss from {high:.3f} (step {first}) to {low:.3f} (step {last})")
            legend = 6 + 110 * i
            marks += [curve([(legend, 8), (legend + 22, 8)], kind), label(legend + 28, 12, name, kind="ink")]
            marks.append(curve([(x(step), y(loss)) for step, loss in series], kind))
            marks += [group(f"{name}, step {s}: {loss:.4f}", mark(x(s), y(loss), 2.2, kind)) for s, loss in series]
    return picture(title, "; ".join(descriptions) + ".", bottom + 2 * LINE + 6, marks)
