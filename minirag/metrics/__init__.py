"""The metrics, one file each: answers → scores. Read `score`, `replies`, `judge`, `faithfulness`.

A metric takes question, answer and contexts, asks a `judge` (a chat model, or a `Judge` with window and tags), and
returns a `Score`: a value in [0, 1], or None with the reason, for instance a reply that is unusable twice in a row, or
something that does not fit the judge's window. It raises ServiceError if a call fails.
"""

from minirag.metrics.answer_relevancy import answer_relevancy
from minirag.metrics.context_precision import context_precision
from minirag.metrics.context_recall import context_recall
from minirag.metrics.context_relevancy import context_relevancy
from minirag.metrics.faithfulness import faithfulness
from minirag.metrics.judge import Judge
from minirag.metrics.score import Score

__all__ = [
    "Judge",
    "Score",
    "answer_relevancy",
    "context_precision",
    "context_recall",
    "context_relevancy",
    "faithfulness",
]
