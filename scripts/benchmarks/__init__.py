"""Benchmarks of minirag against a peer or a physical limit that is measured in the same run.

Each module here has `add_arguments(parser)` and `measure(options) -> list[Line]`: one command of `scripts/bench`.
Absolute times on a shared machine are noise, so what a line is judged by is a ratio: the median of several.
"""

from dataclasses import dataclass


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
