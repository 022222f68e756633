"""Row 7. Rows × metrics × rounds → scores, each with its reason where there is none."""

import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from minirag.errors import InputError, ServiceError, ServiceRefused
from minirag.metrics import answer_relevancy, context_precision, context_recall, context_relevancy, faithfulness
from minirag.metrics.score import Score
from minirag.models import Chat, Embedder
from minirag.retry import in_order
from minirag.rows import Row, as_row, distinct, read_rows

if TYPE_CHECKING:
    import pandas


METRICS: Mapping[str, Callable[..., Score]] = {
    metric.__name__: metric
    for metric in (faithfulness, answer_relevancy, context_relevancy, context_precision, context_recall)
}
"""Every metric by its name; all have one signature."""
NO_ANSWER = "there is no answer: the call failed"
"""Why a question that an arm could not answer has no score."""


def check_metrics(names: Sequence[str]) -> None:
    """Raise InputError unless these are names of metrics, and at least one."""
    unknown = [name for name in names if name not in METRICS]
    if unknown or not names:
        raise InputError(f"There is no metric {unknown[0] if unknown else ''!r}; choose from {', '.join(METRICS)}.")


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

    @classmethod
    def read(cls, path: Path) -> "Scores":
        """The scores of a `scores.jsonl`. Raises InputError."""
        try:
            return cls(_scored_row(json.loads(line)) for line in path.read_text("utf-8").splitlines())
        except FileNotFoundError:
            raise InputError(f"There is no {path}; evaluate the run first.") from None
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} holds no scores ({error}); evaluate the run again.") from error

    def of(self, arm: str, metric: str, questions: Sequence[str]) -> list[Score]:
        """One score a question id: the mean over its rounds, or none with the first round's reason."""
        rounds: dict[str, list[Score]] = {id: [] for id in questions}
        for scored in self:
            if scored.arm == arm and scored.metric == metric and scored.question_id in rounds:
                rounds[scored.question_id].append(scored.score)
        return [_mean_score(found) for found in rounds.values()]

    def by_round(self, arm: str, metric: str, questions: Sequence[str]) -> list[list[float | None]]:
        """The values of each round, in the order of the question ids; None where a round gave none."""
        found: dict[int, dict[str, float | None]] = {}
        for scored in self:
            if scored.arm == arm and scored.metric == metric:
                found.setdefault(scored.round, {})[scored.question_id] = scored.score.value
        return [[values.get(id) for id in questions] for _, values in sorted(found.items())]

    def values(self, arm: str, metric: str, questions: Sequence[str]) -> list[float | None]:
        """The mean over the rounds for each question id; None where no round gave a score."""
        return [score.value for score in self.of(arm, metric, questions)]

    def mean(self, arm: str, metric: str) -> tuple[float | None, int, int]:
        """(mean over scored questions, how many, how many unscored)."""
        ids = list(
            dict.fromkeys(scored.question_id for scored in self if scored.arm == arm and scored.metric == metric)
        )
        values = self.values(arm, metric, ids)
        known = [value for value in values if value is not None]
        return (sum(known) / len(known) if known else None, len(known), len(values) - len(known))

    def summary(self) -> dict[str, Any]:
        """Per arm and metric: mean over scored rows, n, n unscored and why; and `ragas_score` per arm.

        `ragas_score` is the harmonic mean of the arm's means, None where one is missing.
        """
        result: dict[str, Any] = {}
        for arm in dict.fromkeys(scored.arm for scored in self):
            metrics: dict[str, Any] = {}
            for metric in dict.fromkeys(scored.metric for scored in self if scored.arm == arm):
                mean, n, unscored = self.mean(arm, metric)
                metrics[metric] = {"mean": mean, "n": n, "n_unscored": unscored, "unscored": self.reasons(arm, metric)}
            result[arm] = {**metrics, "ragas_score": ragas_score([m["mean"] for m in metrics.values()])}
        return result

    def to_pandas(self) -> "pandas.DataFrame":
        """One row a score, in the columns of `scores.jsonl`; needs pandas."""
        import pandas

        return pandas.DataFrame([scored.to_json() for scored in self])

    def reasons(self, arm: str, metric: str) -> dict[str, int]:
        """Why questions have no score in any round, and how many: the first round's reason counts."""
        ids = list(dict.fromkeys(row.question_id for row in self if row.arm == arm and row.metric == metric))
        unscored = (score.reason for score in self.of(arm, metric, ids) if score.value is None)
        return dict(Counter(unscored).most_common())


def _scored_row(fields: Mapping[str, Any]) -> ScoredRow:
    """The row that `to_json` gave."""
    score = Score(fields["value"], fields["reason"], tuple(fields["evidence"]), tuple(fields["exchanges"]))
    return ScoredRow(fields["question_id"], fields["arm"], fields["metric"], fields["round"], score)


def _mean_score(rounds: Sequence[Score]) -> Score:
    known = [score.value for score in rounds if score.value is not None]
    if known:
        return Score(sum(known) / len(known))
    return Score(None, rounds[0].reason if rounds else NO_ANSWER)


def ragas_score(means: Sequence[float | None]) -> float | None:
    """Harmonic mean of the metrics' means, as ragas had it until 0.0.19; None of nothing or where one is missing.

    >>> round(ragas_score([0.8356, 0.9629]), 4), ragas_score([0.5, None])
    (0.8947, None)
    """
    values = [mean for mean in means if mean is not None]
    if not values or len(values) < len(means):
        return None
    return 0.0 if min(values) <= 0 else len(values) / math.fsum(1 / value for value in values)


def evaluate(
    rows: Iterable[Row | Mapping[str, Any]] | str | os.PathLike[str],
    metrics: Sequence[str],
    judge: Chat,
    embed: Embedder | None = None,
    *,
    rounds: int = 1,
    workers: int = 8,
    window: int | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Scores:
    """Score each row with each metric, `rounds` times; nothing is shared between the calls but the models.

    `rows` may be the path of a JSONL or CSV file, or of a run folder. A row has `question`, `answer` and `contexts`
    (texts), and may have `reference`, `question_id` and `arm`; ragas' names for them are known. A row whose judge
    fails is unscored with that reason and harms no other; a judge that refuses all work (key, quota, model) raises
    ServiceRefused. Raises InputError for an unknown metric or a row without question or answer. `progress` hears
    (done, total).

    >>> from minirag.testing import ScriptedChat
    >>> rows = [{"question": "Who?", "answer": "Ann.", "contexts": ["Ann did it.", "It rained."]}]
    >>> evaluate(rows, ["context_relevancy"], ScriptedChat({"needed": [1]})).mean("", "context_relevancy")
    (0.5, 1, 0)
    """
    check_metrics(metrics)
    if embed is None and "answer_relevancy" in metrics:
        raise InputError("answer_relevancy needs an embedding model; pass embed=EmbeddingModel(…).")
    if isinstance(rows, str | os.PathLike):
        rows = read_rows(Path(rows))
    checked = distinct(item if isinstance(item, Row) else as_row(item, number) for number, item in enumerate(rows, 1))
    tasks = [_Task(item, metric, number) for item in checked for metric in metrics for number in range(rounds)]

    def score(task: _Task) -> ScoredRow:
        item, metric, number = task
        if item.contexts is None and metric != "answer_relevancy":
            return ScoredRow(item.question_id, item.arm, metric, number, Score(None, "the row names no contexts"))
        try:
            value = METRICS[metric](
                item.question,
                item.answer,
                item.contexts or (),
                judge=judge,
                embed=embed,
                reference=item.reference,
                window=window,
                tags={"question": item.question_id, "arm": item.arm, "metric": metric},
                repeat=number,
            )
        except ServiceRefused:
            raise
        except ServiceError as error:
            return ScoredRow(item.question_id, item.arm, metric, number, Score(None, str(error)), failed=True)
        return ScoredRow(item.question_id, item.arm, metric, number, value)

    scores = Scores()
    for done, scored in enumerate(in_order(score, tasks, workers), 1):
        scores.append(scored)
        progress(done, len(tasks))
    return scores


class _Task(NamedTuple):
    row: Row
    metric: str
    round: int
