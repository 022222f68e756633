"""Row 8. What the scores of one metric show: the tuned model against each other arm, and what stands behind it."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import compress
from typing import Any

from minirag.arms import COMPARED
from minirag.comparison import Comparison, compare
from minirag.evaluation import Scores
from minirag.metrics.score import Score
from minirag.questions import Question, doubts
from minirag.statistics.breakdown import Breakdown, Traits, breakdown
from minirag.statistics.ceiling import GapClosed, gap_closed
from minirag.statistics.noise import Noise, flip_rate, judge_noise


@dataclass(frozen=True)
class Evaluation:
    """Judged answers: the `arms`, the eval `questions` with their `pages`, their scores, and what else is known."""

    arms: Sequence[str]
    questions: Sequence[Question]
    pages: Sequence[Hashable]
    metrics: Sequence[str]
    scores: Scores
    traits: Traits
    margin: float | None = None

    @property
    def against(self) -> list[str]:
        """The arms that the tuned model is compared with."""
        return [arm for arm in COMPARED if arm in self.arms]

    @cached_property
    def ids(self) -> list[str]:
        """The question ids, in order."""
        return [question.id for question in self.questions]

    @cached_property
    def sound(self) -> list[bool]:
        """For each question whether nothing speaks against it."""
        return [not doubts(question) for question in self.questions]

    def of(self, arm: str, metric: str) -> list[Score]:
        """One score a question."""
        return self.scores.of(arm, metric, self.ids)


@dataclass(frozen=True, slots=True)
class Arm:
    """An arm's mean over its scored questions, and over those that nothing speaks against; the rest by reason."""

    mean: float | None
    n: int
    n_unscored: int
    unscored: Mapping[str, int]
    mean_without_flagged: float | None
    verdict_flips: float | None
    """Share of pairs of rounds that disagree on a statement; None with one round."""


@dataclass(frozen=True, slots=True)
class Findings:
    """All that is found in one metric; comparisons are by the name of the arm that the tuned model stands against."""

    arms: Mapping[str, Arm]
    against: Mapping[str, Comparison]
    without_flagged: Mapping[str, Comparison]
    gap: GapClosed
    breakdown: Breakdown
    noise: Noise | None

    def to_json(self) -> dict[str, Any]:
        """As `comparison.json` holds it: the comparison with the base model, all others beside it."""
        others = {f"tuned_against_{arm}": asdict(one) for arm, one in self.against.items() if arm != "base"}
        return {
            **asdict(self.against["base"]),
            "arms": {arm: asdict(one) for arm, one in self.arms.items()},
            **others,
            "gap_closed": asdict(self.gap),
            "without_flagged": {f"tuned_against_{arm}": asdict(one) for arm, one in self.without_flagged.items()},
            "breakdown": self.breakdown.to_json(),
            "noise": None if self.noise is None else asdict(self.noise),
        }


def findings(evaluation: Evaluation, metric: str) -> Findings:
    """Everything that the scores of one metric show."""
    scores = {arm: evaluation.of(arm, metric) for arm in {*evaluation.arms, "tuned", "teacher"}}
    sound = evaluation.sound
    pages, margin = evaluation.pages, evaluation.margin
    return Findings(
        arms={arm: _arm(evaluation, metric, arm) for arm in evaluation.arms},
        against={
            arm: compare(scores[arm], scores["tuned"], clusters=pages, margin=margin, arms=(arm, "tuned"))
            for arm in evaluation.against
        },
        without_flagged={
            arm: compare(
                list(compress(scores[arm], sound)),
                list(compress(scores["tuned"], sound)),
                clusters=list(compress(pages, sound)),
                margin=margin,
                arms=(arm, "tuned"),
            )
            for arm in evaluation.against
        },
        gap=gap_closed(scores["base"], scores["tuned"], scores["teacher"], clusters=pages),
        breakdown=breakdown(scores["base"], scores["tuned"], evaluation.traits, pages, margin),
        noise=_noise(evaluation, metric),
    )


def _arm(evaluation: Evaluation, metric: str, arm: str) -> Arm:
    scores = evaluation.of(arm, metric)
    unscored = Counter(score.reason for score in scores if score.value is None)
    return Arm(
        mean=_mean(scores),
        n=len(scores) - unscored.total(),
        n_unscored=unscored.total(),
        unscored=dict(unscored.most_common()),
        mean_without_flagged=_mean(list(compress(scores, evaluation.sound))),
        verdict_flips=_flips(evaluation.scores, metric, arm),
    )


def _mean(scores: Sequence[Score]) -> float | None:
    known = [score.value for score in scores if score.value is not None]
    return sum(known) / len(known) if known else None


def _flips(scores: Scores, metric: str, arm: str) -> float | None:
    """How often two rounds disagree on a statement that both of them judged."""
    verdicts: dict[tuple[str, str], list[bool]] = {}
    for row in scores:
        if row.metric == metric and row.arm == arm:
            for item in row.score.evidence:
                if "supported" in item:
                    verdicts.setdefault((row.question_id, str(item["statement"])), []).append(item["supported"])
    again = [said for said in verdicts.values() if len(said) > 1]
    return flip_rate(again) if again else None


def _noise(evaluation: Evaluation, metric: str) -> Noise | None:
    """The judge's noise, where both models' answers were judged several times."""
    base, tuned = (evaluation.scores.by_round(arm, metric, evaluation.ids) for arm in ("base", "tuned"))
    if len(base) < 2 or len(base) != len(tuned):
        return None
    return judge_noise(base, tuned, clusters=evaluation.pages, margin=evaluation.margin)
