"""The answer to the title's question in one sentence: can the tuned model replace the teacher, and at what price?"""

from collections.abc import Mapping
from typing import Any

from minirag.metrics.comparison import LEVEL
from minirag.statistics.power import TARGETS, comparisons, figures_of, spaced


def answer(comparison: Mapping[str, Any], usd_per_question: Mapping[str, float | None]) -> str:
    """Return the sentence, from a `comparison.json` with a tuned model and from what an answer costs by arm.

    Its form follows from the primary metric, the first of these that holds: tuning did harm; a better prompt does as
    well; there can be no verdict; the tuned model is worse than the teacher, better, as good within the margin, or
    cannot be told from it; there are too few questions to say. If it is worse than the teacher in another metric, that
    stands before the last three. The end says where it beats the untrained one even after Holm's correction.
    """
    metric = comparison["primary"]["metric"]
    by_arm = {arm: one for name, arm, one in comparisons(comparison) if name == metric}
    figures = {arm: f"{spaced(metric)} {figures_of(one)}" for arm, one in by_arm.items()}
    losses, gain = _others(comparison, metric)
    rest = f"; it is worse than the teacher in {' and '.join(losses)}; {gain}" if losses else f"; {gain}"
    if by_arm["base"]["verdict"] == "worse":
        return f"Do not use this tuned model: tuning made it worse than the untrained one ({figures['base']})."
    if "control" in by_arm and by_arm["control"]["verdict"] in {"worse", "no meaningful difference"}:
        return f"Do not tune: a better prompt does as well (tuned against it, {figures['control']})."
    one = by_arm["teacher"]
    if one["p_value"] is None:
        return f"No answer yet: {one['why']}{rest}."
    verdict, start = one["verdict"], f"On these {one['n']:,} questions the tuned model"
    doubt = f", which does not rule out {one['margin']:g}" if verdict == "cannot tell" and one["margin"] else ""
    cost = _cost(usd_per_question.get("teacher"), usd_per_question.get("tuned"))
    end = f"({figures['teacher']}{doubt}){cost}{rest}."
    if verdict in {"better", "worse"}:
        return f"{start} is {verdict} than the teacher {end}"
    if losses:
        worse = ", ".join(f"{name} {figures_of(one)}" for name, one in losses.items())
        return f"{start} is worse than the teacher ({worse}){cost}; {verdict} in {figures['teacher']}; {gain}."
    if verdict == "no meaningful difference":
        return f"{start} is as good as the teacher within {one['margin']:g} {end}"
    # no verdict: could these questions have shown the difference that matters?
    matters = one["margin"] or TARGETS[-1] * (one["scale"][1] - one["scale"][0])
    if one["detectable"] <= matters:
        return f"{start} cannot be told from the teacher {end}"
    needed = one["fresh_questions"][f"{matters:g}"]
    enough = f"about {needed:,} fresh ones" if needed else f"more than {100 * one['n']:,}"
    return (
        f"{one['n']:,} questions are too few to say whether the tuned model is as good as the teacher "
        f"({figures['teacher']}); {enough} would do to tell within {matters:g}{rest}."
    )


def _others(comparison: Mapping[str, Any], primary: str) -> tuple[dict[str, Any], str]:
    """Return the other metrics in which the tuned model is worse than the teacher, and what the training gave."""
    worse, gained = {}, []
    for metric, arm, one in comparisons(comparison):
        is_primary = comparison["primary"] == {"metric": metric, "against": arm}
        if (arm, one["verdict"]) == ("teacher", "worse") and metric != primary:
            worse[spaced(metric)] = one
        if (arm, one["verdict"]) == ("base", "better") and (is_primary or one["p_holm"] < 1 - LEVEL):
            gained.append(spaced(metric))
    gain = f"beats the untrained one in {' and '.join(gained)}" if gained else "is not shown to beat the untrained one"
    return worse, f"it {gain}"


def _cost(teacher: float | None, tuned: float | None) -> str:
    """Return what an answer of the tuned model costs beside the teacher's, from both in US dollars.

    >>> _cost(0.008, 0.001), _cost(1.0, 1.5)
    (' and costs 12 % as much', ' and costs 150 % as much')
    """
    if teacher is None or tuned is None:
        return ", and its cost is not known"
    if not teacher:
        return ", and the teacher costs nothing here" if tuned else ", and both cost nothing here"
    return f" and costs {float(f'{100 * tuned / teacher:.2g}'):,g} % as much"
