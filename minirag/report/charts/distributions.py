"""How the scores of each arm spread over [0, 1]: a histogram, with the mean and its interval below."""

from collections.abc import Sequence
from typing import NamedTuple

from minirag.report.charts.drawing import (
    LINE,
    WIDTH,
    Scale,
    across,
    arm_class,
    bar,
    empty,
    group,
    label,
    line,
    mark,
    picture,
    plain,
)

BINS = 20
TALL = 44
"""Height of the highest bar."""
ROW = TALL + 44


class Arm(NamedTuple):
    """One arm's scores in [0, 1] (None: not scored), and the mean and interval that were reported of them."""

    name: str
    values: Sequence[float | None]
    mean: float | None = None
    low: float | None = None
    high: float | None = None


def counted(values: Sequence[float]) -> list[int]:
    """How many of the values lie in each of `BINS` equal parts of [0, 1]; an edge belongs to the part above it.

    >>> [number for number, count in enumerate(counted([0.0, 0.05, 1.0, 1.0])) if count]
    [0, 1, 19]
    """
    counts = [0] * BINS
    for value in values:
        counts[min(BINS - 1, int(value * BINS + 1e-9))] += 1
    return counts


def distributions(title: str, arms: Sequence[Arm]) -> str:
    """One histogram an arm over the same axis, as SVG; all share one height for one share of the questions.

    >>> "base: mean 0.500, n 1, 1 not scored" in distributions("", [Arm("base", [0.5, None], 0.5)])
    True
    """
    scored = [[value for value in arm.values if value is not None] for arm in arms]
    if not any(scored):
        return empty(title, "Nothing was scored.")
    counts = [counted(values) for values in scored]
    most = max(max(bins) / max(1, sum(bins)) for bins in counts)
    x = Scale(0, 1, 10, WIDTH - 10)
    marks = across(x, LINE, ROW * len(arms) + 4, plain)
    told = []
    for number, (arm, bins) in enumerate(zip(arms, counts, strict=True)):
        told.append(_told(arm))
        top, floor = ROW * number, ROW * number + LINE + TALL + 4
        marks += [label(10, top + 11, told[-1], kind="ink"), line(x(0), floor, x(1), floor, "axis")]
        marks += [*_bars(arm, bins, x, floor, most), *_mean(arm, x, floor + 7, told[-1])]
    return picture(title, "; ".join(told) + ".", ROW * len(arms) + LINE + 10, marks)


def _told(arm: Arm) -> str:
    """What there is to say of an arm in one line."""
    n = sum(value is not None for value in arm.values)
    mean = "no mean" if arm.mean is None else f"mean {arm.mean:.3f}"
    interval = "" if arm.low is None or arm.high is None else f" [{arm.low:.3f}, {arm.high:.3f}]"
    unscored = f", {len(arm.values) - n} not scored" if n < len(arm.values) else ""
    return f"{arm.name}: {mean}{interval}, n {n}{unscored}"


def _bars(arm: Arm, bins: Sequence[int], x: Scale, floor: float, most: float) -> list[str]:
    """The histogram; `most` is the share of questions that is as high as a bar can be."""
    n, marks = sum(bins), []
    for number, count in enumerate(bins):
        if count:
            low, high, tall = number / BINS, (number + 1) / BINS, TALL * count / n / most
            about = f"{arm.name}: {count} of {n} from {low:g} to {high:g}"
            drawn = bar(x(low) + 0.5, floor - tall, x(high) - x(low) - 1, tall, arm_class(arm.name))
            marks.append(group(about, drawn, arm=arm.name, low=low, count=count))
    return marks


def _mean(arm: Arm, x: Scale, y: float, told: str) -> list[str]:
    """The mean with its interval, where they are known."""
    if arm.mean is None:
        return []
    drawn = [mark(x(arm.mean), y, 4, arm.name)]
    if arm.low is not None and arm.high is not None:
        drawn.insert(0, line(x(max(0.0, arm.low)), y, x(min(1.0, arm.high)), y, "interval"))
    return [group(told, *drawn, arm=arm.name, mean=arm.mean, mean_low=arm.low, mean_high=arm.high)]
