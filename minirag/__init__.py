"""Is a small model, tuned on a large one's answers over your documents, good enough to replace it?

Each public name is one idea; the module that holds it says more. A module is loaded when the first of its names is
used, so importing this costs nothing, and the command line does not wait for what a command does not need. The SDK,
pypdf, tiktoken and httpx are loaded later still, where they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what editors and type checkers read: the names below, which cannot be seen there
    from minirag.chunker import Chunk as Chunk
    from minirag.chunker import chunk as chunk
    from minirag.curation import write_training_file as write_training_file
    from minirag.documents import Page as Page
    from minirag.documents import load as load
    from minirag.embeddings import EmbeddingModel as EmbeddingModel
    from minirag.errors import MiniragError as MiniragError
    from minirag.finetune import FineTuningJob as FineTuningJob
    from minirag.message_log import Exchange as Exchange
    from minirag.message_log import MessageLog as MessageLog
    from minirag.metrics.answer_relevancy import answer_relevancy as answer_relevancy
    from minirag.metrics.comparison import Comparison as Comparison
    from minirag.metrics.comparison import compare as compare
    from minirag.metrics.context_precision import context_precision as context_precision
    from minirag.metrics.context_recall import context_recall as context_recall
    from minirag.metrics.context_relevancy import context_relevancy as context_relevancy
    from minirag.metrics.evaluation import evaluate as evaluate
    from minirag.metrics.faithfulness import faithfulness as faithfulness
    from minirag.metrics.score import Score as Score
    from minirag.models import ChatModel as ChatModel
    from minirag.pipeline import Run as Run
    from minirag.query import Answer as Answer
    from minirag.query import QueryEngine as QueryEngine
    from minirag.vector_store import VectorStore as VectorStore

VERSION = "0.2.0"

_MODULES = {
    "Answer": "query",
    "ChatModel": "models",
    "Chunk": "chunker",
    "Comparison": "metrics.comparison",
    "EmbeddingModel": "embeddings",
    "Exchange": "message_log",
    "FineTuningJob": "finetune",
    "MessageLog": "message_log",
    "MiniragError": "errors",
    "Page": "documents",
    "QueryEngine": "query",
    "Run": "pipeline",
    "Score": "metrics.score",
    "VectorStore": "vector_store",
    "answer_relevancy": "metrics.answer_relevancy",
    "chunk": "chunker",
    "compare": "metrics.comparison",
    "context_precision": "metrics.context_precision",
    "context_recall": "metrics.context_recall",
    "context_relevancy": "metrics.context_relevancy",
    "evaluate": "metrics.evaluation",
    "faithfulness": "metrics.faithfulness",
    "load": "documents",
    "write_training_file": "curation",
}
"""The public names and their modules, none of which has a public name itself: `minirag.compare` is the function."""
__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    """A public name at its first use (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module 'minirag' has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(f"minirag.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
