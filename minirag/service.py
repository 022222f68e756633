"""A model service: its address, its SDK client, and `Service.send`, the one path of every call.

This is the only module that knows the OpenAI SDK. `models` and `finetune` build requests and read replies.
"""

import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from inspect import signature
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from minirag.dialect import MOST_THINKING, Form, ModelDialect
from minirag.errors import TIMEOUT, BadReply, InputError, ServiceError, ServiceRefused, keep_out, redact, refusal
from minirag.message_log import Exchange, MessageLog
from minirag.retry import Retry, within

if TYPE_CHECKING:
    from openai import OpenAI

OPENAI_ADDRESS = "https://api.openai.com/v1"
OPENAI_KEY = "OPENAI_API_KEY"
ROLES = ("teacher", "student", "judge", "embedding", "tuned")
ROLE_KEYS = {role: f"MINIRAG_{role.upper()}_API_KEY" for role in ROLES}
"""What models are for, and the variable with the key of a role's own service."""
SECONDS = 600.0
"""Seconds for one call, from its first byte to the last of the reply."""
TRANSFER_RATE = 125_000.0
"""Upload and download timeout: one extra second per this many bytes (1 Mbit/s)."""
_VERBS = (".retrieve", ".list", ".list_events", ".cancel")
"""Ends of endpoints that name a method of the SDK; others are of `create`."""
Reader = Callable[[Exchange, Mapping[str, Any]], Mapping[str, Any]]
"""Returns a call's reply as the log is to hold it, or raises BadReply if it cannot be used."""


def is_loopback(address: str) -> bool:
    """Return True if an address is this machine itself.

    >>> is_loopback("http://127.0.0.1:8000/v1"), is_loopback("https://api.openai.com/v1")
    (True, False)
    """
    return re.fullmatch(r"localhost|127(\.\d+){3}|::1", urlsplit(address).hostname or "") is not None


def split_address(address: str) -> tuple[str, str, dict[str, str]]:
    """Return the base of an address, as the SDK wants it; the same without name and password; and its query.

    The path of one endpoint is cut off. Raises InputError for what is no address.

    >>> split_address("https://me:pass@host/deployments/d/chat/completions?api-version=2024-10-21")
    ('https://me:pass@host/deployments/d', 'https://host/deployments/d', {'api-version': '2024-10-21'})
    """
    base, _, query = address.partition("?")
    base = re.sub(r"/+(chat/completions|completions|embeddings|responses|models)?/*$", "", base)
    try:
        parts = urlsplit(base)
        is_usable = parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port)
    except ValueError:  # the port is no number
        is_usable = False
    if not is_usable:
        shown = "The address" if "@" in base else repr(base)
        raise InputError(f"{shown} is no service address; it must look like https://host/v1.")
    keep_out(unquote(parts.password or ""))
    return base, f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}", dict(parse_qsl(query))


class Gate(Protocol):
    """Asked before each attempt and told after it: a cap on money, a batch that collects calls.

    `before` returns an amount for `after`, or raises to stop the call. An unforeseen error leaves no exchange.
    """

    def before(self, call: Exchange) -> float: ...

    def after(self, amount: float, exchange: Exchange | None) -> None: ...


class Service(AbstractContextManager["Service"]):
    """An OpenAI-protocol service: its address, its key, one SDK client and one retry state for all threads.

    `base_url` and `api_key` default to `OPENAI_BASE_URL` and `OPENAI_API_KEY`; `client` is an `openai.OpenAI` of
    your own instead of both. `name` stands for the address in every exchange's identity (default: `address`, which is
    `base_url` without name, password and query). A call ends after `timeout` seconds. `say` hears, once each, which
    parameters a model does not support; `key_name` is the variable that holds the key. Raises InputError for an
    unusable address, for plain http to another machine unless `insecure_http`, and for OpenAI without a key.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        client: "OpenAI | None" = None,
        name: str | None = None,
        retry: Retry | None = None,
        timeout: float = SECONDS,
        key_name: str = OPENAI_KEY,
        say: Callable[[str], None] = lambda _: None,
        insecure_http: bool = False,
    ) -> None:
        address = str(client.base_url) if client else base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_ADDRESS
        self._base_url, self.address, self._query = split_address(address)
        if client is None and self.address.startswith("http:") and not (insecure_http or is_loopback(self.address)):
            remedy = "anyone in between can read documents and key; use https, or --insecure-http"
            raise InputError(f"{self.address} is plain http: {remedy}.")
        self.name = name or self.address
        self.retry = retry or Retry()
        self.timeout = timeout
        self.gates: list[Gate] = []
        self._key_name = key_name
        self._say = say
        self._sentences: set[str] = set()
        self.answered = False
        self._dialects: dict[Any, ModelDialect] = {}
        self._lock = threading.Lock()
        self._owned = client is None
        self._client = None if client is None else client.with_options(max_retries=0)
        self._key = api_key or os.environ.get(OPENAI_KEY) or "" if client is None else client.api_key
        keep_out(self._key)
        if not self._key and self.address == OPENAI_ADDRESS:
            raise InputError("No key: set OPENAI_API_KEY, or name another service with --base-url, or use --offline.")

    def dialect(self, model: str, log: MessageLog | None, most_thinking: int = MOST_THINKING) -> ModelDialect:
        """Return the one dialect of a model for this log, with what earlier runs have learned."""
        key = (model, None if log is None else log.path)
        if key not in self._dialects:
            is_openai = self.address == OPENAI_ADDRESS  # where max_tokens is out of date
            dialect = ModelDialect(model, Form(frozenset({"max_tokens"} if is_openai else ())), most_thinking)
            if log is not None:
                dialect.recall(log, self.name)
            dialect.say = self.say_once
            self._dialects.setdefault(key, dialect)
        return self._dialects[key]

    def send(
        self,
        call: Exchange,
        log: MessageLog | None = None,
        *,
        dialect: ModelDialect | None = None,
        read: Reader = lambda _, reply: reply,
        arguments: Mapping[str, Any] | None = None,
        reuse: bool = True,
        retries: bool = True,
    ) -> Exchange:
        """Return the exchange of a call: the one in the log, or that of a new request, logged. Raises ServiceError.

        `call` has no response yet. `read` checks the reply before it is logged as a success. The SDK gets `arguments`
        in place of the request if the log must not hold them (a file's bytes). `reuse=False` always sends (polls);
        `retries=False` sends once (a lost reply must not create two of something).
        """
        dialect = dialect or ModelDialect(call.model)
        form, tried, failures = dialect.form, set[str](), 0
        with nullcontext() if log is None else log.claim(call.id):  # threads with the same call wait for the first
            while True:
                # 1. Write the request in a form that this service and model take.
                sent = form.adapt(call)
                # 2. If the log has the answer, return it.
                is_new = log is not None and reuse and sent.id not in tried
                recorded = log.find(sent.id, *dialect.variants(call)) if log is not None and is_new else None
                if recorded is not None:
                    if recorded.error is not None:
                        raise dialect.given_up(call, ServiceError.from_json(recorded.error))
                    dialect.stages.add(call.stage)
                    dialect.adopt(form)
                    return recorded
                # 3. Ask the gates; one that refuses raises. Whatever happens then, they are told.
                tried.add(sent.id)
                exchange: Exchange | None = None
                held: list[tuple[Gate, float]] = []
                with self.retry.turn():
                    try:
                        for gate in self.gates:
                            held.append((gate, gate.before(sent)))
                        # 4. Send it through the SDK, once.
                        exchange, failure = self.attempt(sent, read, arguments)
                    finally:
                        for gate, amount in held:
                            gate.after(amount, exchange)
                # 5. Log what came of it.
                if log is not None:
                    log.append(exchange)
                # 6. Return it, go on to another form, or try again.
                if failure is None:
                    dialect.keep(form, call.stage)
                    return exchange
                if (following := dialect.following(call, form, exchange, tried)) is not None:
                    form, failures = following, 0
                    continue
                failures += 1
                is_limited = failure.status == 429 and failure.wait is not None  # nothing was created then
                if not (retries or is_limited) or not self.retry.again(failures, failure):
                    raise dialect.given_up(call, failure)

    def attempt(
        self, call: Exchange, read: Reader, arguments: Mapping[str, Any] | None = None
    ) -> tuple[Exchange, ServiceError | None]:
        """Send a call once; return its exchange, and the error if it failed."""
        started, clock = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), time.monotonic()
        reply, failure = None, None
        try:
            method = call.endpoint if call.endpoint.endswith(_VERBS) else f"{call.endpoint}.create"
            allowed = self.timeout + int(call.request.get("bytes", 0)) / TRANSFER_RATE
            raw = self.raw(method, arguments or call.request, call.model, allowed)
            with suppress(ValueError, RecursionError):
                reply = json.loads(raw.content, parse_constant=_refuse_constant)
            if not isinstance(reply, dict):
                reply = None
                text = f"{self.address} answered with something that is not the OpenAI protocol; check --base-url."
                raise BadReply(text, transient=self.answered)  # a proxy's page between two answers may pass
            self.answered = True
            reply = read(call, reply)
            self.retry.succeeded((time.monotonic() - clock) / allowed)
        except ServiceError as refused:  # what it echoes of a key stays out of the log
            failure, reply = refused, reply and json.loads(redact(json.dumps(reply, ensure_ascii=False)))
        seconds, error = round(time.monotonic() - clock, 4), failure.to_json() if failure else None
        return replace(call, response=reply, error=error, started=started, seconds=seconds), failure

    def raw(self, method: str, arguments: Mapping[str, Any], model: str = "", seconds: float | None = None) -> Any:
        """Return the SDK's raw response to one request that is sent once. Raises ServiceError."""
        seconds = seconds or self.timeout
        import openai

        resource, _, name = method.rpartition(".")
        call = getattr(attrgetter(resource)(self.client).with_raw_response, name)
        extra = {name: value for name, value in arguments.items() if name not in signature(call).parameters}
        named = {name: value for name, value in arguments.items() if name not in extra}
        try:
            return within(seconds, partial(call, **named, extra_body=extra or None))
        except openai.APIStatusError as error:
            refused = (self.address, error.status_code, error.body, error.response.headers, model)
            raise refusal(*refused, key_name=self._key_name) from error
        except (TimeoutError, openai.APITimeoutError) as error:
            text = f"{self.address} did not answer within {seconds:g} s; allow more with --timeout."
            raise ServiceError(text, code=TIMEOUT, transient=True) from error
        except openai.APIConnectionError as error:
            if self.answered:
                raise ServiceError(f"The connection to {self.address} broke.", transient=True) from error
            text = f"Cannot connect to {self.address}; check the address and the network."
            raise ServiceRefused(text, transient=True) from error

    def say_once(self, sentence: str) -> None:
        """Say something once, however often it is found out."""
        if sentence not in self._sentences:
            self._sentences.add(sentence)
            self._say(sentence)

    @property
    def client(self) -> "OpenAI":
        """The SDK's client, made at first use: its import costs most of a second."""
        with self._lock:
            if self._client is None:
                self._client = self._make_client()
            return self._client

    def _make_client(self) -> "OpenAI":
        import openai

        is_https, is_local = self.address.startswith("https:"), is_loopback(self.address)
        client = openai.OpenAI(
            base_url=self._base_url,
            api_key=self._key or "none",
            max_retries=0,
            timeout=self.timeout,
            default_query=self._query,
            # the old addresses of Azure take a key in this header alone
            default_headers={"api-key": self._key} if "api-version" in self._query and self._key else None,
            # no redirect with a document in hand, no proxy before loopback, no certificates (they load slowly) for http
            http_client=openai.DefaultHttpxClient(follow_redirects=False, trust_env=not is_local, verify=is_https),
        )
        if not (urlsplit(self.address).hostname or "").endswith("api.openai.com"):
            client.organization = client.project = None  # from the environment: OpenAI's, and nobody else's business
        return client

    def close(self) -> None:
        """Close the client's connections, unless it is the caller's own."""
        if self._client is not None and self._owned:
            self._client.close()

    def __exit__(self, *_: object) -> None:
        self.close()


def _refuse_constant(name: str) -> Any:
    raise BadReply(f"The service sent {name} where a number belongs: the model computed none from this input.")
