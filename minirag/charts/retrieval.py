"""Whether the page that a question was written from was found, and at which rank."""

from collections import Counter
from collections.abc import Sequence

from minirag.charts.drawing import WIDTH, Scale, bar, empty, group, label, line, picture

LEFT, RIGHT, ROW = 92, WIDTH - 128, 22


def retrieval(title: str, ranks: Sequence[int | None], top_k: int) -> str:
    """How many questions found their page first at each rank (from 1; None: not among `top_k`), as SVG.

    >>> "rank 2: 1 of 4 (50.0 % so far)" in retrieval("", [1, 2, None, None], 2)
    True
    """
    if not ranks:
        return empty(title, "No question has a source page.")
    counts = Counter(ranks)
    x = Scale(0, max(counts.values()), LEFT, RIGHT)
    marks, told, found = [line(LEFT, 2, LEFT, ROW * (top_k + 1) + 2, "axis")], [], 0
    for number, rank in enumerate([*range(1, top_k + 1), None]):
        count = counts[rank]
        found += count if rank else 0
        name = f"rank {rank}" if rank else "not found"
        told.append(f"{name}: {count} of {len(ranks)}" + (f" ({found / len(ranks):.1%} so far)" if rank else ""))
        told[-1] = told[-1].replace("%", " %")
        middle = ROW * number + ROW / 2 + 2
        long = round(x(count) - LEFT, 2)
        drawn = [
            label(LEFT - 6, middle + 4, name, "end", "ink"),
            *([bar(LEFT, middle - 7, long, 14, "found" if rank else "lost")] if count else []),
            label(LEFT + long + 6, middle + 4, told[-1].removeprefix(f"{name}: ").replace(f" of {len(ranks)}", "")),
        ]
        marks.append(group(told[-1], *drawn, rank=rank or "none", count=count))
    return picture(title, f"Source page, {len(ranks)} questions. {'; '.join(told)}.", ROW * (top_k + 1) + 6, marks)
