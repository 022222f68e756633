"""Chat models: they build requests, hand them to `Service.send`, and read the replies.

Everything above takes a model as an argument, so a script or a test passes another object with the same method
(`Chat` and `Embedder` say which; `minirag.testing` has some).
"""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from minirag.errors import BadReply, redact_json
from minirag.message_log import Exchange, MessageLog
from minirag.prompts import Message, with_shape
from minirag.service import OPENAI_ADDRESS, Dialect, Service
from minirag.tokens import Tokenizer, for_model, is_cut

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from openai import OpenAI

REPLY_TOKENS = 512
FORMATS = ("json_schema", "json_object", "text")
LIMITS = ("max_tokens", "max_completion_tokens")
_UNSUPPORTED = re.compile("(?i)unsupported|not (yet )?support|unknown|unrecogni[sz]ed|unexpected|not permitted|instead")


class Chat(Protocol):
    """The part of a chat model that everything else uses."""

    model: str

    @property
    def tokenizer(self) -> Tokenizer: ...

    def complete(
        self,
        messages: Sequence[Message],
        *,
        stage: str,
        tags: Mapping[str, Any] | None = None,
        max_tokens: int = ...,
        schema: Mapping[str, Any] | None = None,
        repeat: int = 0,
    ) -> Exchange: ...


class Embedder(Protocol):
    """The part of an embedding model that everything else uses."""

    model: str

    def embed(self, texts: Sequence[str], *, tags: Mapping[str, Any] | None = None) -> "NDArray[np.float32]": ...


class ModelDialect:
    """How one model at one service wants its requests: each 400 that names an unsupported parameter changes one thing.

    A parameter is dropped or renamed once and for all, and reply formats fall back from json_schema to json_object to
    plain text. Earlier runs' failures in the log teach the same, so that a resumed run sends what is already paid for.
    """

    def __init__(self, limit_name: str) -> None:
        self.limit_name = limit_name
        self.is_renamed = False
        self.has_temperature = True
        self.has_base64 = True
        self.format = 0
        self._lock = threading.Lock()

    def adapt(self, call: Exchange) -> Exchange:
        """Return the call with its request as the model wants it."""
        request = dict(call.request)
        if "max_tokens" in request and self.limit_name != "max_tokens":
            request[self.limit_name] = request.pop("max_tokens")
        if not self.has_temperature:
            request.pop("temperature", None)
        if not self.has_base64 and "encoding_format" in request:
            request["encoding_format"] = "float"
        if self.format and "response_format" in request:
            schema = request.pop("response_format")["json_schema"]["schema"]
            request["messages"] = with_shape(request["messages"], schema)
            if FORMATS[self.format] == "json_object":
                request["response_format"] = {"type": "json_object"}
        return call if request == call.request else replace(call, request=request, id="")

    def learn(self, failed: Exchange, say: Callable[[str], None] = lambda _: None) -> None:
        """Change the one thing that a 400 does not support, and say so; nothing is ever changed back."""
        error, request = failed.error or {}, failed.request
        words = f"{error.get('param')} {error.get('code')} {error.get('message')}"
        if error.get("status") not in (400, 422):
            return
        with self._lock:
            sentence = self._change(request, words)
        if sentence:
            say(f"{failed.model} does not support {sentence}")

    def _change(self, request: Mapping[str, Any], words: str) -> str:
        if "encoding_format" in words and request.get("encoding_format") == "base64":
            self.has_base64 = False
            return "base64: asked for float instead"
        if not _UNSUPPORTED.search(words):
            return ""
        kind = (request.get("response_format") or {}).get("type")
        if "response_format" in words and kind in FORMATS:
            if FORMATS.index(kind) < self.format:  # another thread has learned it before
                return ""
            self.format = FORMATS.index(kind) + 1
            return f"{kind}: asked for {FORMATS[self.format]} instead"
        if "temperature" in words and "temperature" in request:
            self.has_temperature = False
            return "temperature: left out"
        limit = next((name for name in LIMITS if name in request and name in words), None)
        if limit and not self.is_renamed:
            self.limit_name, self.is_renamed = LIMITS[1 - LIMITS.index(limit)], True
            return f"{limit}: sent as {self.limit_name}"
        return ""


def dialect_of(model: str, service: Service, log: MessageLog | None) -> Dialect:
    """Return the one dialect of a model at a service, with what earlier runs in this log have learned."""
    key = (model, None if log is None else log.path)
    if key not in service.dialects:
        dialect = ModelDialect("max_completion_tokens" if service.address == OPENAI_ADDRESS else "max_tokens")
        for failed in () if log is None else log.failures():
            if (failed.service, failed.model) == (service.name, model):
                dialect.learn(failed)
        service.dialects.setdefault(key, dialect)
    return service.dialects[key]


class ChatModel:
    """A chat model. `complete(messages, stage=…)` returns the `Exchange`, from the log if it is there.

    Where it is: `service`, or `base_url` and `api_key`, or an SDK `client` of your own; by default OpenAI or
    `OPENAI_BASE_URL`. `log=None` keeps nothing. `temperature=None` sends none. `tokenizer` names a vocabulary if
    minirag does not know the model's own. `options` are further fields of each request.
    """

    def __init__(
        self,
        model: str,
        *,
        temperature: float | None = 0.0,
        tokenizer: str | None = None,
        options: Mapping[str, Any] | None = None,
        log: MessageLog | None = None,
        service: Service | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        client: "OpenAI | None" = None,
    ) -> None:
        self.model = model
        self.temperature = temperature
        self.options = options or {}
        self.cut_prompts: set[str] = set()  # ids of the calls of which the server has read only a part
        self.log = log
        self.service = service or Service(base_url, api_key, client=client)
        self._tokenizer = tokenizer

    @property
    def tokenizer(self) -> Tokenizer:
        """Counts this model's tokens; `.exact` tells whether it is the model's own vocabulary."""
        return for_model(self.model, self._tokenizer)

    def complete(
        self,
        messages: Sequence[Message],
        *,
        stage: str,
        tags: Mapping[str, Any] | None = None,
        max_tokens: int = REPLY_TOKENS,
        schema: Mapping[str, Any] | None = None,
        repeat: int = 0,
    ) -> Exchange:
        """Return the model's reply to `messages`: at most `max_tokens` long, following a JSON schema if one is given.

        Another `repeat` is another call even if all else is equal. Raises ServiceError.
        """
        request: dict[str, Any] = {"model": self.model, "messages": list(messages), "max_tokens": max_tokens}
        if self.temperature is not None:
            request["temperature"] = self.temperature
        if schema is not None:
            named = {"name": "reply", "strict": True, "schema": schema}
            request["response_format"] = {"type": "json_schema", "json_schema": named}
        request |= self.options
        call = Exchange(stage, "chat.completions", self.service.name, request, repeat=repeat, tags=tags or {})
        dialect = dialect_of(self.model, self.service, self.log)
        exchange = self.service.send(call, self.log, dialect=dialect, read=read_completion)
        if is_cut(messages, exchange.usage):
            self.cut_prompts.add(exchange.id)
            window = "--context-window" if stage in {"question", "draft", "refine"} else "--judge-window"
            self.service.say_once(
                f"warning: {self.model} is sent longer prompts than its server reads, which cuts them without a word; "
                f"give the server a longer context (Ollama: OLLAMA_CONTEXT_LENGTH or num_ctx) or lower {window}, and "
                "start again in a new folder"
            )
        return exchange


def read_completion(call: Exchange, reply: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a chat reply. Raises BadReply if it has no choice with a message."""
    choices = reply.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, dict) or not isinstance(first.get("message"), dict):
        error = reply.get("error")
        reason = f": {redact_json(error)}"[:200] if error else " with no choices"
        raise BadReply(f"{call.service} answered 200{reason}.", transient=True)
    return reply
