"""Benchmarks of minirag against a peer or a physical limit that is measured in the same run.

Each module here has `add_arguments(parser)` and `measure(options) -> list[Line]`: one command of `scripts/bench`.
Absolute times on a shared machine are noise, so what a line is judged by is a ratio: the median of several.
"""

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path


@dataclass(frozen=True)
class Line:
    """One measured figure: what it is of, against what, and the most that it should be (None: only shown)."""

    what: str
    value: float
    unit: str
    against: str = ""
    reach: float | None = None

    @property
    def reached(self) -> bool | None:
        return None if self.reach is None else self.value <= self.reach


def is_installed(module: str) -> bool:
    """Whether a peer is there; one that is not is named and left out."""
    found = find_spec(module.partition(".")[0]) is not None
    if not found:
        print(f"{module} is not installed and left out: pip install 'minirag[bench]'", file=sys.stderr)
    return found


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes, by the wall clock."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def cpu(call: Callable[[], object]) -> float:
    """How long a call takes, by what this process has of the processor."""
    started = time.process_time()
    call()
    return time.process_time() - started


def ratio(ours: Callable[[], object], other: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median of `repeats` ratios of the two calls' times, taken in turns, and the other's median in seconds.

    Both are called once before, so that what only the first call costs is not in it.
    """
    ours()
    other()
    pairs = [(seconds(ours), seconds(other)) for _ in range(repeats)]
    return statistics.median(a / b for a, b in pairs), statistics.median(b for _, b in pairs)


def peak() -> int:
    """Bytes that this process has had in memory at most, as the kernel counts since the program was loaded."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])
