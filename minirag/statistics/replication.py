"""Several runs side by side: does what the first found differ from what the others found?

Two verdicts that differ do not say so: "better" and "cannot tell" often stand on nearly the same difference (Gelman and
Stern 2006). So the runs' differences are compared, and that has an interval of its own.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from minirag.metrics.comparison import FEWEST_CLUSTERS, ROUNDING, Estimate
from minirag.statistics.power import comparisons

Compared = Mapping[str, Any] | None
"""A comparison as `comparison.json` holds it; None where the run has none."""


def replication(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return every comparison that one of the runs has, given as `comparison.json`, in the order of the first.

    Each has `metric` and `against`, its comparison in each of the `runs` (None: not made there), and `shifts`: for each
    run after the first how much larger its difference is than the first one's. `outcome` is what these say: `differ`,
    `no difference shown` or `cannot tell`.
    """
    by_run = [{(metric, arm): one for metric, arm, one in comparisons(comparison)} for comparison in runs]
    rows = []
    for metric, arm in dict.fromkeys(pair for run in by_run for pair in run):
        first, *others = compared = [run.get((metric, arm)) for run in by_run]
        shifts = [shift(first, other) for other in others]
        outcome = "cannot tell" if None in shifts else "no difference shown"
        if any(one and (one["low"] > ROUNDING or one["high"] < -ROUNDING) for one in shifts):
            outcome = "differ"
        rows.append({"metric": metric, "against": arm, "runs": compared, "shifts": shifts, "outcome": outcome})
    return rows


def shift(first: Compared, second: Compared) -> dict[str, float] | None:
    """Return the second run's `difference` minus the first one's, `low` to `high` its 95 % interval (Welch 1947).

    The runs count as independent; where both asked the same questions the interval is no shorter for it. None where
    a run has too few pages, or comes from a version that did not keep the standard error.
    """
    both = [one for one in (first, second) if one and one.get("error") is not None]
    if len(both) < 2 or min(one["n_clusters"] for one in both) < FEWEST_CLUSTERS:
        return None
    variances = [one["error"] ** 2 for one in both]
    weights = sum(variance**2 / one["degrees"] for variance, one in zip(variances, both, strict=True))
    degrees = sum(variances) ** 2 / weights if weights else 1.0
    between = Estimate(both[1]["difference"] - both[0]["difference"], math.sqrt(sum(variances)), degrees, 0, 0)
    return {"difference": between.value, **dict(zip(("low", "high"), between.interval, strict=True))}
