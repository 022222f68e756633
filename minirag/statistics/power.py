"""What a comparison could have shown, and how many questions it would take: a comparison in words and as JSON."""

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from minirag.metrics.comparison import COMPARED, LEVEL, Comparison, t_quantile

POWER = 0.8
"""The share of evaluations that should show a difference that is there."""


def detectable(error: float, degrees: float) -> float:
    """Return the smallest true difference that four of five evaluations show (Bloom 1995)."""
    return (t_quantile((1 + LEVEL) / 2, degrees) + t_quantile(POWER, degrees)) * error


def n_needed(difference: float, error: float, degrees: float, n: int) -> int | None:
    """Return how many questions would make `difference` detectable, if spread and clusters stay as in these `n`.

    None beyond 100 times `n`.
    """

    def is_enough(questions: int) -> bool:
        degrees_then = max(1.0, (degrees + 1) * questions / n - 1)
        return n * detectable(error, degrees_then) ** 2 <= questions * difference**2

    questions = bisect_left(range(100 * n + 1), True, lo=2, key=is_enough)
    return questions if questions <= 100 * n else None


def plan_detectable(questions: int, per_page: float, *, spread: float, correlation: float) -> float | None:
    """Return the smallest difference that so many questions can show, before anything is judged.

    `spread` is the assumed standard deviation of a question's paired difference, `correlation` that of two
    differences on one page, 0 to 1 (Kish's design effect). None with fewer than two pages.

    >>> round(plan_detectable(40, 5, spread=0.25, correlation=0.3), 3)
    0.191
    """
    pages = questions / per_page
    if pages < 2:
        return None
    return detectable(spread * math.sqrt((1 + (per_page - 1) * correlation) / questions), pages - 1)


def to_json(result: Comparison) -> dict[str, Any]:
    """Return a comparison as `comparison.json` holds it, with `detectable` and `n_needed` (None: not known)."""
    facts = {**asdict(result), "n_needed": None, "detectable": None}
    if result.difference is not None and result.error is not None:
        facts["n_needed"] = n_needed(result.difference, result.error, result.degrees, result.n)
        facts["detectable"] = detectable(result.error, result.degrees)
        if result.verdict == "cannot tell" and not result.why and facts["n_needed"]:
            facts["why"] = f"about {facts['n_needed']:,} questions could"
    return facts


def in_words(comparison: Mapping[str, Any]) -> str:
    """Return a comparison (as JSON) as one clause, with the reason for its verdict.

    >>> from minirag import compare
    >>> in_words(to_json(compare([0.5, 0.6, 0.4, 0.5], [0.7, 0.9, 0.7, 0.6])))
    '+0.225 [+0.073, +0.377]: better'
    """
    difference, low, high = (comparison[name] for name in ("difference", "low", "high"))
    interval = "" if low is None else f" [{low:+.3f}, {high:+.3f}]"
    figures = "" if difference is None else f"{difference:+.3f}{interval}: "
    why = f" ({comparison['why']})" if comparison["why"] else ""
    return f"{figures}{comparison['verdict']}{why}"


def comparisons(comparison: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield (metric, arm, the tuned model's comparison with it) of all that a `comparison.json` holds."""
    for metric, one in comparison["metrics"].items():
        yield metric, "base", one
        for arm in COMPARED[1:]:
            if f"tuned_against_{arm}" in one:
                yield metric, arm, one[f"tuned_against_{arm}"]
    for name, one in comparison["ragas_score_compared"].items():
        yield "ragas_score", name.removeprefix("tuned_against_"), one
