"""What each stage of a run cost; a price that is not known is told, and drawn as nothing."""

from collections.abc import Sequence

from minirag.costs.bill import dollars
from minirag.report.charts.drawing import LINE, WIDTH, Scale, bar, empty, group, label, line, picture, shortened

LEFT, RIGHT = 118, WIDTH - 76
"""Between them the bars; before them the names, behind them the sums."""
ROW = 22


def stage_costs(title: str, stages: Sequence[tuple[str, float | None]], total: float | None) -> str:
    """One bar a stage in US dollars, in the order given, and the total in words, as SVG.

    >>> 'refine unknown' in stage_costs("", [("draft", 0.5), ("refine", None)], None)
    True
    """
    if not stages:
        return empty(title, "Nothing was spent.")
    known = [usd for _, usd in stages if usd is not None]
    x = Scale(0, max(known, default=0) or 1, LEFT, RIGHT)
    marks = [line(LEFT, 2, LEFT, ROW * len(stages) + 2, "axis")]
    for number, (name, usd) in enumerate(stages):
        middle = ROW * number + ROW / 2 + 2
        long = 0.0 if usd is None else round(x(usd) - LEFT, 2)
        drawn = [
            label(LEFT - 6, middle + 4, shortened(name, 16), "end", "ink"),
            label(LEFT + long + 6, middle + 4, dollars(usd), kind="soft" if usd is None else "ink"),
        ]
        if long:
            drawn.append(bar(LEFT, middle - 7, long, 14, "money"))
        marks.append(group(f"{name}: {dollars(usd)}", *drawn, stage=name, usd="unknown" if usd is None else usd))
    bottom = ROW * len(stages) + LINE + 4
    marks.append(label(LEFT + 6, bottom, f"total {dollars(total)}", kind="ink strong"))
    told = ", ".join(f"{name} {dollars(usd)}" for name, usd in stages)
    return picture(title, f"US dollars by stage: {told}; total {dollars(total)}.", bottom + 6, marks)
