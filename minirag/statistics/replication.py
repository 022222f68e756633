"""Several runs side by side: does what the first found differ from what the others found?

Two verdicts that differ do not say so: "better" and "cannot tell" often stand on nearly the same difference (Gelman and
Stern 2006). So the runs' differences are compared, and that has an interval of its own.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from minirag.metrics.comparison import FEWEST_CLUSTERS, ROUNDING, Estimate
from minirag.statistics.power import comparisons

Shift = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Replication:
    """One comparison in each of the `runs` (None: not made there).

    `shifts` has for each run after the first how much larger its difference is than the first one's, as `difference`,
    `low` and `high` (None: not known); `outcome` is what they say: `differ`, `no difference shown` or `cannot tell`.
    """

    metric: str
    against: str
    runs: Sequence[Mapping[str, Any] | None]
    shifts: Sequence[Shift | None]
    outcome: str


def replication(runs: Sequence[Mapping[str, Any]]) -> list[Replication]:
    """Return every comparison that one of the runs has, given as `comparison.json`, in the order of the first."""
    compared = [{(metric, arm): one for metric, arm, one in comparisons(comparison)} for comparison in runs]
    found = []
    for key in dict.fromkeys(key for each in compared for key in each):
        first, *others = [each.get(key) for each in compared]
        shifts = [shift(first, other) for other in others]
        found.append(Replication(*key, runs=[first, *others], shifts=shifts, outcome=_outcome(shifts)))
    return found


def shift(first: Mapping[str, Any] | None, second: Mapping[str, Any] | None) -> Shift | None:
    """Return the second run's difference minus the first one's, with its 95 % interval (Welch 1947).

    The runs count as independent; where both asked the same questions the interval is no shorter for it. None where
    a run has too few pages, or comes from a version that did not keep the standard error.
    """
    if first is None or second is None:
        return None
    if not (first.get("degrees") and second.get("degrees") and first["error"] is not None is not second["error"]):
        return None
    if min(first["n_clusters"], second["n_clusters"]) < FEWEST_CLUSTERS:
        return None
    variances = [one["error"] ** 2 for one in (first, second)]
    weights = sum(v**2 / one["degrees"] for v, one in zip(variances, (first, second), strict=True))
    degrees = sum(variances) ** 2 / weights if weights else first["degrees"]
    between = Estimate(second["difference"] - first["difference"], math.sqrt(sum(variances)), degrees, 0, 0)
    low, high = between.interval
    return {"difference": between.value, "low": low, "high": high}


def _outcome(shifts: Sequence[Shift | None]) -> str:
    if any(each is not None and (each["low"] > ROUNDING or each["high"] < -ROUNDING) for each in shifts):
        return "differ"
    return "cannot tell" if None in shifts else "no difference shown"
