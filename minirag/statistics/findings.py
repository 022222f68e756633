"""What `comparison.json` holds: the tuned model against each other arm in every metric, and what that says in words.

Everything here is computed from scores and from what is known of the questions; nothing is sent.
"""

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from minirag.errors import InputError
from minirag.metrics.comparison import COMPARED, LARGE_LOSS, LEVEL, cluster_numbers, compare, variance_components
from minirag.metrics.score import Score, Scores, ragas_score
from minirag.statistics.labels import Labels, audit, audit_in_words
from minirag.statistics.power import TARGETS, comparisons, figures_of, spaced, to_json


def primary_of(name: str | None, metrics: Sequence[str], arms: Sequence[str]) -> tuple[str, str]:
    """Return metric and arm of the primary comparison, `METRIC[:ARM,ARM]`; by default faithfulness against base.

    Raises InputError unless the metric is one of `metrics`, one arm is the tuned model and the other one of `arms`.

    >>> primary_of("answer_relevancy:tuned,teacher", ["faithfulness", "answer_relevancy"], ["base", "teacher"])
    ('answer_relevancy', 'teacher')
    """
    default = "faithfulness" if "faithfulness" in metrics else metrics[0]
    metric, _, pair = (name or default).partition(":")
    others = [arm.strip() for arm in (pair or "tuned,base").split(",")]
    if "tuned" in others:
        others.remove("tuned")
    if metric not in metrics or len(others) != 1 or others[0] not in arms:
        raise InputError(
            f"--primary {name}: name one of the metrics {', '.join(metrics)}, then if you want the arms, as in "
            f"{default}:tuned,base; the tuned model is compared with {', '.join(arms)}."
        )
    return metric, others[0]


def means_of(scores: Sequence[Score]) -> dict[str, Any]:
    """Return the mean over the scored questions, how many they are, and the unscored by reason."""
    values = [score.value for score in scores if score.value is not None]
    reasons = Counter(score.reason for score in scores if score.value is None)
    return {
        "mean": sum(values) / len(values) if values else None,
        "n": len(values),
        "n_unscored": len(scores) - len(values),
        "unscored": dict(reasons.most_common()),
    }


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Correct each p-value for the others (Holm 1979): below 0.05 in at most 5 % of evaluations without any effect.

    None stays None and does not count.

    >>> holm([0.01, 0.04, None])
    [0.02, 0.04, None]
    """
    corrected: list[float | None] = [None] * len(p_values)
    ordered = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    highest = 0.0
    for rank, (p, place) in enumerate(ordered):
        highest = max(highest, min(1.0, p * (len(ordered) - rank)))
        corrected[place] = highest
    return corrected


def judge_noise(scores: Scores, metric: str) -> dict[str, float] | None:
    """Split the spread of tuned − base by an analysis of variance (Searle, Casella, McCulloch 1992).

    `judge` is the variance of one question's difference from round to round, `questions` that between the questions'
    true differences. None where fewer than two questions were scored in both arms, or none of them in two rounds.
    """
    values: dict[tuple[str, int], dict[str, float]] = {}  # by question and round, then by arm
    for row in scores:
        if row.metric == metric and row.arm in {"base", "tuned"} and row.score.value is not None:
            values.setdefault((row.question_id, row.round), {})[row.arm] = row.score.value
    differences = {key: one["tuned"] - one["base"] for key, one in values.items() if len(one) == 2}
    groups = cluster_numbers([question for question, _ in differences])
    if len(set(groups)) not in range(2, len(differences)):
        return None
    judge, questions = variance_components(np.array(list(differences.values())), groups)
    return {"judge": judge, "questions": questions}


def comparison_of(
    scores: Scores,
    pages: Mapping[str, Hashable],
    *,
    arms: Sequence[str],
    metrics: Sequence[str],
    flagged: int = 0,
    margin: float | None = None,
    primary: str | None = None,
    labels: Labels | None = None,
    warnings: Sequence[str] = (),
    untrained: str | None = None,
    usd_per_question: Mapping[str, float | None] | None = None,
) -> dict[str, Any]:
    """Return what `comparison.json` holds. `pages` gives the page of each eval question by its id.

    `flagged` counts the questions that something speaks against, `margin` is the smallest difference that matters to
    the user, `primary` the comparison that they named beforehand (see `primary_of`), `warnings` is what makes the
    verdict suspect. `untrained` says why there is no tuned model where there is none; `usd_per_question` is what an
    answer costs by arm (None: not known).
    """
    against = [arm for arm in COMPARED if arm in arms]

    def compared(metric: str, arm: str) -> dict[str, Any]:
        both = [scores.of(name, metric, list(pages)) for name in (arm, "tuned")]
        return to_json(compare(*both, clusters=list(pages.values()), margin=margin))

    by_metric = {
        metric: {
            **compared(metric, "base"),
            "arms": {arm: means_of(scores.of(arm, metric, list(pages))) for arm in arms},
            **{f"tuned_against_{arm}": compared(metric, arm) for arm in against if arm != "base"},
            "noise": judge_noise(scores, metric),
        }
        for metric in metrics
    }
    result: dict[str, Any] = {
        "answer": "",
        "primary": dict(zip(("metric", "against"), primary_of(primary, metrics, against), strict=True)),
        "metrics": by_metric,
        "ragas_score": {arm: ragas_score([one["arms"][arm]["mean"] for one in by_metric.values()]) for arm in arms},
        "questions": {"n": len(pages), "flagged": flagged},
        "audit": audit(scores, labels or {}, pages),
        "in_words": {"warnings": list(warnings)},
    }
    if untrained:
        return {**result, "answer": f"There is no tuned model to compare: {untrained}"}
    # one family: every metric against every arm; a comparison that allows no verdict is no part of it
    family = [one for _, _, one in comparisons(result)]
    for one, p_value in zip(family, holm([one["p_value"] for one in family]), strict=True):
        one["p_holm"] = p_value
    result["in_words"] |= _in_words(result)
    result["answer"] = answer(result, usd_per_question or {})
    return result


def _in_words(result: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return sentences by subject; a subject of which there is nothing to say has none."""
    named = {f"{spaced(metric)}, tuned against {arm}": one for metric, arm, one in comparisons(result)}
    primary = f"{spaced(result['primary']['metric'])}, tuned against {result['primary']['against']}"
    noise = []
    for metric, one in result["metrics"].items():
        if one["noise"]:
            judge, questions = (math.sqrt(one["noise"][name]) for name in ("judge", "questions"))
            noise.append(f"{spaced(metric)}: judge noise {judge:.3f}, spread between questions {questions:.3f}")
    if noise:
        noise.append(
            "rounds share judge and models: a shift of all verdicts and another seed of training are not in it"
        )
    return {
        "several comparisons": several_in_words(primary, named),
        "large losses": [
            losses_in_words(name, one)
            for name, one in named.items()
            if one["n"] and (one["large_losses"] or name == primary)
        ],
        "the judge's noise": noise,
        "a person's labels": audit_in_words(result["audit"]) if result["audit"] else [],
    }


def several_in_words(primary: str, named: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return which comparison counts, and what remains of the others when all are looked at together."""
    if len(named) < 2:
        return []
    family = {name: one for name, one in named.items() if one["p_holm"] is not None}
    clear = {name: one for name, one in family.items() if one["verdict"] in {"better", "worse"}}
    remaining = [f"{name} ({one['verdict']})" for name, one in clear.items() if one["p_holm"] < 1 - LEVEL]
    sentences = [f"primary: {primary}; the other {len(named) - 1} are secondary"]
    if len(family) > 1:
        sentences.append(
            f"{len(clear)} of {len(family)} are better or worse; after Holm's correction for all {len(family)}: "
            f"{', '.join(remaining) or 'none'}"
        )
    return sentences


def losses_in_words(name: str, one: Mapping[str, Any]) -> str:
    """Return how many questions lost much, which the mean does not tell."""
    size = f"{LARGE_LOSS * (one['scale'][1] - one['scale'][0]):g}"
    share = f"{one['large_losses']} of {one['n']} questions ({100 * one['large_losses'] / one['n']:.0f} %)"
    return f"{name}: {share} lost more than {size}; a mean does not speak of rare disasters"


def answer(comparison: Mapping[str, Any], usd_per_question: Mapping[str, float | None]) -> str:
    """Return in one sentence whether the tuned model can replace the teacher, and at what price (of an answer, by arm).

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
    teacher, tuned = usd_per_question.get("teacher"), usd_per_question.get("tuned")
    if teacher is None or tuned is None:
        cost = ", and its cost is not known"
    elif teacher:
        cost = f" and costs {float(f'{100 * tuned / teacher:.2g}'):,g} % as much"
    else:
        cost = ", and the teacher costs nothing here" if tuned else ", and both cost nothing here"
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
