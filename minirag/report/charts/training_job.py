"""A fine-tuning job: how long each of its states took, and how the loss fell."""

from collections.abc import Sequence

from minirag.report.charts.drawing import (
    LINE,
    WIDTH,
    Scale,
    across,
    bar,
    curve,
    empty,
    group,
    label,
    mark,
    picture,
    plain,
    shortened,
    upward,
)

LEFT, RIGHT, ROW, TOP, BOTTOM = 118, WIDTH - 70, 22, 28, 180


def duration(seconds: float) -> str:
    """A time in the two units that matter.

    >>> duration(4.2), duration(200), duration(7260), duration(100000)
    ('4 s', '3 min 20 s', '2 h 1 min', '1 d 3 h')
    """
    for large, small, size, part in (("d", "h", 86400, 3600), ("h", "min", 3600, 60), ("min", "s", 60, 1)):
        if seconds >= size:
            rest = int(seconds % size // part)
            return f"{int(seconds // size)} {large}" + (f" {rest} {small}" if rest else "")
    return f"{seconds:.0f} s"


def job_timeline(title: str, states: Sequence[tuple[str, float]], end: float) -> str:
    """One bar a state, from its start (seconds since 1970, in order) to the next one's or the `end`, as SVG.

    >>> "queued 5 s, running 1 min 40 s" in job_timeline("", [("queued", 100.0), ("running", 105.0)], 205.0)
    True
    """
    if not states:
        return empty(title, "There was no job.")
    start = states[0][1]
    x = Scale(start, max(end, start + 1), LEFT, RIGHT)
    marks, told = [], []
    for number, (name, began) in enumerate(states):
        ended = states[number + 1][1] if number + 1 < len(states) else end
        told.append(f"{name} {duration(ended - began)}")
        middle = ROW * number + ROW / 2 + 2
        wide = max(1.0, round(x(ended) - x(began), 2))
        drawn = [
            label(LEFT - 6, middle + 4, shortened(name, 16), "end", "ink"),
            bar(x(began), middle - 7, wide, 14, "tuned"),
            label(x(began) + wide + 6, middle + 4, duration(ended - began)),
        ]
        marks.append(group(told[-1], *drawn, state=name, start=began, end=ended))
    told_all = f"{', '.join(told)}; {duration(end - start)} in all."
    return picture(title, told_all, ROW * len(states) + 6, marks)


def loss_curve(title: str, training: Sequence[tuple[int, float]], validation: Sequence[tuple[int, float]] = ()) -> str:
    """Training and validation loss over the steps, each point (step, loss), as SVG.

    >>> "training loss from 2.000 (step 1) to 0.500 (step 9)" in loss_curve("", [(1, 2.0), (9, 0.5)])
    True
    """
    lines = {"training": sorted(training), "validation": sorted(validation)}
    points = [point for each in lines.values() for point in each]
    if not points:
        return empty(title, "The service told no loss.")
    x = Scale(min(step for step, _ in points), max(step for step, _ in points), 50, WIDTH - 10)
    y = Scale(0, max(loss for _, loss in points) or 1, BOTTOM, TOP)
    marks = [
        *across(x, TOP, BOTTOM, plain),
        *upward(y, 50, plain, 4),
        label(WIDTH - 10, BOTTOM + 2 * LINE, "step", "end"),
    ]
    told = []
    for number, (name, kind) in enumerate({"training": "tuned", "validation": "dashed"}.items()):
        if each := lines[name]:
            told.append(
                f"{name} loss from {each[0][1]:.3f} (step {each[0][0]}) to {each[-1][1]:.3f} (step {each[-1][0]})"
            )
            marks += _path(x, y, name, kind, each)
            left = 6 + 110 * number
            marks += [curve([(left, 8), (left + 22, 8)], kind), label(left + 28, 12, name, kind="ink")]
    return picture(title, "; ".join(told) + ".", BOTTOM + 2 * LINE + 6, marks)


def _path(x: Scale, y: Scale, name: str, kind: str, points: Sequence[tuple[int, float]]) -> list[str]:
    """The line, and on it a mark for each point."""
    places = [(x(step), y(loss)) for step, loss in points]
    dots = [
        group(
            f"{name}, step {step}: {loss:.4f}",
            mark(*place, 2.2, kind),
            series=name,
            step=step,
            loss=loss,
        )
        for place, (step, loss) in zip(places, points, strict=True)
    ]
    return [curve(places, kind), *dots]
