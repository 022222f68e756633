"""Every failure that minirag raises on purpose, its exit code, what an HTTP error means, and how keys are kept out.

    MiniragError                    1
    ├── InputError                  2   the input cannot be used; nothing was sent
    │   ├── DocumentError           2   a document cannot be read or holds no text
    │   ├── WindowTooSmall          2   a prompt does not fit the window, however little context it gets
    │   ├── LogError                2   the message log is damaged or in use
    │   ├── NotRecorded             2   a replay was asked for something that its log does not hold
    │   └── StoreError              2   an index is damaged or belongs to another model
    ├── ServiceError                3   a model service failed; a later attempt may succeed
    │   ├── TextsRefused            3   some texts fail in every call to embed them, whatever is beside them
    │   ├── BadReply                3   it answered 200 with something that is no answer
    │   └── ServiceRefused          2   key, quota, model or address: fails until the user changes something
    │       └── ServiceDown         3   it failed so often in a row that nothing more is sent for now
    ├── JobError                    2   the fine-tuning job failed, was cancelled, or has no model
    │   ├── TrainingNotAvailable    2   the service does not train, or does not serve what it trained
    │   └── JobUnfinished           3   the job has not ended or cannot start now; a later run may have its model
    ├── Unfinished                  3   part of the work is done and kept; run again to resume
    ├── Waiting                     3   the reply comes with a batch; ask again after it
    └── BudgetReached               4   the cap on money refused a call; everything finished is kept

Each message is one sentence that says what to do. Any other exception that escapes is a bug (exit code 1).
"""

import email.utils
import re
import time
from collections.abc import Mapping
from typing import Any


class MiniragError(Exception):
    """Root of the tree above; `exit_code` is what the command line returns."""

    exit_code = 1


class InputError(MiniragError):
    exit_code = 2


class DocumentError(InputError): ...


class WindowTooSmall(InputError): ...


class LogError(InputError): ...


class NotRecorded(InputError): ...


class StoreError(InputError): ...


class ServiceError(MiniragError):
    """A model service failed.

    `status`, `code` and `param` are the service's own words, if it gave any. `transient` tells whether the same call
    may succeed when it is sent again, and `wait` how many seconds the service asked for.
    """

    exit_code = 3

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        param: str | None = None,
        transient: bool = False,
        wait: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
        self.transient = transient
        self.wait = wait

    def to_json(self) -> dict[str, Any]:
        """Return what the log keeps of a failure."""
        fields = {"type": type(self).__name__, "status": self.status, "code": self.code, "param": self.param}
        return {**fields, "message": str(self)}


class TextsRefused(ServiceError):
    """`reasons` holds why each of the texts cannot be embedded."""

    def __init__(self, model: str, reasons: Mapping[str, ServiceError]) -> None:
        text, reason = next(iter(reasons.items()))
        super().__init__(f"{model} embeds none of {len(reasons)} texts; the first is {text!r:.60}: {reason}")
        self.reasons = reasons


class BadReply(ServiceError): ...


class ServiceRefused(ServiceError):
    exit_code = 2


class ServiceDown(ServiceRefused):
    exit_code = 3


class JobError(MiniragError):
    exit_code = 2


class TrainingNotAvailable(JobError): ...


class JobUnfinished(JobError):
    exit_code = 3


class Unfinished(MiniragError):
    exit_code = 3


class Waiting(MiniragError):
    exit_code = 3


class BudgetReached(MiniragError):
    exit_code = 4


_SECRET = re.compile(
    r"\bsk-[A-Za-z0-9_*.-]{6,}"  # also the masked form that a 401 quotes: sk-abc****wxyz
    r"|(?i:bearer)\s+[A-Za-z0-9._~+/=-]{8,}"
    r"|\b(?:org|proj)[-_][A-Za-z0-9]{12,}"
    r"|(?<=://)[^\s/@?#'\"]+(?=@)"  # the name and password of an address
    r"|(?<=password=)[^\s&#'\"]+"
)
_NO_SECRET = re.compile(r".{0,7}|[A-Za-z_-]{0,19}")
"""What local services get instead of a key: EMPTY, ollama, lm-studio, no-key-required."""
_keys: list[str] = []


def keep_out(key: str) -> None:
    """Have `redact` remove this key from now on, unless it is a mere placeholder such as "EMPTY"."""
    if not _NO_SECRET.fullmatch(key) and key not in _keys:
        _keys.append(key)


def redact(text: str) -> str:
    """Return `text` without keys, bearer tokens, organisation ids, and names and passwords of addresses.

    >>> redact("Incorrect API key provided: sk-abcd1234efgh. See https://me:pass@host/docs.")
    'Incorrect API key provided: [redacted] See https://[redacted]@host/docs.'
    """
    for key in _keys:
        text = text.replace(key, "[redacted]")
    return _SECRET.sub("[redacted]", text)


def redact_json(value: Any) -> Any:
    """Return a JSON value with every text in it redacted.

    >>> redact_json({"error": ["Bearer abcdefgh", 401]})
    {'error': ['[redacted]', 401]}
    """
    if isinstance(value, Mapping):
        return {redact(str(name)): redact_json(item) for name, item in value.items()}
    if isinstance(value, list):
        return [redact_json(item) for item in value]
    return redact(value) if isinstance(value, str) else value


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds a service asks to wait: `retry-after-ms`, or `Retry-After` in seconds or as a date.

    >>> retry_after({"retry-after": "7"}), retry_after({"retry-after-ms": "250"}), retry_after({})
    (7.0, 0.25, None)
    """
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        value = headers.get("retry-after", "")
        if value.replace(".", "", 1).isdigit():
            return float(value)
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time()) if value else None
    except (ValueError, OverflowError):
        return None


_REFUSALS = {
    401: "{address} refuses the key; set OPENAI_API_KEY to a valid one.",
    402: "The account at {address} has no quota left; add credit, then resume.",
    403: "{address} does not allow this: {words}.",
    404: "{address} does not know model {model!r} or this address: {words}.",
    **dict.fromkeys(range(300, 400), "{address} redirects elsewhere; give the final address as --base-url."),
}
_STATUS_OF = {
    "insufficient_quota": 402,
    "billing_hard_limit_reached": 402,
    "model_not_found": 404,
    "unknown_model": 404,
}
"""Codes that say more than the status they come with."""


def refusal(address: str, status: int, body: Any, headers: Mapping[str, str], model: str) -> ServiceError:
    """Return the error for a reply with this HTTP status, `error` object (`body`) and headers."""
    error = redact_json(body) if isinstance(body, dict) else {}
    code, param = (None if error.get(name) is None else str(error[name]) for name in ("code", "param"))
    words = redact(str(error.get("message") or error or body or "no reason given")).strip().rstrip(".")[:300]
    fields: dict[str, Any] = {"status": status, "code": code, "param": param}
    if sentence := _REFUSALS.get(_STATUS_OF.get(code or "", status)):
        return ServiceRefused(sentence.format(address=address, words=words, model=model), **fields)
    transient = status in {408, 409, 425, 429} or status >= 500
    wait = retry_after(headers) if transient else None
    return ServiceError(f"{address} answered {status}: {words}.", transient=transient, wait=wait, **fields)
