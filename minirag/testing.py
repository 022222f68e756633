"""Row 4. For tests of your own scripts: models that answer from a function, a script or a table, with no service.

They have the methods of `ChatModel` and `EmbeddingModel` and are passed in their place; nothing is patched.
`vcr_config` is for tests that keep the models and record what goes over the network instead.

>>> chat = FunctionChat(lambda messages: messages[-1]["content"].upper())
>>> chat.complete([{"role": "user", "content": "hello"}], stage="draft").text
'HELLO'
"""

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minirag.message_log import Exchange, canonical
from minirag.prompts import Message
from minirag.redact import redact
from minirag.service import OPENAI_ADDRESS
from minirag.text import Tokenizer, for_model

_LOOPBACK = r"https?://(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?/v1"
_BOUNDARY = re.compile(r'boundary="?([^";]+)"?')
_ORGANISATION = re.compile(r'("organization_id":\s*")[^"]*')
_DIGEST = "x-body-sha256"


def completion(text: str, finish_reason: str = "stop", model: str = "test", **usage: Any) -> dict[str, Any]:
    """A chat completion as a service sends it."""
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
    """A chat model that answers with what `reply` makes of the messages; `asked` keeps every request."""

    def __init__(self, reply: Callable[[Sequence[Message]], str], model: str = "gpt-4o") -> None:
        self.reply = reply
        self.model = model
        self.finish_reason = "stop"
        self.asked: list[dict[str, Any]] = []

    @property
    def tokenizer(self) -> Tokenizer:
        """Counts as the model whose name this one bears."""
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
        """The exchange that a `ChatModel` would return."""
        self.asked.append({"messages": messages, "stage": stage, "tags": tags, "max_tokens": max_tokens})
        request = {"model": self.model, "messages": list(messages), "max_tokens": max_tokens}
        response = completion(self.reply(messages), self.finish_reason, self.model)
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

    def embed(
        self,
        texts: Sequence[str],
        *,
        tags: Mapping[str, Any] | None = None,
        keep: bool = True,
        exchanges: list[str] | None = None,
    ) -> NDArray[np.float32]:
        """The rows of `texts`."""
        return np.array([self.table[text] for text in texts], np.float32)


def vcr_config(service: str | None = None) -> dict[str, Any]:
    """The settings of a cassette, for `vcr.VCR(**vcr_config())` and for pytest-recording's fixture of this name.

    A request is known again by its method, its address and the sha256 of its body, JSON in any order of keys. A
    cassette holds no header but content types, no key and no organisation id; where a service asks to wait it
    says a millisecond. Loopback addresses and that of `service` are recorded as `OPENAI_ADDRESS`, so that a test
    passes wherever its cassette was recorded. Needs vcrpy 8.2.1 or newer, which has no lock: send one request at a
    time.

    >>> vcr_config()["match_on"]
    ['method', 'uri', 'headers']
    """
    recorded_as_openai = re.compile(_LOOPBACK if service is None else f"{_LOOPBACK}|{re.escape(service.rstrip('/'))}")

    def scrub_request(request: Any) -> Any:
        if _DIGEST not in request.headers:  # else it comes from a cassette
            kind = _text(request.headers.get("content-type", b""))
            body = _text(request.body or b"")
            if boundary := _BOUNDARY.search(kind):
                kind, body = (text.replace(boundary[1], "BOUNDARY") for text in (kind, body))
            body = redact(body)
            request.uri = recorded_as_openai.sub(OPENAI_ADDRESS, request.uri, count=1)
            request.headers = {"content-type": kind, _DIGEST: _digest(body)} if body else {_DIGEST: _digest("")}
            request.body = body.encode("utf-8", "surrogateescape") or None
        return request

    return {
        "match_on": ["method", "uri", "headers"],  # the digest is a header by then
        "decode_compressed_response": True,
        "before_record_request": scrub_request,
        "before_record_response": _scrubbed_reply,
    }


def _scrubbed_reply(reply: dict[str, Any]) -> dict[str, Any]:
    headers = {name.lower(): values for name, values in reply["headers"].items()}
    kept = {"content-type": headers["content-type"]} if "content-type" in headers else {}
    if headers.keys() & {"retry-after", "retry-after-ms"}:
        kept["retry-after-ms"] = ["1"]  # a replay would really sleep
    body = _ORGANISATION.sub(r"\1redacted", redact(_text(reply["body"]["string"])))
    return {**reply, "headers": kept, "body": {"string": body.encode("utf-8", "surrogateescape")}}


def _digest(body: str) -> str:
    """The sha256 of a body; of JSON, of its canonical form."""
    with contextlib.suppress(ValueError):
        body = canonical(json.loads(body))
    return hashlib.sha256(body.encode("utf-8", "surrogateescape")).hexdigest()


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else bytes(value).decode("utf-8", "surrogateescape")
