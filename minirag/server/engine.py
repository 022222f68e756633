"""The protocol between this server, which knows no model, and the models behind it.

The server does all that is HTTP, JSON, files, jobs and batches; an engine has the models, in memory or on disk.
`minirag.offline.engine` is an example; README.md says how to write another.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from minirag.server.wire import Json, Refused


class Model(NamedTuple):
    """A model on offer. `created` is a Unix time in seconds."""

    name: str
    created: int
    kind: Literal["chat", "embedding"] = "chat"
    is_trainable: bool = False


class ChatRequest(NamedTuple):
    """A request for chat completions, within the ranges of OpenAI's API; None is "not given"."""

    messages: list[dict[str, str]]  # each with role and content; content in parts is joined
    response_format: Mapping[str, Any]  # as sent: {} or {"type": "text" | "json_object" | "json_schema", …}
    n: int = 1
    max_tokens: int | None = None
    stop: Sequence[str] = ()
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None


class Choice(NamedTuple):
    """One reply; "length" says that it was cut off at the token limit."""

    text: str
    finish_reason: Literal["stop", "length"] = "stop"


class Completion(NamedTuple):
    """The `n` replies to a request, and the tokens read and written, all replies together."""

    choices: Sequence[Choice]
    prompt_tokens: int
    completion_tokens: int


class Vectors(NamedTuple):
    """One row per text, shape (texts, dimensions), and the tokens read."""

    rows: NDArray[np.float32]
    tokens: int


class Training(NamedTuple):
    """What to train. `suffix` is the client's part of the new model's name, in [a-z0-9-], or empty."""

    job_id: str
    model: str
    suffix: str
    examples: list[list[Json]]  # the messages of each, the last one being the assistant's
    validation: list[list[Json]]
    hyperparameters: dict[str, Any]  # n_epochs, batch_size, learning_rate_multiplier: all numbers
    seed: int


class Trained(NamedTuple):
    """The name of the tuned model, and the tokens that were trained on, all epochs together."""

    model: str
    tokens: int


class TrainingStopped(Exception):
    """The job was cancelled. Raised by `report` in the middle of `Engine.train`, which lets it pass."""


Report = Callable[..., None]
"""What `Engine.train` calls after each step: `report(step, total, loss, details)`; raises TrainingStopped.

The loss is None for a remark that belongs to no step. `details`, a dict or left out, go into the event: `valid_loss`,
`tokens`, `seconds_left`, a `message` in place of the usual one; `checkpoint` names a model that this step has left.
"""


class Engine(Protocol):
    """Models that answer; methods are called from several threads at once.

    A method raises `Refused` for a request that it cannot serve: a prompt that is too long, a response format that it
    does not support. The server has checked that the model is one of `models` and of the right kind.
    """

    def models(self) -> Sequence[Model]:
        """Return all models in a fixed order, tuned ones included."""

    def complete(self, model: str, request: ChatRequest) -> Completion:
        """Answer a chat."""

    def embed(self, model: str, texts: Sequence[str], dimensions: int | None) -> Vectors:
        """Embed texts; `dimensions` None is the model's own size."""

    def defaults(self, examples: int) -> dict[str, Any]:
        """Return the hyperparameters for a job on so many examples that leaves them to the service ("auto")."""

    def train(self, training: Training, report: Report) -> Trained:
        """Train a model and keep it. One job at a time; may take hours, then in the background.

        A job that a restart of the server interrupted is trained again, or resumed. `Refused` or any other exception
        ends the job as failed, with its message.
        """

    def delete(self, model: str) -> bool:
        """Delete a tuned model; return False if the model is none."""


def too_long(window: int, prompt: int, reply: int | None) -> Refused:
    """Return the refusal of a prompt of so many tokens, with the limit of its reply where it has one."""
    tokens = f"{prompt + (reply or 0)} tokens ({prompt} in the messages, {reply or 0} in the completion)"
    message = f"This model's maximum context length is {window} tokens. However, you requested {tokens}."
    return Refused(400, message, param="messages", code="context_length_exceeded")
