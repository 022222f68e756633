"""Adds to the metrics: rows × metrics × rounds → scores, each with its reason where there is none."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from minirag.errors import InputError, ServiceError, ServiceRefused
from minirag.metrics.answer_relevancy import answer_relevancy
from minirag.metrics.context import context_precision, context_recall, context_relevancy
from minirag.metrics.faithfulness import faithfulness
from minirag.metrics.judge import Judge
from minirag.metrics.score import Score, ScoredRow, Scores, Unscored
from minirag.models import Chat, Embedder
from minirag.retry import in_order

FIELDS = {
    "question": ("question", "user_input"),
    "answer": ("answer", "response"),
    "contexts": ("contexts", "retrieved_contexts"),
    "reference": ("reference", "ground_truth", "ground_truths"),
    "question_id": ("question_id", "id"),
    "arm": ("arm",),
}
"""The names of a row's fields in a mapping: ours, then those of ragas' versions."""


@dataclass(frozen=True, slots=True)
class Row:
    """One answer to score. `contexts` is empty if nothing was retrieved, None if that is not known."""

    question: str
    answer: str
    contexts: tuple[str, ...] | None
    reference: str | None
    question_id: str
    arm: str = ""

    @property
    def whole(self) -> tuple[str, str, tuple[str, ...]]:
        """Question, answer and contexts. Raises Unscored if the contexts are not known."""
        if self.contexts is None:
            raise Unscored("the row names no contexts")
        return self.question, self.answer, self.contexts


def as_row(fields: Mapping[str, Any], number: int = 1) -> Row:
    """Return the row of a mapping with our or ragas' names. Raises InputError that names row `number` and field.

    >>> as_row({"user_input": "Who?", "response": "Ann.", "retrieved_contexts": ["Ann did it."]})
    Row(question='Who?', answer='Ann.', contexts=('Ann did it.',), reference=None, question_id='1', arm='')
    """
    row: dict[str, Any] = {
        ours: next((fields[n] for n in names if fields.get(n) is not None), None) for ours, names in FIELDS.items()
    }
    for name in ("question", "answer"):
        if not isinstance(row[name], str):
            raise InputError(f"Row {number} has no text under {name!r} (or {FIELDS[name][1]!r}).")
    contexts = row["contexts"]
    if isinstance(contexts, str):
        contexts = [contexts] if contexts.strip() else []
    if contexts is not None and not (isinstance(contexts, list | tuple) and all(isinstance(c, str) for c in contexts)):
        raise InputError(f"The contexts of row {number} are not a list of texts.")
    row["contexts"] = None if contexts is None else tuple(contexts)
    reference = row["reference"]
    if isinstance(reference, list | tuple):  # several, as ragas took them until 0.1: joined as it joined them
        reference = "\n".join(map(str, reference))
    row["reference"] = None if reference is None else str(reference)
    row["question_id"] = str(number if row["question_id"] is None else row["question_id"])
    row["arm"] = str(row["arm"] or "")
    return Row(**row)


METRICS: Mapping[str, Callable[[Row, Judge, Any], Score]] = {
    "faithfulness": lambda row, judge, _: faithfulness(*row.whole, judge=judge),
    "answer_relevancy": lambda row, judge, embed: answer_relevancy(row.question, row.answer, judge=judge, embed=embed),
    "context_relevancy": lambda row, judge, _: context_relevancy(*row.whole, judge=judge),
    "context_precision": lambda row, judge, _: context_precision(*row.whole, judge=judge, reference=row.reference),
    "context_recall": lambda row, judge, _: context_recall(*row.whole, judge=judge, reference=row.reference),
}
"""Every metric by its name, applied to a row."""


def check_metrics(names: Sequence[str]) -> None:
    """Raise InputError unless these are names of metrics, and at least one."""
    for name in names or [""]:
        if name not in METRICS:
            raise InputError(f"There is no metric {name!r}; choose from {', '.join(METRICS)}.")


def evaluate(
    rows: Iterable[Row | Mapping[str, Any]],
    metrics: Sequence[str],
    judge: Chat,
    embed: Embedder | None = None,
    *,
    rounds: int = 1,
    workers: int = 8,
    window: int | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Scores:
    """Score each row with each metric, `rounds` times, in `workers` threads.

    A row has `question`, `answer` and `contexts` (texts), and may have `reference`, `question_id` and `arm`; ragas'
    names for them are accepted, and rows of one id and arm count as rounds. `window` is the judge's context window in
    tokens. A row whose judge fails is unscored with that reason and harms no other; a judge that refuses all work (key,
    quota, model) raises ServiceRefused. Raises InputError for an unknown metric or a row without question or answer.
    `progress` receives (done, total).

    >>> from minirag.testing import ScriptedChat
    >>> rows = [{"question": "Who?", "answer": "Ann.", "contexts": ["Ann did it.", "It rained."]}]
    >>> evaluate(rows, ["context_relevancy"], ScriptedChat({"needed": [1]}))[0].score.value
    0.5
    """
    check_metrics(metrics)
    if embed is None and "answer_relevancy" in metrics:
        raise InputError("answer_relevancy needs an embedding model; pass embed=EmbeddingModel(…).")
    answers = [row if isinstance(row, Row) else as_row(row, number) for number, row in enumerate(rows, 1)]
    tasks = [(row, metric, number) for row in answers for metric in metrics for number in range(rounds)]
    # the calls about one question follow each other: their prompts share excerpts, and services cache that
    order = sorted(range(len(tasks)), key=lambda i: (tasks[i][0].question_id, metrics.index(tasks[i][1])))

    def score(i: int) -> ScoredRow:
        row, metric, number = tasks[i]
        tags = {"question": row.question_id, "arm": row.arm, "metric": metric}
        failed = False
        try:
            result = METRICS[metric](row, Judge(judge, window, tags, number), embed)
        except ServiceRefused:
            raise
        except (Unscored, ServiceError) as error:
            result = Score(None, str(error))
            failed = isinstance(error, ServiceError) and not error.final
        return ScoredRow(row.question_id, row.arm, metric, number, result, failed)

    scores: dict[int, ScoredRow] = {}
    for i, scored in zip(order, in_order(score, order, workers), strict=True):
        scores[i] = scored
        progress(len(scores), len(tasks))
    return Scores(scores[i] for i in range(len(tasks)))
