"""Row 8. What `comparison.json` holds: the findings of every metric, of all together, and what they say in words.

Everything here is computed from scores and from what is known of the questions; nothing is asked or read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from minirag.comparison import Comparison
from minirag.comparison import in_words as comparison_in_words
from minirag.evaluation import ragas_score
from minirag.statistics.audit import Audit, audit
from minirag.statistics.ceiling import in_words as ceiling_in_words
from minirag.statistics.composite import compare_ragas_score
from minirag.statistics.findings import Evaluation, Findings, findings
from minirag.statistics.holm import holm
from minirag.statistics.holm import in_words as holm_in_words
from minirag.statistics.labels import Labels
from minirag.statistics.noise import in_words as noise_in_words


def comparison_of(
    evaluation: Evaluation,
    *,
    labels: Labels | None = None,
    warnings: Sequence[str] = (),
    untrained: str | None = None,
) -> dict[str, Any]:
    """What `comparison.json` holds.

    `labels` are a person's verdicts on statements, `warnings` what makes the verdict suspect, and `untrained` says why
    there is no tuned model where there is none.
    """
    found = {metric: findings(evaluation, metric) for metric in evaluation.metrics}
    together = {arm: _ragas_score(evaluation, arm) for arm in evaluation.against}
    pages = dict(zip(evaluation.ids, evaluation.pages, strict=True))
    audited = audit(evaluation.scores, labels or {}, pages, evaluation.against if untrained is None else ())
    corrected = holm({metric: one.against["base"].p_value for metric, one in found.items()})
    means = {arm: [one.arms[arm].mean for one in found.values()] for arm in evaluation.arms}
    verdicts = {
        arm: f"There is no tuned model to compare: {untrained}" if untrained else _verdict(found, together, arm)
        for arm in evaluation.against
    }
    return {
        "verdict": verdicts["base"],
        "verdict_against_teacher": verdicts.get("teacher"),
        "verdict_against_control": verdicts.get("control"),
        "metrics": {metric: {**one.to_json(), "p_holm": corrected[metric]} for metric, one in found.items()},
        "ragas_score": {arm: ragas_score(of_arm) for arm, of_arm in means.items()},
        "ragas_score_compared": {f"tuned_against_{arm}": asdict(one) for arm, one in together.items()},
        "questions": {"n": len(evaluation.questions), "flagged": evaluation.sound.count(False)},
        "audit": None if audited is None else audited.to_json(),
        "in_words": {"warnings": list(warnings), **({} if untrained else _in_words(evaluation, found, audited))},
    }


def _ragas_score(evaluation: Evaluation, arm: str) -> Comparison:
    pairs = {metric: (evaluation.of(arm, metric), evaluation.of("tuned", metric)) for metric in evaluation.metrics}
    return compare_ragas_score(pairs, clusters=evaluation.pages, margin=evaluation.margin, arms=(arm, "tuned"))


def _verdict(found: Mapping[str, Findings], together: Mapping[str, Comparison], arm: str) -> str:
    told = [f"{_name(metric)} {comparison_in_words(one.against[arm])}" for metric, one in found.items()]
    if len(found) > 1:
        told.append(f"ragas score {comparison_in_words(together[arm])}")
    return f"tuned against {arm}: {'; '.join(told)}"


def _name(metric: str) -> str:
    return metric.replace("_", " ")


def _in_words(evaluation: Evaluation, found: Mapping[str, Findings], audited: Audit | None) -> dict[str, list[str]]:
    """Sentences by subject; a subject of which there is nothing to say has none."""
    several = holm_in_words({_name(metric): one.against["base"].p_value for metric, one in found.items()})
    each = {_name(metric): one for metric, one in found.items()}
    return {
        "several metrics": [several] if several else [],
        "the teacher's lead": [f"{name}: {ceiling_in_words(one.gap)}" for name, one in each.items()],
        "unscored answers": [told for name, one in each.items() for told in _unscored(name, one)],
        "flagged questions": _flagged(evaluation, each),
        "the judge's noise": [f"{name}: {told}" for name, one in each.items() for told in _noise(one)],
        "where the change comes from": [
            f"{name} {told}" for name, one in each.items() for told in one.breakdown.in_words()
        ],
        "a person's labels": [] if audited is None else audited.in_words(),
    }


def _unscored(name: str, one: Findings) -> list[str]:
    """What the missing scores could hide."""
    seen = one.against["base"]
    if not seen.n_unscored or seen.worst is None or seen.best is None:
        return []
    return [
        f"{name}: {seen.n_unscored} questions lack a score of base or tuned; had they been judged, the difference "
        f"would lie between {seen.worst:+.3f} and {seen.best:+.3f}"
    ]


def _flagged(evaluation: Evaluation, each: Mapping[str, Findings]) -> list[str]:
    """The comparison once more without the questions that something speaks against."""
    count = evaluation.sound.count(False)
    if not count:
        return []
    return [
        f"{name}, tuned against {arm}, without {count} of {len(evaluation.questions)} questions: "
        f"{comparison_in_words(one.without_flagged[arm])}; with them {comparison_in_words(one.against[arm])}"
        for name, one in each.items()
        for arm in one.against
    ]


def _noise(one: Findings) -> list[str]:
    told = [] if one.noise is None else [noise_in_words(one.noise)]
    flips = ", ".join(
        f"{100 * arm.verdict_flips:.0f} % ({name})" for name, arm in one.arms.items() if arm.verdict_flips is not None
    )
    return told + ([f"two rounds disagree on a statement in {flips}"] if flips else [])
