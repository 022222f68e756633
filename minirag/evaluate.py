"""Row 7. Rows × metrics × rounds → scores, each with its reason where there is none."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from minirag.errors import InputError, ServiceError, ServiceRefused
from minirag.metrics import answer_relevancy, faithfulness
from minirag.metrics.score import Score
from minirag.models import Chat, Embedder
from minirag.pool import in_order


class Metric(Protocol):
    """The one signature of all metrics."""

    def __call__(
        self,
        question: str,
        answer: str,
        contexts: Sequence[str],
        *,
        judge: Chat,
        embed: Embedder | None = None,
        reference: str | None = None,
        window: int | None = None,
        tags: Mapping[str, Any] | None = None,
        repeat: int = 0,
    ) -> Score: ...


METRICS: Mapping[str, Metric] = {"faithfulness": faithfulness, "answer_relevancy": answer_relevancy}


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """One score and what it belongs to."""

    question_id: str
    arm: str
    metric: str
    round: int
    score: Score
    failed: bool = False
    """True where the judge's service failed: asking again may give a score."""

    def to_json(self) -> dict[str, Any]:
        """The row as `scores.jsonl` holds it."""
        score = asdict(self.score)
        names = {"question_id": self.question_id, "arm": self.arm, "metric": self.metric, "round": self.round}
        return {**names, **score}


class Scores(list[ScoredRow]):
    """The scores of an evaluation, in the order of rows, metrics and rounds."""

    def values(self, arm: str, metric: str, questions: Sequence[str]) -> list[float | None]:
        """The mean over the rounds for each question id; None where no round gave a score."""
        found: dict[str, list[float]] = {}
        for row in self:
            if row.arm == arm and row.metric == metric and row.score.value is not None:
                found.setdefault(row.question_id, []).append(row.score.value)
        return [sum(found[id]) / len(found[id]) if id in found else None for id in questions]

    def mean(self, arm: str, metric: str) -> tuple[float | None, int, int]:
        """(mean over scored questions, how many, how many unscored)."""
        ids = list(dict.fromkeys(row.question_id for row in self if row.arm == arm and row.metric == metric))
        values = self.values(arm, metric, ids)
        scored = [value for value in values if value is not None]
        return (sum(scored) / len(scored) if scored else None, len(scored), len(values) - len(scored))

    def reasons(self, arm: str, metric: str) -> dict[str, int]:
        """Why rows have no score, and how often."""
        unscored = (row for row in self if row.arm == arm and row.metric == metric and row.score.value is None)
        return dict(Counter(row.score.reason for row in unscored).most_common())


def evaluate(
    rows: Iterable[Mapping[str, Any]],
    metrics: Sequence[str],
    judge: Chat,
    embed: Embedder | None = None,
    *,
    rounds: int = 1,
    workers: int = 8,
    window: int | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Scores:
    """Score each row with each metric, `rounds` times.

    A row has `question`, `answer`, `contexts` (texts) and may have `reference`, `question_id` and `arm`. A row
    whose judge fails is unscored with that reason and harms no other; a judge that refuses all work (key, quota,
    model) raises ServiceRefused. Raises InputError for an unknown metric.
    """
    unknown = [name for name in metrics if name not in METRICS]
    if unknown:
        raise InputError(f"There is no metric {unknown[0]!r}; choose from {', '.join(METRICS)}.")
    tasks = [
        (number, row, metric, round_)
        for number, row in enumerate(rows, 1)
        for metric in metrics
        for round_ in range(rounds)
    ]

    def score(task: tuple[int, Mapping[str, Any], str, int]) -> ScoredRow:
        number, row, metric, round_ = task
        question_id, arm = str(row.get("question_id", number)), str(row.get("arm", ""))
        try:
            value = METRICS[metric](
                row["question"],
                row["answer"],
                row["contexts"],
                judge=judge,
                embed=embed,
                reference=row.get("reference"),
                window=window,
                tags={"question": question_id, "arm": arm, "metric": metric},
                repeat=round_,
            )
        except ServiceRefused:
            raise
        except ServiceError as error:
            return ScoredRow(question_id, arm, metric, round_, Score(None, str(error)), failed=True)
        return ScoredRow(question_id, arm, metric, round_, value)

    scores = Scores()
    for done, scored in enumerate(in_order(score, tasks, workers), 1):
        scores.append(scored)
        progress(done, len(tasks))
    return scores
