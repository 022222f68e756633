"""How much of the teacher's lead over the base model the tuned model made up."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np

from minirag.metrics.comparison import LEVEL, MOST_UNSCORED, Value, clustered_mean, compare, numbers, t_quantile


@dataclass(frozen=True, slots=True)
class LeadClosed:
    """(tuned − base) ÷ (teacher − base): 0 is the base model, 1 the teacher; a student may be below or above both.

    `gap` is the teacher's lead over the base model in `n` questions scored in all three arms. `share`, `low` and `high`
    are None where the teacher is not better than the base model, for the ratio then means nothing, or where too many
    answers are unscored; `why` says so.
    """

    share: float | None
    low: float | None
    high: float | None
    gap: float | None
    n: int
    why: str = ""


def lead_closed(
    base: Sequence[Value],
    tuned: Sequence[Value],
    teacher: Sequence[Value],
    *,
    clusters: Sequence[Hashable] | None = None,
) -> LeadClosed:
    """Return the share of the teacher's lead that tuning closed, with a 95 % interval by Fieller (1954).

    A share r is in the interval where the mean of (tuned − base) − r × (teacher − base) cannot be told from 0 by the
    clustered t test. Unlike a ratio ± its error this stays right when the lead is small.
    """
    against_base = compare(base, teacher, clusters=clusters, arms=("base", "teacher"))
    first, second, third = numbers(base), numbers(tuned), numbers(teacher)
    scored = ~np.isnan(first + second + third)
    if not scored.any():
        return LeadClosed(None, None, None, None, 0, "nothing was scored in all three arms")
    names = range(len(base)) if clusters is None else clusters
    gains, leads, pages = (second - first)[scored], (third - first)[scored], list(compress(names, scored))
    gain, lead = clustered_mean(gains, pages), clustered_mean(leads, pages)
    lost = len(scored) - lead.n
    if lost > MOST_UNSCORED * len(scored):
        why = f"{lost} of {len(scored)} questions lack a score of base, tuned or teacher"
    elif against_base.verdict == "worse":
        why = "the teacher is worse than the base model"
    elif against_base.verdict != "better" or lead.low is None or lead.low <= 0:
        why = against_base.why if against_base.p_value is None else "the teacher's lead is within noise"
    else:
        why = ""
    if why or gain.error is None or lead.error is None:
        return LeadClosed(None, None, None, lead.value, lead.n, why)
    # the ends are the roots r of (gain − r × lead)² = t² × the variance of that difference
    t = t_quantile((1 + LEVEL) / 2, lead.degrees)
    covariance = ((clustered_mean(gains + leads, pages).error or 0.0) ** 2 - gain.error**2 - lead.error**2) / 2
    a = lead.value**2 - (t * lead.error) ** 2
    b = gain.value * lead.value - t**2 * covariance
    c = gain.value**2 - (t * gain.error) ** 2
    half = math.sqrt(max(0.0, b**2 - a * c)) / a
    return LeadClosed(gain.value / lead.value, b / a - half, b / a + half, lead.value, lead.n)


def lead_in_words(closed: LeadClosed) -> str:
    """Return the share as one clause.

    >>> lead_in_words(LeadClosed(0.636, 0.31, 1.143, 0.275, 4))
    "64 % [31 %, 114 %] of the teacher's lead of +0.275 closed, over 4 questions"
    """
    if closed.share is None or closed.low is None or closed.high is None:
        return f"share of the teacher's lead closed: undefined ({closed.why})"
    share, low, high = (f"{100 * figure:.0f} %" for figure in (closed.share, closed.low, closed.high))
    return f"{share} [{low}, {high}] of the teacher's lead of {closed.gap:+.3f} closed, over {closed.n} questions"
