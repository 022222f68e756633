"""Row 6. One file per metric, one signature: (question, answer, contexts, *, judge, …) → Score."""

from minirag.metrics.answer_relevancy import answer_relevancy
from minirag.metrics.faithfulness import faithfulness
from minirag.metrics.score import Score

__all__ = ["Score", "answer_relevancy", "faithfulness"]
