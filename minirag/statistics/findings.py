"""What `comparison.json` holds: the tuned model against each other arm in every metric, and what that says in words.

Everything here is computed from scores and from what is known of the questions; nothing is sent.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import compress
from typing import Any

from minirag.comparison import COMPARED, Comparison, compare, in_words, unscored_reasons
from minirag.metrics.score import Score, Scores, ragas_score
from minirag.statistics.composite import compare_ragas_score
from minirag.statistics.corrected import Audit, audit, audit_in_words
from minirag.statistics.holm import holm, holm_in_words
from minirag.statistics.labels import Labels
from minirag.statistics.noise import Noise, by_round, judge_noise, noise_in_words, statement_flips
from minirag.statistics.splits import Kinds, split, splits_in_words
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

    def of(self, arm: str, metric: str) -> list[Score]:
        """Return one score a question."""
        return self.scores.of(arm, metric, self.ids)


@dataclass(frozen=True, slots=True)
class Findings:
    """All that the scores of one metric show; comparisons are by the arm that the tuned model stands against."""

    arms: Mapping[str, Mapping[str, Any]]
    against: Mapping[str, Comparison]
    without_flagged: Mapping[str, Comparison]
    gap: LeadClosed
    splits: Mapping[str, Mapping[str, Comparison]]
    noise: Noise | None

    def to_json(self) -> dict[str, Any]:
        """Return the comparison with the base model, and all others beside it, as `comparison.json` holds them."""
        return {
            **asdict(self.against["base"]),
            "arms": self.arms,
            **{f"tuned_against_{arm}": asdict(one) for arm, one in self.against.items() if arm != "base"},
            "gap_closed": asdict(self.gap),
            "without_flagged": {f"tuned_against_{arm}": asdict(one) for arm, one in self.without_flagged.items()},
            "breakdown": {
                "splits": {
                    kind: {label: asdict(one) for label, one in parts.items()} for kind, parts in self.splits.items()
                }
            },
            "noise": None if self.noise is None else asdict(self.noise),
        }


def findings(evaluation: Evaluation, metric: str) -> Findings:
    """Return everything that the scores of one metric show."""
    scores = {arm: evaluation.of(arm, metric) for arm in {*evaluation.arms, "tuned", "teacher"}}
    sound, pages, margin = evaluation.sound, evaluation.pages, evaluation.margin

    def against(arm: str, mask: Sequence[bool]) -> Comparison:
        base, tuned = list(compress(scores[arm], mask)), list(compress(scores["tuned"], mask))
        return compare(base, tuned, clusters=list(compress(pages, mask)), margin=margin, arms=(arm, "tuned"))

    everyone = [True] * len(evaluation.ids)
    rounds = [by_round(evaluation.scores, arm, metric, evaluation.ids) for arm in ("base", "tuned")]
    repeated = len(rounds[0]) == len(rounds[1]) > 1
    return Findings(
        arms={arm: _arm(evaluation, metric, arm, scores[arm]) for arm in evaluation.arms},
        against={arm: against(arm, everyone) for arm in evaluation.against},
        without_flagged={arm: against(arm, sound) for arm in evaluation.against},
        gap=lead_closed(scores["base"], scores["tuned"], scores["teacher"], clusters=pages),
        splits={
            kind: split(scores["base"], scores["tuned"], labels, clusters=pages, margin=margin)
            for kind, labels in evaluation.kinds.items()
        },
        noise=judge_noise(*rounds, clusters=pages) if repeated else None,
    )


def _arm(evaluation: Evaluation, metric: str, arm: str, scores: Sequence[Score]) -> dict[str, Any]:
    """Return an arm's mean over its scored questions, the unscored by reason, and how often rounds disagree."""
    values = [score.value for score in scores if score.value is not None]
    return {
        "mean": sum(values) / len(values) if values else None,
        "n": len(values),
        "n_unscored": len(scores) - len(values),
        "unscored": unscored_reasons(scores),
        "verdict_flips": statement_flips(evaluation.scores, metric, arm),
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
    together = {}
    for arm in evaluation.against:
        scores = {metric: (evaluation.of(arm, metric), evaluation.of("tuned", metric)) for metric in metrics}
        together[arm] = compare_ragas_score(
            scores, clusters=evaluation.pages, margin=evaluation.margin, arms=(arm, "tuned")
        )
    pages = dict(zip(evaluation.ids, evaluation.pages, strict=True))
    audited = audit(evaluation.scores, labels or {}, pages, () if untrained else evaluation.against)
    p_holm = holm({metric: one.against["base"].p_value for metric, one in metrics.items()})
    verdicts = {
        arm: f"There is no tuned model to compare: {untrained}" if untrained else _verdict(metrics, together, arm)
        for arm in evaluation.against
    }
    return {
        "verdict": verdicts["base"],
        "verdict_against_teacher": verdicts.get("teacher"),
        "verdict_against_control": verdicts.get("control"),
        "metrics": {metric: {**one.to_json(), "p_holm": p_holm[metric]} for metric, one in metrics.items()},
        "ragas_score": {
            arm: ragas_score([one.arms[arm]["mean"] for one in metrics.values()]) for arm in evaluation.arms
        },
        "ragas_score_compared": {f"tuned_against_{arm}": asdict(one) for arm, one in together.items()},
        "questions": {"n": len(evaluation.ids), "flagged": list(evaluation.sound).count(False)},
        "audit": None if audited is None else asdict(audited),
        "in_words": {"warnings": list(warnings), **({} if untrained else _in_words(evaluation, metrics, audited))},
    }


# -- in words ----------------------------------------------------------------------------------------------


def _verdict(metrics: Mapping[str, Findings], together: Mapping[str, Comparison], arm: str) -> str:
    """Return what every metric, and ragas_score, says of the tuned model against an arm."""
    clauses = [f"{_name(metric)} {in_words(one.against[arm])}" for metric, one in metrics.items()]
    if len(metrics) > 1:
        clauses.append(f"ragas score {in_words(together[arm])}")
    return f"tuned against {arm}: {'; '.join(clauses)}"


def _name(metric: str) -> str:
    return metric.replace("_", " ")


def _in_words(evaluation: Evaluation, metrics: Mapping[str, Findings], audited: Audit | None) -> dict[str, list[str]]:
    """Return sentences by subject; a subject of which there is nothing to say has none."""
    each = {_name(metric): one for metric, one in metrics.items()}
    several = holm_in_words({name: one.against["base"].p_value for name, one in each.items()})
    return {
        "several metrics": [several] if several else [],
        "the teacher's lead": [f"{name}: {lead_in_words(one.gap)}" for name, one in each.items()],
        "unscored answers": [
            f"{name}: {base.n_unscored} questions lack a score of base or tuned; had they been judged, the difference "
            f"would lie between {base.worst:+.3f} and {base.best:+.3f}"
            for name, base in ((name, one.against["base"]) for name, one in each.items())
            if base.n_unscored and base.worst is not None and base.best is not None
        ],
        "flagged questions": [
            f"{name}, tuned against {arm}, without {list(evaluation.sound).count(False)} of {len(evaluation.ids)} "
            f"questions: {in_words(one.without_flagged[arm])}; "
            f"with them {in_words(one.against[arm])}"
            for name, one in each.items()
            for arm in one.against
            if not all(evaluation.sound)
        ],
        "the judge's noise": [f"{name}: {clause}" for name, one in each.items() for clause in _noise(one)],
        "where the change comes from": [
            f"{name} {clause}" for name, one in each.items() for clause in splits_in_words(one.splits)
        ],
        "a person's labels": [] if audited is None else audit_in_words(audited),
    }


def _noise(one: Findings) -> list[str]:
    flips = {arm: facts["verdict_flips"] for arm, facts in one.arms.items() if facts["verdict_flips"] is not None}
    by_arm = ", ".join(f"{100 * share:.0f} % ({arm})" for arm, share in flips.items())
    return ([] if one.noise is None else [noise_in_words(one.noise)]) + (
        [f"two rounds disagree on a statement in {by_arm}"] if flips else []
    )
