"""What the report shows of a finished run: the content of its files, and what follows from it at once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from minirag.message_log import Exchange
from minirag.metrics.score import ScoredRow
from minirag.query import Answer
from minirag.questions import Question

AGAINST = ("teacher", "base", "control")
"""The arms that the tuned model is compared with, the most telling first."""
Losses = Mapping[str, Sequence[tuple[int, float]]]


@dataclass(frozen=True, kw_only=True)
class Results:
    """A run's facts (`run.json`), eval questions, answers by (arm, question id), scores, comparison and costs.

    `losses` are those of the fine-tuning job as `read_losses` gives them; None if this run started no job.
    """

    facts: Mapping[str, Any]
    questions: Sequence[Question]
    answers: Mapping[tuple[str, str], Answer]
    scores: Sequence[ScoredRow]
    comparison: Mapping[str, Any]
    costs: Mapping[str, Any]
    losses: Losses | None = None

    @property
    def metrics(self) -> list[str]:
        """The names of the metrics, in order."""
        return list(self.comparison["metrics"])

    @property
    def arms(self) -> list[str]:
        """The arms whose answers were judged, in order."""
        return list(self.comparison["ragas_score"])

    @property
    def against(self) -> list[str]:
        """The arms that the tuned model is compared with; none without a tuned model."""
        return [arm for arm in AGAINST if arm in self.arms and "tuned" in self.arms]

    @cached_property
    def values(self) -> dict[tuple[str, str], dict[str, float | None]]:
        """Each question's mean score over the rounds, by (arm, metric) and question id; None if unscored."""
        rounds: dict[tuple[str, str, str], list[float]] = {}
        for row in self.scores:
            if row.score.value is not None:
                rounds.setdefault((row.arm, row.metric, row.question_id), []).append(row.score.value)
        means = {key: sum(values) / len(values) for key, values in rounds.items()}
        return {
            (arm, metric): {question.id: means.get((arm, metric, question.id)) for question in self.questions}
            for arm in self.arms
            for metric in self.metrics
        }

    @cached_property
    def scores_of(self) -> dict[tuple[str, str], list[ScoredRow]]:
        """The scores of each answer, by (arm, question id)."""
        rows: dict[tuple[str, str], list[ScoredRow]] = {}
        for row in self.scores:
            rows.setdefault((row.arm, row.question_id), []).append(row)
        return rows

    def difference(self, question_id: str, metric: str, arm: str = "base") -> float | None:
        """Return the tuned model's score of one question minus that of `arm`, None if one of them is unscored."""
        other, tuned = (self.values.get((name, metric), {}).get(question_id) for name in (arm, "tuned"))
        return None if other is None or tuned is None else tuned - other


def read_losses(log: Iterable[Exchange], job_id: str) -> Losses:
    """Return the training and validation losses (step, loss) that the events of a job in the log report."""
    losses: dict[str, dict[int, float]] = {"training": {}, "validation": {}}
    for exchange in log:
        if exchange.stage != "poll" or exchange.request.get("fine_tuning_job_id") != job_id:
            continue
        events = (exchange.response or {}).get("data")
        for event in events if isinstance(events, list) else ():
            data = event.get("data") if isinstance(event, Mapping) else None
            data = data if isinstance(data, Mapping) else {}
            for name, key in (("training", "train_loss"), ("validation", "valid_loss")):
                if isinstance(data.get(key), int | float) and isinstance(data.get("step"), int):
                    losses[name][data["step"]] = float(data[key])
    return {name: sorted(points.items()) for name, points in losses.items()}
