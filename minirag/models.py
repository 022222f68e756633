"""Row 3. The one door to the model services: call, log, return; or return what the log already holds.

`Service` is an address with its SDK client and its retries, `ChatModel` and `EmbeddingModel` are models there.
Everything above takes these as arguments, so a script or a test passes another object with the same method.
Only this module and `finetune` know the SDK.
"""

import base64
import binascii
import ipaddress
import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import SplitResult, unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from minirag.deadline import DeadlinePassed, within
from minirag.errors import BadReply, InputError, NotRecorded, ServiceError, ServiceRefused
from minirag.message_log import Exchange, MessageLog, exchange_id
from minirag.pool import check_interrupted, in_order
from minirag.prompts import Message, with_shape
from minirag.redact import keep_out, redact, redact_json, without_keys
from minirag.replay import Replay, failure_of
from minirag.replies import no_constant
from minirag.retry import Retry, retry_after
from minirag.tokens import Tokenizer, for_model

if TYPE_CHECKING:
    from openai import OpenAI

Replayed = MessageLog | str | os.PathLike[str]
"""A log to replay, or its path."""
OPENAI_ADDRESS = "https://api.openai.com/v1"
OPENAI_KEY, TUNED_KEY = KEY_NAMES = ("OPENAI_API_KEY", "MINIRAG_TUNED_API_KEY")
"""The variables of the environment that hold keys."""
TIMEOUT = 120.0
"""Seconds for one call, from its first byte to the last of the reply."""
UPLOAD_RATE = 125_000.0
"""Bytes of a file that have one second more: a line of 1 Mbit/s."""
REPLY_TOKENS = 512
FIRST_LOOK, LAST_LOOK = 1.0, 30.0
"""Seconds between two looks for a model that is not served yet: half of the time waited, within these."""
INPUTS_PER_CALL = 256
CHARACTERS_PER_CALL = 200_000
"""Stays below the tokens that a service takes at once, in any script."""
_TRANSIENT = {408, 409, 425, 429}
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


class Meter(Protocol):
    """What a service asks before each call, and tells after it; `budget.Budget` is one."""

    def reserve(self, endpoint: str, request: Mapping[str, Any]) -> float: ...

    def settle(self, most: float, exchange: Exchange) -> None: ...


def utc_now() -> str:
    """The time as the log has it: UTC, in seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_loopback(address: str) -> bool:
    """Whether an address is this machine itself.

    >>> is_loopback("http://127.0.0.1:8000/v1"), is_loopback("https://api.openai.com/v1")
    (True, False)
    """
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"


class Service:
    """An OpenAI-protocol service: its address, its key, one SDK client and one retry state for all threads.

    `base_url` and `api_key` default to `OPENAI_BASE_URL` and `OPENAI_API_KEY`; `client` is an `openai.OpenAI` of
    your own instead of both, whose redirects and proxies are as you have set them. `name` stands for the address in
    every exchange's identity (default: `address`, which lacks the name, password and query that `base_url` may have).
    A call ends after `timeout` seconds, whatever the service does. `say` hears, once each, what a model here does not
    support. With `replay` nothing is sent. Raises InputError for an unusable address, plain http to another machine
    unless `insecure_http`, or a missing key, before anything is sent.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        client: "OpenAI | None" = None,
        name: str | None = None,
        retry: Retry | None = None,
        timeout: float = TIMEOUT,
        say: Callable[[str], None] = lambda _: None,
        insecure_http: bool = False,
        replay: Replay | None = None,
    ) -> None:
        self.replay = replay
        given = base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_ADDRESS
        self._base_url = given if client is None else str(client.base_url)
        if replay is not None:
            self.address = name = replay.service
            retry = Retry(attempts=1, calls_given_up=sys.maxsize, sleep=lambda _: None)
        else:
            self.address = _shown(_split(self._base_url))
            if client is None and not insecure_http:
                _refuse_plain_http(self.address)
        self.name = name or self.address
        self.retry = retry or Retry()
        self.timeout = timeout
        self.answered = False
        self.meter: Meter | None = None
        self._say = say
        self._said: set[str] = set()
        self._lock = threading.Lock()
        self._owned = client is None
        self._client = client.with_options(max_retries=0) if client is not None else None
        self._key = api_key or os.environ.get(OPENAI_KEY) or ""
        keep_out(self._key if client is None else client.api_key)
        if client is None and replay is None and not self._key and self.address == OPENAI_ADDRESS:
            raise InputError("No key: set OPENAI_API_KEY, or name another service with --base-url, or use --offline.")

    @property
    def client(self) -> "OpenAI":
        """The SDK's client, made at first use: its import costs most of a second."""
        if self.replay is not None:
            raise NotRecorded(f"{self.name} is replayed from {self.replay.log.path}, and nothing is sent to it.")
        with self._lock:
            if self._client is None:
                import openai

                self._client = openai.OpenAI(
                    base_url=self._base_url,
                    api_key=self._key or "none",
                    max_retries=0,
                    timeout=self.timeout,
                    # no redirect is followed with a document in hand, and no proxy stands before loopback
                    http_client=openai.DefaultHttpxClient(
                        follow_redirects=False, trust_env=not is_loopback(self.address), timeout=self.timeout
                    ),
                )
            return self._client

    def close(self) -> None:
        """Close the client's connections, unless it is the caller's own."""
        if self._client is not None and self._owned:
            self._client.close()

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def tell(self, sentence: str) -> None:
        """Say something that is to be said once, however many threads and models find it out."""
        with self._lock:
            is_new = sentence not in self._said
            self._said.add(sentence)
        if is_new:
            self._say(sentence)

    def call(self, send: Callable[[Any], Any], model: str = "", seconds: float | None = None) -> dict[str, Any]:
        """Send one request once; the raw JSON reply, or a ServiceError that says what happened.

        `send` is given the SDK's client and returns one of its raw responses, within `seconds` (default: the
        service's timeout). A reply that comes later is never seen.
        """
        client = self.client
        seconds = seconds or self.timeout
        try:
            raw = within(seconds, lambda: send(client))
        except DeadlinePassed:
            raise ServiceError(f"{self.address} did not answer within {seconds:g} s.", transient=True) from None
        except Exception as error:
            raise self.failure(error, model) from error
        try:
            # a service may send the key back, and what it sends goes into the log, answers and prompts
            reply = json.loads(without_keys(raw.content), parse_constant=no_constant)
        except (ValueError, RecursionError):
            reply = None
        if not isinstance(reply, dict):
            text = f"{self.address} answered with something that is not the OpenAI protocol; check --base-url."
            raise BadReply(text, transient=self.answered)  # a proxy's page between two answers may pass
        self.answered = True
        return reply

    def shutdown_date(self, model: str) -> str | None:
        """The day on which the service switches a model off, as far as it says anything about that."""
        if self.replay is not None:
            return None
        try:
            reply = self.call(lambda client: client.models.with_raw_response.retrieve(model), model)
        except ServiceError:
            return None
        day = reply.get("shutdown_date")
        return day if isinstance(day, str) else None

    def attempt(
        self,
        stage: str,
        endpoint: str,
        request: Mapping[str, Any],
        send: Callable[[Any], Any],
        check: Callable[[Mapping[str, Any]], None],
        *,
        tags: Mapping[str, Any],
        repeat: int,
    ) -> tuple[Exchange, ServiceError | None]:
        """One try, timed: the exchange to be logged, and why it failed if it did.

        `check` raises BadReply for a reply that cannot be used; such a reply is kept beside the failure. The service's
        `meter`, if it has one, is asked first and may refuse (BudgetReached).
        """
        if self.replay is not None:
            exchange = self.replay.reply(stage, endpoint, request, repeat)
            return exchange, failure_of(exchange)
        most = 0.0 if self.meter is None else self.meter.reserve(endpoint, request)
        started, clock = utc_now(), time.monotonic()
        response: Mapping[str, Any] | None = None
        failure = None
        allowed = self.timeout + int(request.get("bytes", 0)) / UPLOAD_RATE
        try:
            response = self.call(send, str(request.get("model", "")), allowed)
            check(response)
        except ServiceError as error:
            failure = error
        told = None if failure is None else described(failure)
        if failure is not None:
            response = redact_json(response)  # no answer, so nothing that must stay as it is
        seconds = round(time.monotonic() - clock, 4)
        call = (stage, endpoint, self.name, request, response, told, repeat, tags)
        exchange = Exchange(*call, started, seconds)
        if self.meter is not None:
            self.meter.settle(most, exchange)
        return exchange, failure

    def failure(self, error: Exception, model: str = "") -> Exception:
        """The minirag error for an SDK exception; an exception that is not the SDK's comes back as it is."""
        import openai

        if isinstance(error, openai.APIStatusError):
            return self._refusal(error, model)
        if isinstance(error, openai.APITimeoutError):
            return ServiceError(f"{self.address} did not answer within {self.timeout:g} s.", transient=True)
        if isinstance(error, openai.APIConnectionError):
            if self.answered:
                return ServiceError(f"The connection to {self.address} broke.", transient=True)
            return ServiceRefused(
                f"Cannot connect to {self.address}; check the address and the network.", transient=True
            )
        if isinstance(error, openai.APIError | json.JSONDecodeError):
            return BadReply(f"{self.address} sent an unreadable reply: {redact(str(error))[:200]}.")
        if isinstance(error, openai.OpenAIError):
            return InputError(redact(str(error)).rstrip(".") + ".")
        return error

    def _refusal(self, error: Any, model: str) -> ServiceError:
        body = error.body if isinstance(error.body, dict) else {}
        code, param, status = body.get("code"), body.get("param"), int(error.status_code)
        said = redact(str(body.get("message") or error.body or "no reason given")).strip().rstrip(".")[:300]
        told: dict[str, Any] = {
            "status": status,
            "code": None if code is None else redact(str(code)),
            "param": None if param is None else redact(str(param)),
        }
        if status == 401:
            return ServiceRefused(f"{self.address} refuses the key; set OPENAI_API_KEY to a valid one.", **told)
        if status == 402 or code in {"insufficient_quota", "billing_hard_limit_reached"}:
            return ServiceRefused(f"The account at {self.address} has no quota left; add credit, then resume.", **told)
        if status == 403:
            return ServiceRefused(f"{self.address} does not allow this: {said}.", **told)
        if status == 404 or code in {"model_not_found", "unknown_model"}:
            return ServiceRefused(f"{self.address} does not know model {model!r} or this address: {said}.", **told)
        if 300 <= status < 400:
            return ServiceRefused(f"{self.address} redirects elsewhere; give the final address as --base-url.", **told)
        transient = status in _TRANSIENT or status >= 500
        wait = retry_after({k.lower(): v for k, v in error.response.headers.items()}) if transient else None
        return ServiceError(f"{self.address} answered {status}: {said}.", transient=transient, wait=wait, **told)


def _split(address: str) -> SplitResult:
    """The parts of a service's address; its password is kept out of everything from now on."""
    shown = "The address" if "@" in address else repr(address)
    try:
        parts = urlsplit(address)
        _ = parts.port  # raises ValueError for what is no number
    except ValueError:
        raise InputError(f"{shown} is no service address; it must look like https://host/v1.") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InputError(f"{shown} is no service address; it must look like https://host/v1.")
    if parts.password:
        keep_out(parts.password)
        keep_out(unquote(parts.password))
        keep_out(base64.b64encode(unquote(f"{parts.username}:{parts.password}").encode()).decode())
    return parts


def _shown(parts: SplitResult) -> str:
    """Scheme, host, port and path: an address as it may be seen."""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")


def _refuse_plain_http(address: str) -> None:
    if address.startswith("http://") and not is_loopback(address):
        raise InputError(
            f"{address} is plain http: whoever stands between reads documents and key; use https, or --insecure-http."
        )


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
        self._learned = False
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
        """Repeat the adaptations of earlier runs, so that a resumed run asks for what it has already paid for."""
        with self._learning:
            log = self.service.replay.log if self.service.replay is not None else self.log
            if self._learned or log is None:
                return
            for failed in log.failures():
                if (failed.service, failed.model) == (self.service.name, self.model):
                    self._adapt(failed.request, failed.error or {})
            self._learned = True

    def _send(
        self, request: Mapping[str, Any], stage: str, tags: Mapping[str, Any], repeat: int, keep: bool = True
    ) -> Exchange:
        """Try until there is a usable reply; log every reply and every failure. Raises ServiceError."""
        retry, failures = self.service.retry, 0
        while True:
            retry.wait_turn()
            check_interrupted()
            exchange, failure = self._attempt(request, stage, tags, repeat, keep)
            if failure is None:
                retry.succeeded()
                return exchange
            if self._is_awaited(failure):
                continue
            failures += 1
            if not retry.again(failures, failure):
                raise failure

    def _attempt(
        self, request: Mapping[str, Any], stage: str, tags: Mapping[str, Any], repeat: int, keep: bool
    ) -> tuple[Exchange, ServiceError | None]:
        """Send a request once and log what came of it."""

        def attempt() -> tuple[Exchange, ServiceError | None]:
            return self.service.attempt(
                stage,
                self.endpoint,
                request,
                lambda client: self._post(client, request),
                lambda response: self._check(response, request),
                tags=tags,
                repeat=repeat,
            )

        if self.log is None or self.service.replay is not None:
            return attempt()
        with self.log.sending(
            Exchange(stage, self.endpoint, self.service.name, request, None, None, repeat, tags, utc_now())
        ):
            exchange, failure = attempt()
            self._record(self.log, exchange, keep or failure is not None)
        return exchange, failure

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


def described(error: ServiceError) -> dict[str, Any]:
    """What the log keeps of a failure."""
    fields = {"type": type(error).__name__, "status": error.status, "code": error.code, "param": error.param}
    return {**fields, "message": str(error)}


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
        if self.log is None:
            return self._send(request, stage, tags, repeat)
        id = exchange_id(self.service.name, self.endpoint, request, repeat)
        return self.log.once(id, lambda: self._send(request, stage, tags, repeat))

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

    `dimensions=None` takes the model's own number; `replay` is that of `ChatModel`. Vectors are asked for in base64,
    and as numbers where a service refuses that.
    """

    endpoint = "embeddings"

    def __init__(
        self,
        model: str,
        *,
        dimensions: int | None = None,
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
        # in a thread of a pool, so that Ctrl-C lets the call in flight come to its end
        made = list(in_order(lambda batch: self._batch(batch, tags or {}, keep), _batches(texts), 1))
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
        def send() -> Exchange:
            return self._send(request, "embed", tags, 0, keep)

        if self.log is None:
            return send()
        id = exchange_id(self.service.name, self.endpoint, request)
        if not keep:
            exchange = self.log.aside.once(id, send)
            if self.log.find(id) is None:  # the process died between the two logs
                self.log.append(_without_vectors(exchange))
            return exchange
        exchange = self.log.once(id, send)
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
