"""What `comparison.json` holds: the tuned model against each other arm in every metric, and what that says in words.

Everything here is computed from scores and from what is known of the questions; nothing is sent.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import compress
from typing import Any

from minirag.metrics.comparison import COMPARED, compare, unscored_reasons
from minirag.metrics.score import Score, Scores, ragas_score
from minirag.statistics.audit import Audit, audit, audit_in_words
from minirag.statistics.composite import compare_ragas_score
from minirag.statistics.holm import holm, holm_in_words
from minirag.statistics.labels import Labels
from minirag.statistics.noise import Noise, judge_noise, noise_in_words
from minirag.statistics.power import in_words, to_json
from minirag.statistics.splits import Kinds, splits_in_words
from minirag.statistics.teacher_lead import LeadClosed, lead_closed, lead_in_words


@dataclass(frozen=True)
class Evaluation:
    """Judged answers: the arms, the ids of the eval questions, their pages, their scores, and what else is known.

    `sound` tells of each question whether nothing speaks against it, `kinds` labels the questions in several ways
    (`splits.question_kinds`); `margin` is the smallest difference that matters to the user.
    """

    arms: Sequence[str]
    ids: Sequence[str]
    pages: Sequence[Hashable]
    sound: Sequence[bool]
    metrics: Sequence[str]
    scores: Scores
    kinds: Kinds
    margin: float | None = None

    @property
    def against(self) -> list[str]:
        """The arms that the tuned model is compared with."""
        return [arm for arm in COMPARED if arm in self.arms]


def findings(evaluation: Evaluation, metric: str) -> dict[str, Any]:
    """Return all that the scores of one metric show: the comparison with the base model, and the others beside it."""
    scores = {arm: evaluation.scores.of(arm, metric, evaluation.ids) for arm in {*evaluation.arms, "tuned", "teacher"}}

    def against(arm: str, mask: Sequence[bool] | None = None) -> dict[str, Any]:
        used = [True] * len(evaluation.ids) if mask is None else mask
        base, tuned = (list(compress(scores[name], used)) for name in (arm, "tuned"))
        pages = list(compress(evaluation.pages, used))
        return to_json(compare(base, tuned, clusters=pages, margin=evaluation.margin, arms=(arm, "tuned")))

    noise = judge_noise(evaluation.scores, metric)
    lead = lead_closed(scores["base"], scores["tuned"], scores["teacher"], clusters=evaluation.pages)
    return {
        **against("base"),
        "arms": {arm: means_of(scores[arm]) for arm in evaluation.arms},
        **{f"tuned_against_{arm}": against(arm) for arm in evaluation.against if arm != "base"},
        "gap_closed": asdict(lead),
        "without_flagged": {f"tuned_against_{arm}": against(arm, evaluation.sound) for arm in evaluation.against},
        "breakdown": {
            "splits": {
                kind: {label: against("base", [each == label for each in labels]) for label in dict.fromkeys(labels)}
                for kind, labels in evaluation.kinds.items()
            }
        },
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


def comparison_of(
    evaluation: Evaluation,
    *,
    labels: Labels | None = None,
    warnings: Sequence[str] = (),
    untrained: str | None = None,
) -> dict[str, Any]:
    """Return what `comparison.json` holds.

    `labels` are a person's verdicts on statements, `warnings` what makes the verdict suspect, and `untrained` says why
    there is no tuned model where there is none.
    """
    metrics = {metric: findings(evaluation, metric) for metric in evaluation.metrics}
    p_holm = holm({metric: one["p_value"] for metric, one in metrics.items()})
    together = {}
    for arm in evaluation.against:
        of = partial(evaluation.scores.of, questions=evaluation.ids)
        columns = {metric: (of(arm, metric), of("tuned", metric)) for metric in metrics}
        compared = compare_ragas_score(
            columns, clusters=evaluation.pages, margin=evaluation.margin, arms=(arm, "tuned")
        )
        together[f"tuned_against_{arm}"] = to_json(compared)
    pages = dict(zip(evaluation.ids, evaluation.pages, strict=True))
    audited = audit(evaluation.scores, labels or {}, pages, () if untrained else evaluation.against)
    verdicts = {
        arm: f"There is no tuned model to compare: {untrained}" if untrained else _verdict(metrics, together, arm)
        for arm in evaluation.against
    }
    return {
        "verdict": verdicts["base"],
        "verdict_against_teacher": verdicts.get("teacher"),
        "verdict_against_control": verdicts.get("control"),
        "metrics": {metric: {**one, "p_holm": p_holm[metric]} for metric, one in metrics.items()},
        "ragas_score": {
            arm: ragas_score([one["arms"][arm]["mean"] for one in metrics.values()]) for arm in evaluation.arms
        },
        "ragas_score_compared": together,
        "questions": {"n": len(evaluation.ids), "flagged": list(evaluation.sound).count(False)},
        "audit": None if audited is None else asdict(audited),
        "in_words": {"warnings": list(warnings), **({} if untrained else _in_words(evaluation, metrics, audited))},
    }


def _against(one: Mapping[str, Any], arm: str) -> Mapping[str, Any]:
    """Return a metric's comparison with an arm."""
    return one if arm == "base" else one[f"tuned_against_{arm}"]


def _verdict(metrics: Mapping[str, Any], together: Mapping[str, Any], arm: str) -> str:
    """Return what every metric, and ragas_score, says of the tuned model against an arm."""
    clauses = [f"{metric.replace('_', ' ')} {in_words(_against(one, arm))}" for metric, one in metrics.items()]
    if len(metrics) > 1:
        clauses.append(f"ragas score {in_words(together[f'tuned_against_{arm}'])}")
    return f"tuned against {arm}: {'; '.join(clauses)}"


def _in_words(
    evaluation: Evaluation, metrics: Mapping[str, dict[str, Any]], audited: Audit | None
) -> dict[str, list[str]]:
    """Return sentences by subject; a subject of which there is nothing to say has none."""
    each = {metric.replace("_", " "): one for metric, one in metrics.items()}
    several = holm_in_words({name: one["p_value"] for name, one in each.items()})
    flagged = f"without {list(evaluation.sound).count(False)} of {len(evaluation.ids)} questions"
    return {
        "several metrics": [several] if several else [],
        "the teacher's lead": [
            f"{name}: {lead_in_words(LeadClosed(**one['gap_closed']))}" for name, one in each.items()
        ],
        "unscored answers": [
            f"{name}: {one['n_unscored']} questions lack a score of base or tuned; had they been judged, the "
            f"difference would lie between {one['worst']:+.3f} and {one['best']:+.3f}"
            for name, one in each.items()
            if one["n_unscored"]
        ],
        "flagged questions": [
            f"{name}, tuned against {arm}, {flagged}: {in_words(one['without_flagged'][f'tuned_against_{arm}'])}; "
            f"with them {in_words(_against(one, arm))}"
            for name, one in each.items()
            for arm in evaluation.against
            if not all(evaluation.sound)
        ],
        "the judge's noise": [
            f"{name}: {noise_in_words(Noise(**one['noise']))}" for name, one in each.items() if one["noise"]
        ],
        "where the change comes from": [
            f"{name} {clause}" for name, one in each.items() for clause in splits_in_words(one["breakdown"]["splits"])
        ],
        "a person's labels": [] if audited is None else audit_in_words(audited),
    }
