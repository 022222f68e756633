"""Row 3. The one door to the model services: call, log, return; or return what the log already holds.

`ChatModel` and `EmbeddingModel` are models of a `Service`. Everything above takes these as arguments, so a script or
a test passes another object with the same method.
"""

import base64
import binascii
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from minirag.errors import BadReply, ServiceError
from minirag.message_log import Exchange, MessageLog
from minirag.pool import check_interrupted, in_order
from minirag.prompts import Message, with_shape
from minirag.redact import redact, redact_json
from minirag.replay import Replay
from minirag.service import OPENAI_ADDRESS, Service, described, utc_now
from minirag.text import Tokenizer, for_model

if TYPE_CHECKING:
    from openai import OpenAI

Replayed = MessageLog | str | os.PathLike[str]
"""A log to replay, or its path."""
REPLY_TOKENS = 512
FIRST_LOOK, LAST_LOOK = 1.0, 30.0
"""Seconds between two looks for a model that is not served yet: half of the time waited, within these."""
INPUTS_PER_CALL = 256
CHARACTERS_PER_CALL = 200_000
"""Stays below the tokens that a service takes at once, in any script."""
_FORMATS = ("json_schema", "json_object", "text")
_LIMITS = ("max_tokens", "max_completion_tokens")
_UNSUPPORTED = re.compile(
    r"(?i)unsupported|not (?:yet )?support|unknown|unrecogni[sz]ed|unexpected|not permitted|instead"
)


class Chat(Protocol):
    """What everything above needs of a chat model; `ChatModel` is one, and so may be an object of your own."""

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
    """What everything above needs of an embedding model; `EmbeddingModel` is one."""

    model: str

    def embed(
        self,
        texts: Sequence[str],
        *,
        tags: Mapping[str, Any] | None = None,
        keep: bool = True,
        exchanges: list[str] | None = None,
    ) -> NDArray[np.float32]: ...


class _Model:
    """What both kinds of model share: where they are, the log, and sending a request until it is answered."""

    endpoint: str

    def __init__(
        self,
        model: str,
        *,
        log: MessageLog | None = None,
        replay: Replayed | None = None,
        client: "OpenAI | None" = None,
        base_url: str | None = None,
        api_key: str | None = None,
        service: Service | None = None,
    ) -> None:
        if replay is not None:
            service = Service(replay=Replay(replay, base_url, model))
        self.model = model
        self.log = log
        self.service = service or Service(base_url, api_key, client=client)
        self._learned: int | None = None
        self._adapting = threading.Lock()
        self._learning = threading.Lock()

    def _until_supported(
        self, build: Callable[[], dict[str, Any]], call: Callable[[dict[str, Any]], Exchange]
    ) -> Exchange:
        """`call` the request that `build` makes; where a part of it is not supported, adapt and make it anew."""
        self._learn_from_log()
        while True:
            request = build()
            try:
                return call(request)
            except ServiceError as error:
                self._adapt(request, described(error), say=self.service.tell)
                if build() == request:
                    raise

    def _learn_from_log(self) -> None:
        """Repeat the adaptations of earlier runs, so that a resumed run asks for what it has already paid for.

        Later it learns from what the log has gained since, by batches and other threads.
        """
        with self._learning:
            log = self.service.replay.log if self.service.replay is not None else self.log
            say = (lambda _: None) if self._learned is None else self.service.tell
            self._learned = self._learned or 0
            for failed in () if log is None else log.failures(self._learned):
                self._learned += 1
                if (failed.service, failed.model) == (self.service.name, self.model):
                    self._adapt(failed.request, failed.error or {}, say=say)

    def _send(self, call: Exchange, keep: bool = True) -> Exchange:
        """Try until there is a usable reply; log every reply and every failure. Raises ServiceError."""
        if self.service.queue is not None:
            self.service.queue.wait_for(call, keep)
        retry, failures = self.service.retry, 0
        while True:
            retry.wait_turn()
            check_interrupted()
            exchange, failure = self._attempt(call, keep)
            if failure is None:
                retry.succeeded()
                return exchange
            if self._is_awaited(failure):
                continue
            failures += 1
            if not retry.again(failures, failure):
                raise failure

    def _attempt(self, call: Exchange, keep: bool) -> tuple[Exchange, ServiceError | None]:
        """Send a request once and log what came of it."""

        def attempt() -> tuple[Exchange, ServiceError | None]:
            return self.service.attempt(
                call,
                lambda client: self._post(client, call.request),
                lambda response: self._check(response, call.request),
            )

        if self.log is None or self.service.replay is not None:
            return attempt()
        with self.log.sending(replace(call, started=utc_now())):
            exchange, failure = attempt()
            self._record(self.log, exchange, keep or failure is not None)
        return exchange, failure

    def _call(self, request: Mapping[str, Any], stage: str, tags: Mapping[str, Any], repeat: int = 0) -> Exchange:
        """A call as far as it is known before its reply."""
        return Exchange(stage, self.endpoint, self.service.name, request, None, None, repeat, tags, utc_now())

    def take(self, exchange: Exchange, keep: bool = True) -> BadReply | None:
        """Log what came of a request by another road than a call; why its reply cannot be used, if it cannot.

        With `keep=False` the log does not keep its vectors, as in `embed`.
        """
        failure = None
        if exchange.error is not None:
            self._adapt(exchange.request, exchange.error, say=self.service.tell)
        else:
            try:
                self._check(exchange.response or {}, exchange.request)
            except BadReply as bad:
                failure = bad
                exchange = replace(exchange, response=redact_json(exchange.response), error=described(bad))
        if self.log is not None:
            self._record(self.log, exchange, keep or exchange.error is not None)
        return failure

    def _is_awaited(self, failure: ServiceError) -> bool:
        """Whether a failure is one that only time mends, and that is no failed attempt; the wait is arranged."""
        return False

    def _adapt(
        self, request: Mapping[str, Any], error: Mapping[str, Any], say: Callable[[str], None] = lambda _: None
    ) -> None:
        """Change the one thing in `request` that a 400 does not support, and say so; nothing is ever changed back."""
        raise NotImplementedError

    def _post(self, client: Any, request: Mapping[str, Any]) -> Any:
        """Send a request through the SDK; its raw response."""
        raise NotImplementedError

    def _check(self, response: Mapping[str, Any], request: Mapping[str, Any]) -> None:
        """Raise BadReply unless the response is one that can be used."""
        raise NotImplementedError

    def _record(self, log: MessageLog, exchange: Exchange, keep: bool) -> None:
        """Log an exchange; with `keep=False` without what the caller keeps itself."""
        log.append(exchange)


class ChatModel(_Model):
    """A chat model. `complete(messages, stage=…)` returns the `Exchange`, from the log where it has it.

    `temperature=None` sends none; `tokenizer` names a vocabulary where minirag does not know the model's own.
    A parameter that the service refuses is dropped or renamed once and for all, and reply formats fall back
    from json_schema to json_object to plain text. A model that was just tuned may be unknown to its service for
    minutes: it is waited for up to `served_within` seconds from the first time that this is said.

    `replay`, a log or its path, answers from that log only, without a key; NotRecorded shows what it was not asked.
    `base_url` then names the recorded service, where the log holds several.
    """

    endpoint = "chat.completions"

    def __init__(
        self,
        model: str,
        *,
        temperature: float | None = 0.0,
        tokenizer: str | None = None,
        served_within: float = 0.0,
        log: MessageLog | None = None,
        replay: Replayed | None = None,
        client: "OpenAI | None" = None,
        base_url: str | None = None,
        api_key: str | None = None,
        service: Service | None = None,
    ) -> None:
        super().__init__(
            model, log=log, replay=replay, client=client, base_url=base_url, api_key=api_key, service=service
        )
        self.temperature = temperature
        self.served_within = served_within
        self._tokenizer_choice = tokenizer
        self._unserved_since: float | None = None
        self._limit_name = "max_completion_tokens" if self.service.address == OPENAI_ADDRESS else "max_tokens"
        self._format = 0
        self._renamed = False

    @property
    def tokenizer(self) -> Tokenizer:
        """Counts this model's tokens; `.exact` tells whether it is the model's own vocabulary."""
        return for_model(self.model, self._tokenizer_choice)

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
        """The model's reply to `messages`, at most `max_tokens` long, following `schema` where one is given.

        Another `repeat` is another call even where all else is equal. Raises ServiceError.
        """
        return self._until_supported(
            lambda: self._request(messages, max_tokens, schema),
            lambda request: self._once(request, stage, tags or {}, repeat),
        )

    def _is_awaited(self, failure: ServiceError) -> bool:
        """Whether the model may only be too new; asked for again after 1 s at first, and every 30 s at last."""
        if failure.status != 404 or not self.served_within or self.service.replay is not None:
            return False
        now = self.service.retry.clock()
        with self._adapting:
            since = self._unserved_since = now if self._unserved_since is None else self._unserved_since
        rest = since + self.served_within - now
        if rest <= 0:
            return False
        self.service.tell(f"{self.model} is not served yet; waiting for it up to {self.served_within:g} s")
        self.service.retry.pause(min(rest, max(FIRST_LOOK, (now - since) / 2), LAST_LOOK))
        return True

    def _once(self, request: dict[str, Any], stage: str, tags: Mapping[str, Any], repeat: int) -> Exchange:
        call = self._call(request, stage, tags, repeat)
        return self._send(call) if self.log is None else self.log.once(call.id, lambda: self._send(call))

    def _request(
        self, messages: Sequence[Message], max_tokens: int, schema: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        if schema is not None and self._format > 0:
            messages = with_shape(messages, schema)
        request: dict[str, Any] = {"model": self.model, "messages": list(messages), self._limit_name: max_tokens}
        if self.temperature is not None:
            request["temperature"] = self.temperature
        if schema is not None and _FORMATS[self._format] == "json_schema":
            named = {"name": "reply", "strict": True, "schema": schema}
            request["response_format"] = {"type": "json_schema", "json_schema": named}
        elif schema is not None and _FORMATS[self._format] == "json_object":
            request["response_format"] = {"type": "json_object"}
        return request

    def _adapt(
        self, request: Mapping[str, Any], error: Mapping[str, Any], say: Callable[[str], None] = lambda _: None
    ) -> None:
        said = f"{error.get('param')} {error.get('code')} {error.get('message')}"
        if error.get("status") not in (400, 422) or not _UNSUPPORTED.search(said):
            return
        with self._adapting:
            shape = request.get("response_format")
            kind = shape.get("type") if isinstance(shape, Mapping) else None
            if "response_format" in said and kind in _FORMATS:
                if (lower := _FORMATS.index(kind) + 1) > self._format:  # else another thread was told before
                    self._format = lower
                    say(f"{self.model} does not support {kind}: asked for {_FORMATS[lower]} instead")
            elif "temperature" in said and "temperature" in request:
                self.temperature = None
                say(f"{self.model} does not support temperature: left out")
            elif not self._renamed and (used := next((n for n in _LIMITS if n in request and n in said), None)):
                self._limit_name = _LIMITS[1 - _LIMITS.index(used)]
                self._renamed = True
                say(f"{self.model} does not support {used}: sent as {self._limit_name}")

    def _post(self, client: Any, request: Mapping[str, Any]) -> Any:
        return client.chat.completions.with_raw_response.create(**request)

    def _check(self, response: Mapping[str, Any], request: Mapping[str, Any]) -> None:
        choices = response.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        if not isinstance(first, dict) or not isinstance(first.get("message"), dict):
            said = response.get("error")
            reason = redact(f": {said}")[:200] if said else " with no choices"
            raise BadReply(f"{self.service.address} answered 200{reason}.", transient=True)


class EmbeddingModel(_Model):
    """An embedding model. `embed(texts)` returns float32 rows of shape (len(texts), dimensions), in order.

    `dimensions=None` takes the model's own number; `workers` calls of one `embed` are in flight at most; `replay` is
    that of `ChatModel`. Vectors are asked for in base64, and as numbers where a service refuses that.
    """

    endpoint = "embeddings"

    def __init__(
        self,
        model: str,
        *,
        dimensions: int | None = None,
        workers: int = 8,
        log: MessageLog | None = None,
        replay: Replayed | None = None,
        client: "OpenAI | None" = None,
        base_url: str | None = None,
        api_key: str | None = None,
        service: Service | None = None,
    ) -> None:
        super().__init__(
            model, log=log, replay=replay, client=client, base_url=base_url, api_key=api_key, service=service
        )
        self.dimensions = dimensions
        self.workers = workers
        self._encoding = "base64"

    def embed(
        self,
        texts: Sequence[str],
        *,
        tags: Mapping[str, Any] | None = None,
        keep: bool = True,
        exchanges: list[str] | None = None,
    ) -> NDArray[np.float32]:
        """The vectors of `texts`, at most 256 a call, from the log where it has them.

        `keep=False` leaves the vectors out of the log (the store keeps its own); the ids of the calls' exchanges are
        appended to `exchanges`. Raises ServiceError, and BadReply for vectors that are missing, uneven, or no numbers.
        """
        # in threads of a pool, however few they are, so that Ctrl-C lets the calls in flight come to their end
        made = list(in_order(lambda batch: self._batch(batch, tags or {}, keep), _batches(texts), self.workers))
        if exchanges is not None:
            exchanges += [exchange.id for exchange, _ in made]
        rows = [part for _, part in made]
        if len({part.shape[1] for part in rows}) > 1:
            raise BadReply(f"{self.service.address} returned vectors of different lengths for one model.")
        return np.concatenate(rows) if rows else np.empty((0, self.dimensions or 0), np.float32)

    def _batch(self, texts: Sequence[str], tags: Mapping[str, Any], keep: bool) -> tuple[Exchange, NDArray[np.float32]]:
        exchange = self._until_supported(lambda: self._request(texts), lambda request: self._once(request, tags, keep))
        return exchange, vectors(exchange.response or {}, len(texts))

    def _request(self, texts: Sequence[str]) -> dict[str, Any]:
        request: dict[str, Any] = {"model": self.model, "input": list(texts), "encoding_format": self._encoding}
        if self.dimensions is not None:
            request["dimensions"] = self.dimensions
        return request

    def _once(self, request: dict[str, Any], tags: Mapping[str, Any], keep: bool) -> Exchange:
        call = self._call(request, "embed", tags)

        def send() -> Exchange:
            return self._send(call, keep)

        if self.log is None:
            return send()
        if not keep:
            exchange = self.log.aside.once(call.id, send)
            if self.log.find(call.id) is None:  # the process died between the two logs
                self.log.append(_without_vectors(exchange))
            return exchange
        exchange = self.log.once(call.id, send)
        return exchange if (exchange.response or {}).get("data") else send()  # else a store has kept the vectors itself

    def _adapt(
        self, request: Mapping[str, Any], error: Mapping[str, Any], say: Callable[[str], None] = lambda _: None
    ) -> None:
        said, sent = f"{error.get('param')} {error.get('message')}", request.get("encoding_format")
        if error.get("status") in (400, 422) and "encoding_format" in said and sent == "base64":
            self._encoding = "float"
            say(f"{self.model} does not support base64: asked for float instead")

    def _post(self, client: Any, request: Mapping[str, Any]) -> Any:
        return client.embeddings.with_raw_response.create(**request)

    def _check(self, response: Mapping[str, Any], request: Mapping[str, Any]) -> None:
        vectors(response, len(request["input"]))

    def _record(self, log: MessageLog, exchange: Exchange, keep: bool) -> None:
        if exchange.error is None:
            data = (exchange.response or {})["data"]
            data = [{**item, "embedding": _base64(item["embedding"])} for item in data]
            exchange = replace(exchange, response={**(exchange.response or {}), "data": data})
        if not keep:
            log.aside.append(exchange)  # first: what is logged as paid must not have to be paid again
            exchange = _without_vectors(exchange)
        log.append(exchange)


def model_of(call: Exchange, log: MessageLog, service: Service) -> ChatModel | EmbeddingModel:
    """The model that a call is for, to take its reply."""
    kind = ChatModel if call.endpoint == ChatModel.endpoint else EmbeddingModel
    return kind(call.model, log=log, service=service)


def _without_vectors(exchange: Exchange) -> Exchange:
    return replace(exchange, response={**(exchange.response or {}), "data": []})


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in runs of as many as one call takes."""
    start = size = 0
    for end, text in enumerate(texts):
        if end > start and (end - start == INPUTS_PER_CALL or size + len(text) > CHARACTERS_PER_CALL):
            yield texts[start:end]
            start, size = end, 0
        size += len(text)
    if texts:
        yield texts[start:]


def _base64(embedding: str | Sequence[float]) -> str:
    if isinstance(embedding, str):
        return embedding
    return base64.b64encode(np.asarray(embedding, "<f4").tobytes()).decode()


def vectors(response: Mapping[str, Any], count: int) -> NDArray[np.float32]:
    """The rows of an embeddings reply in the order of its inputs: float32, shape (count, dimensions).

    Raises BadReply for a reply that is incomplete, uneven, or holds anything but finite numbers.

    >>> vectors({"data": [{"index": 1, "embedding": [0, 1]}, {"index": 0, "embedding": [1, 0]}]}, 2).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    try:
        items = sorted(response["data"], key=lambda item: int(item["index"]))
        if [item["index"] for item in items] != list(range(count)):
            raise BadReply(f"The service returned {len(items)} vectors for {count} texts.", transient=True)
        rows = [np.frombuffer(base64.b64decode(_base64(item["embedding"]), validate=True), "<f4") for item in items]
        matrix = np.stack(rows).astype(np.float32)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, binascii.Error):
        raise BadReply("The service returned embeddings that cannot be read.", transient=True) from None
    if matrix.shape[1] == 0 or not np.isfinite(matrix).all():
        raise BadReply("The service returned embeddings that are not finite numbers.", transient=True)
    return matrix
