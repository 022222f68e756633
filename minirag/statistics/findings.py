"""What `comparison.json` holds: the tuned model against each other arm in every metric, and what that says in words.

Everything here is computed from scores and from what is known of the questions; nothing is sent.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import compress
from typing import Any

from minirag.errors import InputError
from minirag.metrics.comparison import COMPARED, LARGE_LOSS, LEVEL, compare, unscored_reasons
from minirag.metrics.score import Score, Scores, ragas_score
from minirag.statistics.answer import answer
from minirag.statistics.audit import Audit, audit, audit_in_words
from minirag.statistics.labels import Labels
from minirag.statistics.power import comparisons, in_words, to_json
from minirag.statistics.sources import UNSEEN, Kinds, Noise, judge_noise, noise_in_words, splits, splits_in_words
from minirag.statistics.teacher_lead import LeadClosed, lead_closed, lead_in_words


@dataclass(frozen=True)
class Evaluation:
    """Judged answers: the arms, the ids of the eval questions, their pages, their scores, and what else is known.

    `sound` tells of each question whether nothing speaks against it, `kinds` labels the questions in several ways
    (`question_kinds`); `margin` is the smallest difference that matters to the user, `primary` the comparison that
    they named beforehand (see `primary_of`).
    """

    arms: Sequence[str]
    ids: Sequence[str]
    pages: Sequence[Hashable]
    sound: Sequence[bool]
    metrics: Sequence[str]
    scores: Scores
    kinds: Kinds
    margin: float | None = None
    primary: str | None = None

    @property
    def against(self) -> list[str]:
        """The arms that the tuned model is compared with."""
        return [arm for arm in COMPARED if arm in self.arms]


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


def findings(evaluation: Evaluation, metric: str) -> dict[str, Any]:
    """Return all that the scores of one metric show: the comparison with the base model, and the others beside it."""
    scores = {arm: evaluation.scores.of(arm, metric, evaluation.ids) for arm in {*evaluation.arms, "tuned", "teacher"}}

    def against(arm: str, mask: Sequence[bool]) -> dict[str, Any]:
        base, tuned = (list(compress(scores[name], mask)) for name in (arm, "tuned"))
        pages = list(compress(evaluation.pages, mask))
        return to_json(compare(base, tuned, clusters=pages, margin=evaluation.margin, arms=(arm, "tuned")))

    noise = judge_noise(evaluation.scores, metric)
    lead = lead_closed(scores["base"], scores["tuned"], scores["teacher"], clusters=evaluation.pages)
    everything = [True] * len(evaluation.ids)
    return {
        **against("base", everything),
        "arms": {arm: means_of(scores[arm]) for arm in evaluation.arms},
        **{f"tuned_against_{arm}": against(arm, everything) for arm in evaluation.against if arm != "base"},
        "gap_closed": asdict(lead),
        "without_flagged": {f"tuned_against_{arm}": against(arm, evaluation.sound) for arm in evaluation.against},
        "splits": splits(scores["base"], scores["tuned"], evaluation.kinds),
        "noise": None if noise is None else asdict(noise),
    }


def means_of(scores: Sequence[Score]) -> dict[str, Any]:
    """Return the mean over the scored questions, how many they are, and the unscored by reason."""
    values = [score.value for score in scores if score.value is not None]
    return {
        "mean": sum(values) / len(values) if values else None,
        "n": len(values),
        "n_unscored": len(scores) - len(values),
        "unscored": unscored_reasons(scores),
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


def comparison_of(
    evaluation: Evaluation,
    *,
    labels: Labels | None = None,
    warnings: Sequence[str] = (),
    untrained: str | None = None,
    usd_per_question: Mapping[str, float | None] | None = None,
) -> dict[str, Any]:
    """Return what `comparison.json` holds.

    `labels` are a person's verdicts on statements, `warnings` what makes the verdict suspect, and `untrained` says why
    there is no tuned model where there is none. `usd_per_question` is what an answer costs by arm (None: not known).
    """
    primary = primary_of(evaluation.primary, evaluation.metrics, evaluation.against)
    verdict_keys = {"base": "verdict", "teacher": "verdict_against_teacher", "control": "verdict_against_control"}
    metrics = {metric: findings(evaluation, metric) for metric in evaluation.metrics}
    pages = dict(zip(evaluation.ids, evaluation.pages, strict=True))
    audited = audit(evaluation.scores, labels or {}, pages, () if untrained else evaluation.against)
    result: dict[str, Any] = {
        "answer": "",
        "primary": dict(zip(("metric", "against"), primary, strict=True)),
        **dict.fromkeys(verdict_keys.values()),
        "metrics": metrics,
        "ragas_score": {
            arm: ragas_score([one["arms"][arm]["mean"] for one in metrics.values()]) for arm in evaluation.arms
        },
        "questions": {"n": len(evaluation.ids), "flagged": list(evaluation.sound).count(False)},
        "audit": None if audited is None else asdict(audited),
        "in_words": {"warnings": list(warnings)},
    }
    if untrained:
        missing = f"There is no tuned model to compare: {untrained}"
        return {**result, "answer": missing, **{verdict_keys[arm]: missing for arm in evaluation.against}}
    # one family: every metric against every arm; a comparison that allows no verdict is no part of it
    family = list(comparisons(result))
    for (_, _, one), p_value in zip(family, holm([one["p_value"] for _, _, one in family]), strict=True):
        one["p_holm"] = p_value
    for arm in evaluation.against:
        clauses = [
            f"{spaced(name)}{' (primary)' if (name, arm) == primary else ''} {in_words(one)}"
            for name, other, one in family
            if other == arm
        ]
        result[verdict_keys[arm]] = f"tuned against {arm}: {'; '.join(clauses)}"
    result["in_words"] |= _in_words(evaluation, result, audited)
    result["answer"] = answer(result, usd_per_question or {})
    return result


def spaced(metric: str) -> str:
    """Return a metric's name for people."""
    return metric.replace("_", " ")


def _in_words(evaluation: Evaluation, result: Mapping[str, Any], audited: Audit | None) -> dict[str, list[str]]:
    """Return sentences by subject; a subject of which there is nothing to say has none."""
    metrics = {spaced(metric): one for metric, one in result["metrics"].items()}
    family = [(f"{spaced(metric)}, tuned against {arm}", one) for metric, arm, one in comparisons(result)]
    primary = f"{spaced(result['primary']['metric'])}, tuned against {result['primary']['against']}"
    noise = [f"{name}: {noise_in_words(Noise(**one['noise']))}" for name, one in metrics.items() if one["noise"]]
    return {
        "several comparisons": several_in_words(primary, family),
        "the teacher's lead": [
            f"{name}: {lead_in_words(LeadClosed(**one['gap_closed']))}" for name, one in metrics.items()
        ],
        "unscored answers": [
            f"{name}: {one['n_unscored']} of {one['n'] + one['n_unscored']} questions lack a score; had they been "
            f"judged, the difference would lie between {one['worst']:+.3f} and {one['best']:+.3f}"
            for name, one in family
            if one["n_unscored"]
        ],
        "large losses": [
            losses_in_words(name, one) for name, one in family if one["n"] and (one["large_losses"] or name == primary)
        ],
        "flagged questions": _flagged_in_words(result),
        "the judge's noise": [*noise, UNSEEN] if noise else [],
        "where the change comes from": [
            f"{name} {clause}" for name, one in metrics.items() for clause in splits_in_words(one["splits"])
        ],
        "a person's labels": [] if audited is None else audit_in_words(audited),
    }


def _flagged_in_words(result: Mapping[str, Any]) -> list[str]:
    """Return which verdicts are others without the flagged questions."""
    questions = result["questions"]
    if not questions["flagged"]:
        return []
    sentences = []
    for metric, arm, one in comparisons(result):
        sound = result["metrics"][metric]["without_flagged"][f"tuned_against_{arm}"]
        if sound["verdict"] != one["verdict"]:
            sentences.append(f"{spaced(metric)}, tuned against {arm}: {in_words(sound)}; with them {one['verdict']}")
    start = f"without {questions['flagged']} of {questions['n']} questions"
    return [f"{start} {', '.join(sentences) or 'every verdict is the same'}"]


def several_in_words(primary: str, family: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """Return which comparison counts, and what remains of the others when all are looked at together."""
    if len(family) < 2:
        return []
    tested = [(name, one) for name, one in family if one["p_holm"] is not None]
    clear = [(name, one) for name, one in tested if one["verdict"] in {"better", "worse"}]
    remaining = [f"{name} ({one['verdict']})" for name, one in clear if one["p_holm"] < 1 - LEVEL]
    sentences = [f"primary: {primary}; the other {len(family) - 1} are secondary"]
    if len(tested) > 1:
        risk = min(100, 5 * len(tested))
        sentences += [
            f"{len(tested)} allow a verdict: chance alone makes one look different in up to {risk} % of evaluations",
            f"{len(clear)} better or worse; after Holm's correction for all {len(tested)}: "
            f"{', '.join(remaining) or 'none'}",
        ]
    return sentences


def losses_in_words(name: str, one: Mapping[str, Any]) -> str:
    """Return how many questions lost much, and where none did, how many may have been missed (the rule of three)."""
    size = f"{LARGE_LOSS * (one['scale'][1] - one['scale'][0]):g}"
    if one["large_losses"]:
        share = f"{one['large_losses']} of {one['n']} questions ({100 * one['large_losses'] / one['n']:.0f} %)"
        return f"{name}: {share} lost more than {size}; a mean does not speak of rare disasters, read these answers"
    missed = 100 * (1 - (1 - LEVEL) ** (1 / one["n"]))
    return (
        f"{name}: none of {one['n']} questions lost more than {size}, which leaves up to {missed:.0f} % possible; "
        "a mean does not speak of rare disasters"
    )
