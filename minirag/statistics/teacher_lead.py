"""How much of the teacher's lead over the base model the tuned model made up."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np

from minirag.metrics.comparison import (
    LEVEL,
    MOST_UNSCORED,
    Clusters,
    Value,
    clustered_mean,
    compare,
    numbers,
    t_quantile,
)


@dataclass(frozen=True, slots=True)
class LeadClosed:
    """(tuned − base) ÷ (teacher − base): 0 is the base model, 1 the teacher; a student may be below or above both.

    `gap` is the teacher's lead over the base model in `n` questions scored in all three arms. All but `n` are None
    where the teacher is not better than the base model, for the ratio then means nothing, or where too many answers
    are unscored; `why` says so.
    """

    share: float | None = None
    low: float | None = None
    high: float | None = None
    gap: float | None = None
    n: int = 0
    why: str = ""


def lead_closed(
    base: Sequence[Value], tuned: Sequence[Value], teacher: Sequence[Value], *, clusters: Clusters
) -> LeadClosed:
    """Return the share of the teacher's lead that tuning closed, with a 95 % interval by Fieller (1954).

    A share r is in the interval where the mean of (tuned − base) − r × (teacher − base) cannot be told from 0 by the
    clustered t test. Unlike a ratio ± its error this stays right when the lead is small.
    """
    first, second, third = numbers(base), numbers(tuned), numbers(teacher)
    scored = ~np.isnan(first + second + third)
    n, lost = int(np.count_nonzero(scored)), int(np.count_nonzero(~scored))
    if n == 0 or lost > MOST_UNSCORED * len(scored):
        return LeadClosed(n=n, why=f"{lost} of {len(scored)} questions lack a score of base, tuned or teacher")
    gains, leads, pages = (second - first)[scored], (third - first)[scored], list(compress(clusters, scored))
    gain, lead, both = (clustered_mean(values, pages) for values in (gains, leads, gains + leads))
    all_leads = compare(base, teacher, clusters=clusters, arms=("base", "teacher"))
    if all_leads.p_value is None:
        return LeadClosed(n=n, why=all_leads.why)
    if all_leads.verdict == "worse":
        return LeadClosed(n=n, why="the teacher is worse than the base model")
    if all_leads.verdict != "better" or lead.interval[0] <= 0:
        return LeadClosed(n=n, why="the teacher's lead is within noise")
    # the ends are the roots r of (gain − r × lead)² = t² × the variance of that difference
    t = t_quantile((1 + LEVEL) / 2, lead.degrees)
    covariance = (both.error**2 - gain.error**2 - lead.error**2) / 2
    a = lead.value**2 - (t * lead.error) ** 2
    b = gain.value * lead.value - t**2 * covariance
    c = gain.value**2 - (t * gain.error) ** 2
    half = math.sqrt(max(0.0, b**2 - a * c)) / a
    return LeadClosed(gain.value / lead.value, b / a - half, b / a + half, lead.value, n)


def lead_in_words(closed: Mapping[str, Any]) -> str:
    """Return the share, as `comparison.json` holds it, as one clause.

    >>> lead_in_words({"share": 0.636, "low": 0.31, "high": 1.143, "gap": 0.275, "n": 4})
    "64 % [31 %, 114 %] of the teacher's lead of +0.275 closed, over 4 questions"
    """
    if closed["share"] is None:
        return f"share of the teacher's lead closed: undefined ({closed['why']})"
    share, low, high = (f"{100 * closed[name]:.0f} %" for name in ("share", "low", "high"))
    return f"{share} [{low}, {high}] of the teacher's lead of {closed['gap']:+.3f} closed, over {closed['n']} questions"
