"""Whether the page that a question was written from was found, and at which rank."""

from collections import Counter
from collections.abc import Sequence

from minirag.report.charts.drawing import WIDTH, Scale, bar, empty, group, label, line, picture

LEFT, RIGHT, ROW = 92, WIDTH - 136, 22


def retrieval(title: str, ranks: Sequence[int | None], top_k: int) -> str:
    """How many questions found their page first at each rank (from 1; None: not among `top_k`), as SVG.

    >>> "rank 2: 1 (50.0 % so far)" in retrieval("", [1, 2, None, None], 2)
    True
    """
    if not ranks:
        return empty(title, "No question has a source page.")
    counts = Counter(ranks)
    x = Scale(0, max(counts.values()), LEFT, RIGHT)
    marks, told, found = [line(LEFT, 2, LEFT, ROW * (top_k + 1) + 2, "axis")], [], 0
    for number, rank in enumerate([*range(1, top_k + 1), None]):
        count, name = counts[rank], f"rank {rank}" if rank else "not found"
        found += count if rank else 0
        written = f"{count} ({100 * found / len(ranks):.1f} % so far)" if rank else str(count)
        told.append(f"{name}: {written}")
        middle, long = ROW * number + ROW / 2 + 2, x(count) - LEFT
        drawn = [label(LEFT - 6, middle + 4, name, "end", "ink"), label(LEFT + long + 6, middle + 4, written)]
        if count:
            drawn.append(bar(LEFT, middle - 7, long, 14, "found" if rank else "lost"))
        marks.append(group(told[-1], *drawn, rank=rank or "none", count=count))
    return picture(title, f"Source page, {len(ranks)} questions. {'; '.join(told)}.", ROW * (top_k + 1) + 6, marks)
