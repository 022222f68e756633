"""Times of minirag against a limit that is measured in the same run, on any machine: medians of ratios."""

import statistics
import time
from collections.abc import Callable


def median_ratio(ours: Callable[[], object], other: Callable[[], object], repeats: int, *, cpu: bool = False) -> float:
    """Return the median of how many times as long `ours` takes as `other`, called in turns.

    `cpu` counts this process's computing time, so that other work on the machine does not count. Both are called once
    before, so that what only a first call costs is left out.
    """
    clock = time.process_time if cpu else time.perf_counter
    ratios = []
    for _ in range(1 + repeats):
        moments = [clock()]
        for call in (ours, other):
            call()
            moments.append(clock())
        ratios.append((moments[1] - moments[0]) / (moments[2] - moments[1]))
    return statistics.median(ratios[1:])


def verdict(what: str, value: float, unit: str, limit: float | None = None) -> bool:
    """Print one figure; return True if it is within its limit, or has none."""
    within = limit is None or value <= limit
    mark = "" if limit is None else f"  <= {limit:g}" + ("" if within else "  !")
    print(f"{what:60} {value:8.3g} {unit}{mark}", flush=True)
    return within
