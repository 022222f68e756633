"""Row 3. A model service: its address, its SDK client, its retries; one call, timed and told what went wrong.

Only this module, `models` and `finetune` know the SDK.
"""

import base64
import ipaddress
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn, Protocol
from urllib.parse import SplitResult, unquote, urlsplit

from minirag.deadline import DeadlinePassed, within
from minirag.errors import BadReply, InputError, NotRecorded, ServiceError, ServiceRefused
from minirag.message_log import Exchange
from minirag.redact import OPENAI_KEY, keep_out, redact, redact_json, without_keys
from minirag.replay import Replay, failure_of
from minirag.replies import no_constant
from minirag.retry import Retry, retry_after

if TYPE_CHECKING:
    from openai import OpenAI

OPENAI_ADDRESS = "https://api.openai.com/v1"
TIMEOUT = 120.0
"""Seconds for one call, from its first byte to the last of the reply."""
TRANSFER_RATE = 125_000.0
"""Bytes of a file that have one second more: a line of 1 Mbit/s."""
_TRANSIENT = {408, 409, 425, 429}


class Meter(Protocol):
    """What a service asks before each call, and tells after it; `budget.Budget` is one."""

    def reserve(self, endpoint: str, request: Mapping[str, Any]) -> float: ...

    def reserve_batch(self, calls: Sequence[Exchange]) -> tuple[int, float]: ...

    def settle(self, most: float, *exchanges: Exchange) -> None: ...


class Queue(Protocol):
    """Where requests wait for a batch in place of being sent; `passes.Passes` is one."""

    def wait_for(self, exchange: Exchange, keep: bool) -> NoReturn: ...


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
        self.queue: Queue | None = None
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
                self._client = self._made_client()
            return self._client

    def _made_client(self) -> "OpenAI":
        import openai

        return openai.OpenAI(
            base_url=self._base_url,
            api_key=self._key or "none",
            max_retries=0,
            timeout=self.timeout,
            # no redirect is followed with a document in hand, and no proxy stands before loopback
            http_client=openai.DefaultHttpxClient(
                follow_redirects=False, trust_env=not is_loopback(self.address), timeout=self.timeout
            ),
        )

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
        raw = self._raw(send, model, seconds or self.timeout)
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

    def _raw(self, send: Callable[[Any], Any], model: str, seconds: float) -> Any:
        """The SDK's raw response to one request that is sent once, or a ServiceError that says what happened."""
        client = self.client
        try:
            return within(seconds, lambda: send(client))
        except DeadlinePassed:
            raise ServiceError(f"{self.address} did not answer within {seconds:g} s.", transient=True) from None
        except Exception as error:
            raise self.failure(error, model) from error

    def download(self, file_id: str, most_bytes: int) -> bytes:
        """The content of a file at the service, without keys; tried again like any call that only looks."""
        attempt = 0
        while True:
            attempt += 1
            try:
                allowed = self.timeout + most_bytes / TRANSFER_RATE
                raw = self._raw(lambda client: client.files.with_raw_response.content(file_id), "", allowed)
                return without_keys(raw.content)
            except ServiceError as error:
                if not error.transient or not self.retry.after_failure(attempt, error.wait):
                    raise

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
        self, call: Exchange, send: Callable[[Any], Any], check: Callable[[Mapping[str, Any]], None]
    ) -> tuple[Exchange, ServiceError | None]:
        """One try at a call that has no reply yet, timed: the exchange to be logged, and why it failed if it did.

        `check` raises BadReply for a reply that cannot be used; such a reply is kept beside the failure. The service's
        `meter`, if it has one, is asked first and may refuse (BudgetReached).
        """
        if self.replay is not None:
            exchange = self.replay.reply(call)
            return exchange, failure_of(exchange)
        most = 0.0 if self.meter is None else self.meter.reserve(call.endpoint, call.request)
        started, clock = utc_now(), time.monotonic()
        response: Mapping[str, Any] | None = None
        failure = None
        allowed = self.timeout + int(call.request.get("bytes", 0)) / TRANSFER_RATE
        try:
            response = self.call(send, call.model, allowed)
            check(response)
        except ServiceError as error:
            failure = error
        told = None if failure is None else described(failure)
        if failure is not None:
            response = redact_json(response)  # no answer, so nothing that must stay as it is
        seconds = round(time.monotonic() - clock, 4)
        exchange = replace(call, response=response, error=told, started=started, seconds=seconds)
        if self.meter is not None:
            self.meter.settle(most, exchange)
        return exchange, failure

    def failure(self, error: Exception, model: str = "") -> Exception:
        """The minirag error for an SDK exception; an exception that is not the SDK's comes back as it is."""
        import openai

        if isinstance(error, openai.APIStatusError):
            headers = {name.lower(): value for name, value in error.response.headers.items()}
            return self.refusal(error.status_code, error.body, headers, model)
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

    def refusal(self, status: int, error: Any, headers: Mapping[str, str], model: str) -> ServiceError:
        """What a reply that is no success means: its status, its `error` object if it has one, its headers."""
        body = error if isinstance(error, dict) else {}
        code, param = body.get("code"), body.get("param")
        said = redact(str(body.get("message") or error or "no reason given")).strip().rstrip(".")[:300]
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
        wait = retry_after(headers) if transient else None
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


def described(error: ServiceError) -> dict[str, Any]:
    """What the log keeps of a failure."""
    fields = {"type": type(error).__name__, "status": error.status, "code": error.code, "param": error.param}
    return {**fields, "message": str(error)}
