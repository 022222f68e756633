"""How much of the teacher's lead over the base model the tuned model made up."""

import math
from collections.abc import Mapping, Sequence
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


def lead_closed(
    base: Sequence[Value], tuned: Sequence[Value], teacher: Sequence[Value], *, clusters: Clusters
) -> dict[str, Any]:
    """Return the `share` of the teacher's lead that tuning closed, `low` to `high` its 95 % interval (Fieller 1954).

    That is (tuned − base) ÷ (teacher − base): 0 is the base model, 1 the teacher; a student may be below or above both.
    A share r is in the interval where the mean of (tuned − base) − r × (teacher − base) cannot be told from 0 by the
    clustered t test; unlike a ratio ± its error this stays right when the lead is small. `gap` is the lead in `n`
    questions scored in all three arms. Where the teacher is not better than the base model the ratio means nothing:
    then, and where too many answers are unscored, there are only `n` and the reason `why`.
    """
    first, second, third = numbers(base), numbers(tuned), numbers(teacher)
    scored = ~np.isnan(first + second + third)
    n, lost = int(np.count_nonzero(scored)), int(np.count_nonzero(~scored))
    unknown = {"share": None, "low": None, "high": None, "gap": None, "n": n}
    if n == 0 or lost > MOST_UNSCORED * len(scored):
        return {**unknown, "why": f"{lost} of {len(scored)} questions lack a score of base, tuned or teacher"}
    gains, leads, pages = (second - first)[scored], (third - first)[scored], list(compress(clusters, scored))
    gain, lead, both = (clustered_mean(values, pages) for values in (gains, leads, gains + leads))
    all_leads = compare(base, teacher, clusters=clusters, arms=("base", "teacher"))
    if all_leads.p_value is None:
        return {**unknown, "why": all_leads.why}
    if all_leads.verdict == "worse":
        return {**unknown, "why": "the teacher is worse than the base model"}
    if all_leads.verdict != "better" or lead.interval[0] <= 0:
        return {**unknown, "why": "the teacher's lead is within noise"}
    # the ends are the roots r of (gain − r × lead)² = t² × the variance of that difference
    t = t_quantile((1 + LEVEL) / 2, lead.degrees)
    covariance = (both.error**2 - gain.error**2 - lead.error**2) / 2
    a = lead.value**2 - (t * lead.error) ** 2
    b = gain.value * lead.value - t**2 * covariance
    c = gain.value**2 - (t * gain.error) ** 2
    half = math.sqrt(max(0.0, b**2 - a * c)) / a
    ends = {"low": b / a - half, "high": b / a + half}
    return {"share": gain.value / lead.value, **ends, "gap": lead.value, "n": n, "why": ""}


def lead_in_words(closed: Mapping[str, Any]) -> str:
    """Return the share as one clause.

    >>> lead_in_words({"share": 0.636, "low": 0.31, "high": 1.143, "gap": 0.275, "n": 4})
    "64 % [31 %, 114 %] of the teacher's lead of +0.275 closed, over 4 questions"
    """
    if closed["share"] is None:
        return f"share of the teacher's lead closed: undefined ({closed['why']})"
    share, low, high = (f"{100 * closed[name]:.0f} %" for name in ("share", "low", "high"))
    return f"{share} [{low}, {high}] of the teacher's lead of {closed['gap']:+.3f} closed, over {closed['n']} questions"
