"""For tests of your own scripts: models without a service, a recorded log as a service, settings for cassettes.

Nothing is patched: the models have the methods of `ChatModel` and `EmbeddingModel` and are passed in their place.
"""

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minirag.dialect import ModelDialect
from minirag.errors import NotRecorded, ServiceError, redact
from minirag.message_log import Exchange, MessageLog, canonical
from minirag.prompts import Message
from minirag.service import OPENAI_ADDRESS, Service
from minirag.text import Tokenizer, for_model

__all__ = ["FunctionChat", "Replay", "ScriptedChat", "TableEmbedding", "completion", "vcr_config"]

SHOWN = 500
"""Characters of a request that the error for a missing recording shows."""
_LOOPBACK = r"https?://(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?/v1"
_BOUNDARY = re.compile(r'boundary="?([^";]+)"?')
_ORGANISATION = re.compile(r'("organization_id":\s*")[^"]*')


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

    `usage` overrides fields of the replies' usage.

    >>> chat = FunctionChat(lambda messages: messages[-1]["content"].upper())
    >>> chat.complete([{"role": "user", "content": "hello"}], stage="draft").text
    'HELLO'
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
    """A chat model that gives these replies in turn, then repeats the last; anything but a text is sent as JSON.

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


class Replay(Service):
    """A service that answers from `log` (a MessageLog or its path) what was recorded of the service called `name`.

    A request that the log does not hold is an error and is never sent. What was only ever refused is refused again, in
    the recorded words. A job is in the last state that the log holds. Without `name` it stands for the first service
    that the log names.

    >>> chat = ChatModel("gpt-4o", service=Replay("messages.jsonl"))  # doctest: +SKIP
    """

    def __init__(self, log: MessageLog | str | os.PathLike[str], name: str | None = None) -> None:
        self.log = log if isinstance(log, MessageLog) else MessageLog(log)
        name = name or next((e.service for e in self.log), "a service that the log does not hold")
        address = name if name.startswith("http") else "http://127.0.0.1/v1"  # nothing is sent to it
        super().__init__(address, "none", name=name, insecure_http=True)
        self._failed = {exchange.id: exchange for exchange in self.log.failures}
        self._jobs: dict[str, Exchange] = {}
        for exchange in self.log:
            if exchange.endpoint == "fine_tuning.jobs.retrieve" and exchange.error is None:
                self._jobs[exchange.request["fine_tuning_job_id"]] = exchange

    def send(
        self, call: Exchange, log: MessageLog | None = None, *, dialect: ModelDialect | None = None, **_: Any
    ) -> Exchange:
        """Return the recorded exchange of a call. Raises NotRecorded, or the recorded failure."""
        sent, ids = call, [call.id]
        if dialect is not None:
            if not dialect.stages:  # the caller has another log, or none
                dialect.recall(self.log, self.name)
            sent, ids = dialect.form.adapt(call), dialect.variants(call)
        recorded = self.log.find(*ids) or self._failed.get(sent.id)
        if sent.endpoint == "fine_tuning.jobs.retrieve":
            recorded = self._jobs.get(sent.request["fine_tuning_job_id"], recorded)
        if recorded is None:
            asked = f"to this {call.stage} request, and nothing is sent: {canonical(sent.request)[:SHOWN]}"
            raise NotRecorded(f"{self.log.path} holds no reply of {self.name} {asked}")
        if recorded.error is not None:
            raise ServiceError.from_json(recorded.error)
        return recorded


def vcr_config(service: str | None = None) -> dict[str, Any]:
    """Return the settings of a cassette, for `vcr.VCR(**vcr_config())` or pytest-recording's fixture of this name.

    Requests are matched by method, address and body (JSON in any order of keys). A cassette holds no header but
    content types, no key and no organisation id; a requested wait becomes a millisecond. Loopback addresses and that of
    `service` are recorded as `OPENAI_ADDRESS`, so a test passes wherever its cassette was recorded. Needs vcrpy 8.2.1
    or newer, which has no lock: send one request at a time.

    >>> vcr_config()["match_on"]
    ['method', 'uri', 'body']
    """
    recorded_as_openai = re.compile(_LOOPBACK if service is None else f"{_LOOPBACK}|{re.escape(service.rstrip('/'))}")

    def scrub_request(request: Any) -> Any:
        kind, body = _text(request.headers.get("content-type", "")), _text(request.body or "")
        if boundary := _BOUNDARY.search(kind):
            kind, body = (text.replace(boundary[1], "BOUNDARY") for text in (kind, body))
        request.uri = recorded_as_openai.sub(OPENAI_ADDRESS, request.uri, count=1)
        request.headers = {"content-type": kind} if body else {}
        request.body = redact(body).encode("utf-8", "surrogateescape") or None
        return request

    def scrub_reply(reply: dict[str, Any]) -> dict[str, Any]:
        headers = {name.lower(): values for name, values in reply["headers"].items()}
        recorded = {"content-type": headers["content-type"]} if "content-type" in headers else {}
        if headers.keys() & {"retry-after", "retry-after-ms"}:
            recorded["retry-after-ms"] = ["1"]  # a replay would really sleep
        body = _ORGANISATION.sub(r"\1redacted", redact(_text(reply["body"]["string"])))
        return {**reply, "headers": recorded, "body": {"string": body.encode("utf-8", "surrogateescape")}}

    return {
        "match_on": ["method", "uri", "body"],
        "decode_compressed_response": True,
        "before_record_request": scrub_request,
        "before_record_response": scrub_reply,
    }


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else bytes(value).decode("utf-8", "surrogateescape")
