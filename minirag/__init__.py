"""Is a small model, tuned on a large one's answers over your documents, good enough to replace it?

Each public name is one idea; the module that holds it says more. Importing this costs the standard library and
numpy: the SDK, pypdf, tiktoken and httpx are loaded where they are first used.
"""

from minirag.chunker import Chunk, chunk
from minirag.compare import Comparison, compare
from minirag.documents import Page, load
from minirag.errors import MiniragError
from minirag.evaluate import evaluate
from minirag.finetune import FineTuningJob
from minirag.message_log import Exchange, MessageLog
from minirag.metrics import (
    Score,
    answer_relevancy,
    context_precision,
    context_recall,
    context_relevancy,
    faithfulness,
)
from minirag.models import ChatModel, EmbeddingModel
from minirag.query import Answer, QueryEngine
from minirag.training import write_training_file
from minirag.vector_store import VectorStore

__all__ = [
    "Answer",
    "ChatModel",
    "Chunk",
    "Comparison",
    "EmbeddingModel",
    "Exchange",
    "FineTuningJob",
    "MessageLog",
    "MiniragError",
    "Page",
    "QueryEngine",
    "Score",
    "VectorStore",
    "answer_relevancy",
    "chunk",
    "compare",
    "context_precision",
    "context_recall",
    "context_relevancy",
    "evaluate",
    "faithfulness",
    "load",
    "write_training_file",
]
