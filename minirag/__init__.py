"""Is a small model, tuned on a large one's answers over your documents, good enough to replace it?

Each public name is one idea; the module that holds it says more. A module is loaded when the first of its names is
used, so importing this costs nothing, and the command line does not wait for what a command does not need. The SDK,
pypdf, tiktoken and httpx are loaded later still, where they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what editors and type checkers read: the names below, which cannot be seen there
    from minirag.chunker import Chunk as Chunk, Page as Page, chunk as chunk
    from minirag.curation import write_training_file as write_training_file
    from minirag.documents import load as load
    from minirag.errors import MiniragError as MiniragError
    from minirag.finetune import FineTuningJob as FineTuningJob
    from minirag.message_log import Exchange as Exchange, MessageLog as MessageLog
    from minirag.metrics.answer_relevancy import answer_relevancy as answer_relevancy
    from minirag.metrics.comparison import Comparison as Comparison, compare as compare
    from minirag.metrics.context import (
        context_precision as context_precision,
        context_recall as context_recall,
        context_relevancy as context_relevancy,
    )
    from minirag.metrics.evaluation import evaluate as evaluate
    from minirag.metrics.faithfulness import faithfulness as faithfulness
    from minirag.metrics.score import Score as Score
    from minirag.models import ChatModel as ChatModel
    from minirag.pipeline import Run as Run
    from minirag.query import Answer as Answer, QueryEngine as QueryEngine
    from minirag.vector_store import EmbeddingModel as EmbeddingModel, VectorStore as VectorStore

VERSION = "0.6.0"

_NAMES = {
    "chunker": "Chunk Page chunk",
    "curation": "write_training_file",
    "documents": "load",
    "errors": "MiniragError",
    "finetune": "FineTuningJob",
    "message_log": "Exchange MessageLog",
    "metrics.answer_relevancy": "answer_relevancy",
    "metrics.comparison": "Comparison compare",
    "metrics.context": "context_precision context_recall context_relevancy",
    "metrics.evaluation": "evaluate",
    "metrics.faithfulness": "faithfulness",
    "metrics.score": "Score",
    "models": "ChatModel",
    "pipeline": "Run",
    "query": "Answer QueryEngine",
    "vector_store": "EmbeddingModel VectorStore",
}
"""The modules and their public names, none of which a module has itself: `minirag.compare` is the function."""
_MODULES = dict(sorted((name, module) for module, names in _NAMES.items() for name in names.split()))
__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    """A public name at its first use (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module 'minirag' has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(f"minirag.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
