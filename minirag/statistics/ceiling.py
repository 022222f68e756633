"""Row 7. How much of the teacher's lead over the base model did the tuned model make up?"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np

from minirag.comparison import cluster_names
from minirag.statistics.clustered import LEVEL, Floats, clustered_mean
from minirag.statistics.student_t import t_quantile
from minirag.statistics.unscored import Value, numbers


@dataclass(frozen=True, slots=True)
class GapClosed:
    """(tuned − base) ÷ (teacher − base): 0 is the base model, 1 the teacher, and a student may be above or below both.

    `share`, `low` and `high` are None where the teacher's lead cannot be told from 0, or is none: the ratio then means
    nothing. `gap` is the lead of the teacher over the base model in `n` questions scored in all three arms.
    """

    share: float | None
    low: float | None
    high: float | None
    gap: float | None
    n: int
    why: str = ""


def gap_closed(
    base: Sequence[Value],
    tuned: Sequence[Value],
    teacher: Sequence[Value],
    *,
    clusters: Sequence[Hashable] | None = None,
) -> GapClosed:
    """The share of the teacher's lead that tuning closed, with a 95 % interval by Fieller (1954).

    A share r is in the interval where the mean of (tuned − base) − r × (teacher − base) cannot be told from 0 by the
    clustered t test. Unlike a ratio ± its error this stays right when the lead is small, and says so when it is none.

    >>> closed = gap_closed([0.5, 0.4, 0.5, 0.6], [0.7, 0.6, 0.6, 0.8], [0.8, 0.7, 0.8, 0.8])
    >>> round(closed.share, 2), round(closed.low, 2), round(closed.high, 2)
    (0.64, 0.31, 1.14)
    """
    cluster_names(base, tuned, clusters)
    pages = cluster_names(base, teacher, clusters)
    first, second, third = numbers(base), numbers(tuned), numbers(teacher)
    scored = ~np.isnan(first + second + third)
    n = int(np.count_nonzero(scored))
    if n == 0:
        return GapClosed(None, None, None, None, 0, "nothing was scored in all three arms")
    gain, lead = (second - first)[scored], (third - first)[scored]
    return _fieller(gain, lead, list(compress(pages, scored)))


def _fieller(gain: Floats, lead: Floats, pages: Sequence[Hashable]) -> GapClosed:
    """The shares r where (mean gain − r × mean lead)² ≤ t² × variance of that difference: a quadratic's roots."""
    top, bottom = clustered_mean(gain, pages), clustered_mean(lead, pages)
    if top.error is None or bottom.error is None:
        return GapClosed(None, None, None, bottom.value, bottom.n, "all questions are about one page")
    if bottom.low is None or bottom.low <= 0:
        why = "the teacher's lead is within noise" if bottom.holds(0.0) else "the teacher is worse than the base model"
        return GapClosed(None, None, None, bottom.value, bottom.n, why)
    t = t_quantile((1 + LEVEL) / 2, bottom.degrees)
    both = clustered_mean(gain + lead, pages).error or 0.0
    covariance = (both**2 - top.error**2 - bottom.error**2) / 2
    a = bottom.value**2 - (t * bottom.error) ** 2
    b = top.value * bottom.value - t**2 * covariance
    c = top.value**2 - (t * top.error) ** 2
    half = math.sqrt(max(0.0, b**2 - a * c)) / a
    return GapClosed(top.value / bottom.value, b / a - half, b / a + half, bottom.value, bottom.n)


def in_words(closed: GapClosed) -> str:
    """The share as one clause.

    >>> in_words(gap_closed([0.5, 0.4, 0.5, 0.6], [0.7, 0.6, 0.6, 0.8], [0.8, 0.7, 0.8, 0.8]))
    "64 % [31 %, 114 %] of the teacher's lead of +0.275 closed"
    >>> in_words(gap_closed([0.5, 0.4, 0.5, 0.6], [0.7, 0.6, 0.6, 0.8], [0.6, 0.3, 0.5, 0.6]))
    "share of the teacher's lead closed: undefined (the teacher's lead is within noise)"
    """
    if closed.share is None or closed.low is None or closed.high is None:
        return f"share of the teacher's lead closed: undefined ({closed.why})"
    share, low, high = (f"{100 * figure:.0f} %" for figure in (closed.share, closed.low, closed.high))
    return f"{share} [{low}, {high}] of the teacher's lead of {closed.gap:+.3f} closed"
