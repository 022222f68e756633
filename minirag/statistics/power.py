"""A comparison in words and as JSON: its figures, its verdict, and what so many fresh questions could detect."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from minirag.metrics.comparison import COMPARED, FEWEST_CLUSTERS, LEVEL, Comparison, t_quantile

POWER = 0.8
"""The share of evaluations that should show a difference that is there."""
TARGETS = (0.05, 0.1)
"""The differences that an evaluation without a margin is measured by, as shares of the scale."""


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


def to_json(result: Comparison) -> dict[str, Any]:
    """Return a comparison as `comparison.json` holds it, with `detectable` and `fresh_questions` (None: not known).

    The latter says how many new questions could detect the margin, or 0.05 and 0.1 of the scale. It does not start from
    the observed difference, which is mostly chance where the verdict is `cannot tell` (Hoenig and Heisey 2001).
    """
    facts = {**asdict(result), "detectable": None, "fresh_questions": {}}
    if result.error is None or result.n_clusters < FEWEST_CLUSTERS:
        return facts
    facts["detectable"] = detectable(result.error, result.degrees)
    low, high = result.scale
    for target in [result.margin] if result.margin else [share * (high - low) for share in TARGETS]:
        needed = n_needed(target, result.error, result.degrees, result.n) if result.error else None
        facts["fresh_questions"][f"{target:g}"] = needed
    if result.verdict == "cannot tell" and not result.why:
        facts["why"] = _questions_in_words(facts["fresh_questions"], result.n)
    return facts


def _questions_in_words(needed: Mapping[str, int | None], n: int) -> str:
    """Return what fresh questions could detect, from their numbers by the difference to detect.

    >>> _questions_in_words({"0.05": 223, "0.1": 56}, 36)
    'about 223 fresh questions could detect 0.05, about 56 could detect 0.1'
    >>> _questions_in_words({"0.05": 50, "0.1": 18}, 36)
    'about 50 fresh questions could detect 0.05, as many as these could detect 0.1'
    """
    clauses: list[str] = []
    for target, questions in needed.items():
        if questions is not None and questions <= n:
            return ", ".join([*clauses, f"as many as these could detect {target}"])
        count = f"not even {100 * n:,}" if questions is None else f"about {questions:,}"
        clauses.append(f"{count}{'' if clauses else ' fresh questions'} could detect {target}")
    return ", ".join(clauses)


def in_words(comparison: Mapping[str, Any]) -> str:
    """Return a comparison (as JSON) as one clause, with the reason for its verdict.

    >>> from minirag import compare
    >>> in_words(to_json(compare([0.5, 0.6, 0.4, 0.5, 0.6, 0.4], [0.7, 0.9, 0.7, 0.6, 0.8, 0.7])))
    '+0.233 [+0.148, +0.319]: better'
    """
    why = f" ({comparison['why']})" if comparison["why"] else ""
    difference = "" if comparison["difference"] is None else f"{figures_of(comparison)}: "
    return f"{difference}{comparison['verdict']}{why}"


def verdicts_in_words(comparison: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return a clause for each metric of a `comparison.json`, by the arm that the tuned model is compared with."""
    verdicts: dict[str, list[str]] = {}
    for metric, arm, one in comparisons(comparison) if "tuned" in comparison["ragas_score"] else ():
        mark = " (primary)" if comparison["primary"] == {"metric": metric, "against": arm} else ""
        verdicts.setdefault(f"tuned against {arm}", []).append(f"{spaced(metric)}{mark} {in_words(one)}")
    return verdicts


def figures_of(comparison: Mapping[str, Any]) -> str:
    """Return the difference of a comparison (as JSON), with its interval if it has one; 0 has the sign +."""
    numbers = [comparison[name] for name in ("difference", "low", "high")]
    difference, *interval = ("" if number is None else f"{round(number, 9) + 0.0:+.3f}" for number in numbers)
    return f"{difference} [{', '.join(interval)}]" if all(interval) else difference


def number(value: float | None, sign: str = "") -> str:
    """Return a number with three decimals, or a dash for None; `sign="+"` for differences."""
    return "–" if value is None else f"{value:{sign}.3f}"


def spaced(name: str) -> str:
    """Return a metric's or a setting's name for people: `answer_relevancy` as `answer relevancy`."""
    return name.replace("_", " ")


def comparisons(comparison: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (metric, arm, the tuned model's comparison with it) of all that a `comparison.json` holds."""
    for metric, one in comparison["metrics"].items():
        yield metric, "base", one
        for arm in COMPARED[1:]:
            if f"tuned_against_{arm}" in one:
                yield metric, arm, one[f"tuned_against_{arm}"]
