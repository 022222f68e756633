"""Row 7. What is missing from a comparison: which answers have no score, why, and what they could hide.

Dropping them quietly is how a bad answer disappears: the arm whose failures are unscored looks better than it is.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from minirag.errors import InputError
from minirag.metrics.score import Score
from minirag.statistics.clustered import LEVEL, Floats

MOST_UNSCORED = 0.05
Value = float | Score | None


@dataclass(frozen=True, slots=True)
class Missing:
    """The unscored answers of two arms.

    `reasons` counts them by arm and reason, `questions` those without a pair. `worst` and `best` are what the mean
    difference (second arm − first) would be if each missing score were the 0 or the 1 that lowers or raises it most
    (Horowitz and Manski 2000). `why` says why nothing can be told from what is left, "" where something can.
    """

    reasons: dict[str, dict[str, int]]
    questions: int
    worst: float | None
    best: float | None
    why: str


def number(value: Value) -> float | None:
    """The number of a score, None where it has none."""
    return value.value if isinstance(value, Score) else value


def numbers(values: Sequence[Value]) -> Floats:
    """Scores as numbers (n,), nan for unscored. Raises InputError for a score that is itself no finite number.

    >>> numbers([0.5, None, Score(0.25)]).tolist()
    [0.5, nan, 0.25]
    """
    found = [number(value) for value in values]
    for score in found:
        if score is not None and not math.isfinite(score):
            raise InputError(f"A score is {score}; give None for an answer that was not scored.")
    return np.array([math.nan if score is None else score for score in found], dtype=np.float64)


def missing(base: Sequence[Value], tuned: Sequence[Value], arms: tuple[str, str] = ("base", "tuned")) -> Missing:
    """The unscored answers of two arms to the same questions; scores lie in [0, 1].

    >>> lost = missing([0.5] * 19 + [None], [0.75] * 20)
    >>> lost.reasons["base"], round(lost.worst, 4), round(lost.best, 4), lost.why
    ({'no reason given': 1}, 0.225, 0.275, '')
    """
    first, second = numbers(base), numbers(tuned)
    holes = (np.isnan(first), np.isnan(second))
    return Missing(
        reasons=dict(zip(arms, (_reasons(base), _reasons(tuned)), strict=True)),
        questions=int(np.count_nonzero(holes[0] | holes[1])),
        worst=mean_difference(np.where(holes[0], 1.0, first), np.where(holes[1], 0.0, second)),
        best=mean_difference(np.where(holes[0], 0.0, first), np.where(holes[1], 1.0, second)),
        why=too_much(holes[0], holes[1], arms),
    )


def mean_difference(first: Floats, second: Floats) -> float | None:
    """Mean of second − first; None of nothing."""
    return float(np.mean(second - first)) if len(first) else None


def too_much(first: NDArray[np.bool_], second: NDArray[np.bool_], arms: tuple[str, str]) -> str:
    """Why the unscored answers (marked True) forbid a verdict, or "".

    More than 5 % of an arm, or one arm so much oftener than the other that chance would give it in less than 5 %
    of evaluations (exact McNemar test on the questions that are unscored in one arm only).
    """
    for name, holes in zip(arms, (first, second), strict=True):
        count = int(np.count_nonzero(holes))
        if count > MOST_UNSCORED * len(holes):
            return f"{count} of {len(holes)} answers of {name} are unscored"
    only_first, only_second = int(np.count_nonzero(first & ~second)), int(np.count_nonzero(second & ~first))
    if _coin_p(only_first, only_second) < 1 - LEVEL:
        counts = f"{np.count_nonzero(first)} of {arms[0]}, {np.count_nonzero(second)} of {arms[1]}"
        return f"unscored answers are unevenly spread: {counts}"
    return ""


def _reasons(values: Sequence[Value]) -> dict[str, int]:
    """How many are unscored for which reason, most frequent first."""
    given = [value.reason if isinstance(value, Score) else "" for value in values if number(value) is None]
    return dict(Counter(reason or "no reason given" for reason in given).most_common())


def _coin_p(heads: int, tails: int) -> float:
    """Two-sided exact p-value of a fair coin."""
    n = heads + tails
    tail = sum(math.comb(n, k) for k in range(min(heads, tails) + 1))
    return min(1.0, 2 * tail / (1 << n))
