"""Row 6. One file per metric, one signature: (question, answer, contexts, *, judge, …) → Score."""

from minirag.metrics.answer_relevancy import answer_relevancy
from minirag.metrics.context_precision import context_precision
from minirag.metrics.context_recall import context_recall
from minirag.metrics.context_relevancy import context_relevancy
from minirag.metrics.faithfulness import faithfulness
from minirag.metrics.score import Score

__all__ = [
    "Score",
    "answer_relevancy",
    "context_precision",
    "context_recall",
    "context_relevancy",
    "faithfulness",
]
