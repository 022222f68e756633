"""Models that answer from a function, a script or a table, without a service.

>>> chat = FunctionChat(lambda messages: messages[-1]["content"].upper())
>>> chat.complete([{"role": "user", "content": "hello"}], stage="draft").text
'HELLO'
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minirag.exchange import Exchange
from minirag.prompts import Message
from minirag.tokens import Tokenizer, for_model


def completion(text: str, finish_reason: str = "stop", model: str = "test", **usage: Any) -> dict[str, Any]:
    """Return a chat completion as a service sends it."""
    message = {"role": "assistant", "content": text, "refusal": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": None}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, **usage},
    }


class FunctionChat:
    """A chat model that answers with `reply(messages)`; `asked` keeps every request.

    `usage` has fields of the replies' usage that are not to be as counted.
    """

    def __init__(self, reply: Callable[[Sequence[Message]], str], model: str = "gpt-4o") -> None:
        self.reply = reply
        self.model = model
        self.finish_reason = "stop"
        self.usage: dict[str, Any] = {}
        self.asked: list[dict[str, Any]] = []

    @property
    def tokenizer(self) -> Tokenizer:
        """Counts tokens as the model of this name does."""
        return for_model(self.model)

    def complete(
        self,
        messages: Sequence[Message],
        *,
        stage: str,
        tags: Mapping[str, Any] | None = None,
        max_tokens: int = 512,
        schema: Mapping[str, Any] | None = None,
        repeat: int = 0,
    ) -> Exchange:
        """Return the exchange that a `ChatModel` would return."""
        self.asked.append({"messages": messages, "stage": stage, "tags": tags, "max_tokens": max_tokens})
        request = {"model": self.model, "messages": list(messages), "max_tokens": max_tokens}
        usage = {"prompt_tokens": self.tokenizer.count_messages(messages), **self.usage}
        response = completion(self.reply(messages), self.finish_reason, self.model, **usage)
        return Exchange(stage, "chat.completions", "test", request, response, None, repeat, tags or {})


class ScriptedChat(FunctionChat):
    """A chat model that gives these replies in turn, the last one for ever; anything but a text is sent as JSON.

    >>> ScriptedChat({"statements": []}).complete([], stage="statements").text
    '{"statements": []}'
    """

    def __init__(self, *replies: Any) -> None:
        self.replies = [reply if isinstance(reply, str) else json.dumps(reply) for reply in replies]
        super().__init__(lambda _: self.replies[min(len(self.asked), len(self.replies)) - 1])


class TableEmbedding:
    """An embedding model that looks texts up: `{text: vector}`; KeyError for a text that is not there."""

    model = "table"

    def __init__(self, table: Mapping[str, Sequence[float]]) -> None:
        self.table = table

    def embed(self, texts: Sequence[str], *, tags: Mapping[str, Any] | None = None) -> NDArray[np.float32]:
        """Return the rows of `texts`."""
        return np.array([self.table[text] for text in texts], np.float32)
