"""Chat models, and the replies of all endpoints; `Service.send` stands between requests and replies.

Everything above takes a model as an argument, so a script or a test passes another object with the same method
(`Chat` and `Embedder` say which; `minirag.testing` has some).
"""

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from minirag.chunker import Chunk
from minirag.dialect import MOST_THINKING
from minirag.errors import EMPTY, FILTERED, REFUSED, THINKING, TOOLS, BadReply, ServiceError, redact, words_of
from minirag.message_log import Exchange, MessageLog
from minirag.prompts import Message
from minirag.service import Service
from minirag.text import Tokenizer, for_model, is_cut

if TYPE_CHECKING:
    from openai import OpenAI

REPLY_TOKENS = 512


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
    """The part of an embedding model that everything else uses: one row of float32 per text, in order."""

    model: str

    def embed(self, texts: Sequence[str], *, tags: Mapping[str, Any] | None = None) -> NDArray[np.float32]: ...


class Hit(NamedTuple):
    """A retrieved chunk and its cosine with the question, in [-1, 1]."""

    chunk: Chunk
    score: float


class Store(Protocol):
    """What retrieval needs of an index; `where` restricts the search to the chunks for which it is true."""

    def __len__(self) -> int: ...

    def search(
        self, vectors: NDArray[np.float32], k: int, where: Callable[[Chunk], bool] | None = None
    ) -> list[list[Hit]]: ...


class ChatModel:
    """A chat model. `complete(messages, stage=…)` returns the `Exchange`, from the log if it is there.

    Where it is: `service`, or `base_url` and `api_key`, or an SDK `client` of your own; by default OpenAI or
    `OPENAI_BASE_URL`. `log=None` keeps nothing. `temperature=None` sends none. `tokenizer` names a vocabulary if
    minirag does not know the model's own. `options` are further fields of each request. A model that thinks gets up to
    `thinking_tokens` a reply for that.
    """

    def __init__(
        self,
        model: str,
        *,
        temperature: float | None = 0.0,
        tokenizer: str | None = None,
        options: Mapping[str, Any] | None = None,
        thinking_tokens: int = MOST_THINKING,
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
        self.dialect = self.service.dialect(model, log, thinking_tokens)
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

        Tokens for thinking come on top. Another `repeat` is another call even if all else is equal. Raises
        ServiceError, and BadReply for a refusal or a reply without text.
        """
        request: dict[str, Any] = {"model": self.model, "messages": list(messages), "max_tokens": max_tokens}
        if self.temperature is not None:
            request["temperature"] = self.temperature
        if schema is not None:
            named = {"name": "reply", "strict": True, "schema": schema}
            request["response_format"] = {"type": "json_schema", "json_schema": named}
        request |= self.options
        call = Exchange(stage, "chat.completions", self.service.name, request, repeat=repeat, tags=tags or {})
        exchange = self.service.send(call, self.log, dialect=self.dialect, read=read_completion)
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
    """Return a chat reply. Raises BadReply, with a code that names the outcome, if it has no complete visible text.

    A reply that its limit cut off is complete enough, unless thinking took what was meant for the text.
    """
    choices = reply.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    error = (choice.get("error") if isinstance(choice, dict) else None) or reply.get("error")
    if error or not isinstance(message, dict):
        reason = f": {redact(words_of(error))[:200]}" if error else " with no choices"
        raise BadReply(f"{call.service} answered 200{reason}.", transient=True)
    exchange = replace(call, response=reply)
    text, finish = exchange.text.strip(), exchange.finish_reason
    if finish == "error":
        raise BadReply(f"{call.model} broke off with an error.", transient=True)
    if message.get("refusal"):
        raise BadReply(f"{call.model} refused: {redact(words_of(message['refusal']))[:200]}", code=REFUSED)
    if finish == "content_filter":
        raise BadReply(f"The content filter of {call.service} held a reply of {call.model} back.", code=FILTERED)
    details, request = exchange.usage.get("completion_tokens_details"), call.request
    thinking = details.get("reasoning_tokens") or 0 if isinstance(details, Mapping) else 0
    shown = (exchange.usage.get("completion_tokens") or 0) - thinking
    limit = request.get("max_tokens", request.get("max_completion_tokens", 0)) - call.tags.get("thinking", 0)
    if finish == "length" and (not text or (thinking and shown < limit)):
        remedy = "allow more with --thinking-tokens"
        raise BadReply(f"{call.model} was cut off while it was thinking; {remedy}.", code=THINKING)
    if not text and (message.get("tool_calls") or message.get("function_call")):
        raise BadReply(f"{call.model} called a tool where text was asked for.", code=TOOLS)
    if not text:
        raise BadReply(f"{call.model} gave an empty reply.", code=EMPTY)
    return reply


def read_embeddings(call: Exchange, reply: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an embeddings reply with each vector in base64, as the log keeps it. Raises BadReply."""
    vectors_of(reply, len(call.request["input"]))
    return {**reply, "data": [{**item, "embedding": _base64(item["embedding"])} for item in reply["data"]]}


def vectors_of(response: Mapping[str, Any], count: int) -> NDArray[np.float32]:
    """Return the rows of an embeddings reply in the order of its inputs: float32, shape (count, dimensions).

    Raises BadReply for a reply that is incomplete, uneven, or holds anything but finite numbers.

    >>> vectors_of({"data": [{"index": 1, "embedding": [0, 1]}, {"index": 0, "embedding": [1, 0]}]}, 2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    try:
        items = sorted(response["data"], key=lambda item: int(item.get("index") or 0))
        places = [int(item.get("index") or 0) for item in items]  # some services leave the index out, or 0
        if len(items) != count or (any(places) and places != list(range(count))):
            raise BadReply(f"The service returned {len(items)} vectors for {count} texts.", transient=True)
        rows = [np.frombuffer(base64.b64decode(_base64(item["embedding"]), validate=True), "<f4") for item in items]
        matrix = np.stack(rows).astype(np.float32)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise BadReply("The service returned embeddings that cannot be read.", transient=True) from None
    if matrix.shape[1] == 0 or not np.isfinite(matrix).all():
        raise BadReply("The service returned embeddings that are not finite numbers.", transient=True)
    return matrix


def _base64(embedding: str | Sequence[float]) -> str:
    if isinstance(embedding, str):
        return embedding
    return base64.b64encode(np.asarray(embedding, "<f4").tobytes()).decode()


# -- files, jobs and batches: calls that are no model's ---------------------------------------------------------------


def read_object(call: Exchange, reply: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a reply of the files, jobs or batches endpoints. Raises BadReply if it is none."""
    is_list = call.endpoint.endswith((".list", ".list_events"))
    if ("data" if is_list else "id") not in reply:
        raise BadReply(f"{call.service} answered with something that is neither a file nor a job nor a batch.")
    return reply


def send(
    service: Service,
    log: MessageLog | None,
    stage: str,
    endpoint: str,
    request: Mapping[str, Any],
    *,
    tags: Mapping[str, Any] | None = None,
    repeat: int = 0,
) -> Mapping[str, Any]:
    """Return the reply of one call, sent each time. What creates a job or a batch is sent once."""
    call = Exchange(stage, endpoint, service.name, request, repeat=repeat, tags=tags or {})
    exchange = service.send(call, log, read=read_object, retries=stage == "poll", reuse=False)
    return exchange.response or {}


def listed(
    service: Service,
    log: MessageLog | None,
    endpoint: str,
    request: Mapping[str, Any] | None = None,
    *,
    is_optional: bool = False,
) -> Iterator[Mapping[str, Any]]:
    """Yield the items of a list, newest first; nothing if there is no such list, or an `is_optional` one is refused."""
    request = {**(request or {}), "limit": 100}
    while True:
        try:
            page = send(service, log, "poll", endpoint, request)
        except ServiceError as error:
            is_refused = is_optional and not error.transient
            if is_refused or isinstance(error, BadReply) or error.status in {404, 405, 501}:
                return
            raise
        data = page.get("data")
        items = [item for item in data if isinstance(item, Mapping)] if isinstance(data, list) else []
        yield from items
        if not items or not page.get("has_more") or items[-1].get("id") in (None, request.get("after")):
            return
        request = {**request, "after": items[-1]["id"]}


def upload(service: Service, log: MessageLog | None, name: str, data: bytes, purpose: str) -> str:
    """Return the id of a file of this name and content at the service: the one in the log, or a new one."""
    request = {"file": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "purpose": purpose}
    call = Exchange("upload", "files", service.name, request)
    exchange = service.send(call, log, read=read_object, arguments={"file": (name, data), "purpose": purpose})
    return str((exchange.response or {})["id"])
