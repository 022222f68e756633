"""What there is to show of a finished run: the contents of its files, and what they are about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from minirag.arms import ARMS
from minirag.evaluation import ScoredRow, Scores
from minirag.query import Answer
from minirag.questions import PageKey, Question
from minirag.report.job_history import JobHistory
from minirag.report.traced import Traced


@dataclass(frozen=True, kw_only=True)
class Results:
    """A run's `facts` (`run.json`), eval `questions`, `answers` by (arm, question id), `scores`, comparison and bill.

    `source_pages` are the pages that questions were written from, where that is known, by question id; `usd` is what
    each answer cost, by its key; `job` is None where nothing was trained here.
    """

    facts: Mapping[str, Any]
    questions: Sequence[Question]
    answers: Mapping[tuple[str, str], Answer]
    scores: Scores
    comparison: Mapping[str, Any]
    bill: Mapping[str, Any]
    source_pages: Mapping[str, PageKey]
    usd: Mapping[tuple[str, str], float | None]
    job: JobHistory | None = None

    @property
    def compared(self) -> Traced:
        """`comparison.json`, with its places."""
        return Traced(self.comparison, "comparison.json#")

    @property
    def costs(self) -> Traced:
        """`costs.json`, with its places."""
        return Traced(self.bill, "costs.json#")

    @cached_property
    def arms(self) -> list[str]:
        """The arms whose answers were judged, in their order."""
        judged = self.comparison["ragas_score"]
        return [arm for arm in ARMS if arm in judged]

    @property
    def against(self) -> list[str]:
        """The arms that the tuned model is compared with; none where there is no tuned model."""
        return [arm for arm in ("base", "teacher", "control") if arm in self.arms and "tuned" in self.arms]

    @cached_property
    def values(self) -> dict[tuple[str, str], dict[str, float | None]]:
        """Each question's score, its mean over the rounds, by (arm, metric) and question id."""
        ids = [question.id for question in self.questions]
        return {
            (arm, metric): dict(zip(ids, self.scores.values(arm, metric, ids), strict=True))
            for arm in self.arms
            for metric in self.comparison["metrics"]
        }

    @cached_property
    def scored(self) -> dict[tuple[str, str], list[tuple[int, ScoredRow]]]:
        """The scores of each answer, by (arm, question id), each with its line in `scores.jsonl`, from 0."""
        found: dict[tuple[str, str], list[tuple[int, ScoredRow]]] = {}
        for line, row in enumerate(self.scores):
            found.setdefault((row.arm, row.question_id), []).append((line, row))
        return found

    def difference(self, question: str, metric: str) -> float | None:
        """Tuned − base of one question; None where one of them is unscored."""
        first, second = (self.values.get((arm, metric), {}).get(question) for arm in ("base", "tuned"))
        return None if first is None or second is None else second - first


def pair(metric: Traced, arm: str) -> Traced:
    """The comparison of the tuned model with an arm, in what `comparison.json` has of a metric."""
    return metric if arm == "base" else metric[f"tuned_against_{arm}"]
