"""An OpenAI-protocol server on loopback: chat, embeddings, files, fine-tuning jobs and batches; an engine answers."""

from minirag.server.api import Api
from minirag.server.engine import ChatRequest, Choice, Completion, Engine, Model, Report, Trained, Training, Vectors
from minirag.server.http import Server
from minirag.server.wire import Refused

__all__ = [
    "Api",
    "ChatRequest",
    "Choice",
    "Completion",
    "Engine",
    "Model",
    "Refused",
    "Report",
    "Server",
    "Trained",
    "Training",
    "Vectors",
]
