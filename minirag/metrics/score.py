"""What a metric returns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Score:
    """One metric of one answer: `value` in [0, 1], or None with a `reason`.

    `evidence` is what the value was computed from: one mapping for each statement, context or question. `exchanges`
    are the ids of the judge's calls in the log.

    >>> Score(None, "the answer makes no statements").value is None
    True
    """

    value: float | None
    reason: str = ""
    evidence: tuple[Mapping[str, Any], ...] = ()
    exchanges: tuple[str, ...] = ()


class Unscored(Exception):
    """Raised inside a metric to end it; the message becomes the reason of the score."""
