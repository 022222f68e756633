"""Every failure that minirag raises on purpose, its exit code, what an HTTP error means; text made safe to show.

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

import json
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

REFUSED, FILTERED, EMPTY, TOOLS, THINKING, TIMEOUT = (
    "refusal", "content_filter", "empty_reply", "tool_calls", "thinking", "timeout"
)  # fmt: skip
"""Codes of outcomes that minirag names itself, whatever the service calls them."""
FINAL = {REFUSED, FILTERED, EMPTY, TOOLS}
TOO_LONG = re.compile(r"(?i)too.?(long|large|many tokens)|exceed|(context|input).?(length|size|window)|\d tokens")
"""What services say of a text, or of a reply's limit, that is larger than a model takes."""


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
        self.status, self.code, self.param = status, code, param
        self.transient, self.wait = transient, wait

    @property
    def final(self) -> bool:
        """True if the service has decided on this very request, so that sending it again would change nothing."""
        return self.code in FINAL

    def to_json(self) -> dict[str, Any]:
        """Return what the log keeps of a failure."""
        fields = {"type": type(self).__name__, "status": self.status, "code": self.code, "param": self.param}
        return {**fields, "message": str(self)}

    @classmethod
    def from_json(cls, error: Mapping[str, Any]) -> "ServiceError":
        """Return the failure that the log keeps as `error`."""
        kinds = {kind.__name__: kind for kind in (ServiceError, BadReply, ServiceRefused, ServiceDown)}
        fields: dict[str, Any] = {name: error.get(name) for name in ("status", "code", "param")}
        return kinds.get(str(error.get("type")), ServiceError)(str(error.get("message")), **fields)


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
    r"|(?<=password=)[^\s&#'\"\\]+"
)
_NO_SECRET = re.compile(r".{0,7}|[A-Za-z_-]{0,19}")
"""What local services get instead of a key: EMPTY, ollama, lm-studio, no-key-required."""
_keys: list[str] = []


def keep_out(key: str) -> None:
    """Have `redact` remove this key from now on, in JSON too, unless it is a mere placeholder such as "EMPTY"."""
    if not _NO_SECRET.fullmatch(key) and key not in _keys:
        _keys.extend({key, json.dumps(key)[1:-1]})


def redact(text: str) -> str:
    """Return `text` without keys, bearer tokens, organisation ids, and names and passwords of addresses.

    >>> redact("Incorrect API key provided: sk-abcd1234efgh. See https://me:pass@host/docs.")
    'Incorrect API key provided: [redacted] See https://[redacted]@host/docs.'
    """
    for key in _keys:
        text = text.replace(key, "[redacted]")
    return _SECRET.sub("[redacted]", text)


UNSAFE = re.compile(
    "[\0-\x1f\x7f-\x9f"  # controls: escape sequences, line feeds
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction marks
    "\u2028\u2029"  # further line ends
    "\ud800-\udfff]"  # half characters, which cannot be printed at all
)


def printable(text: str, keep: str = "") -> str:
    """Return a text on one line, with the characters that could move, hide or reorder text as codes, but for `keep`.

    >>> printable("red: \\x1b[31m, turned: \\u202e")
    'red: \\\\u{1b}[31m, turned: \\\\u{202e}'
    """
    return UNSAFE.sub(lambda match: match[0] if match[0] in keep else f"\\u{{{ord(match[0]):x}}}", text)


_DURATION = r"(\d++(?:\.\d++)?)(ms|[dhms]|\b)"
_UNITS = {"ms": 0.001, "s": 1, "": 1, "m": 60, "h": 3600, "d": 86_400}


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a service asks to wait, or until a rate limit that is used up is reset.

    >>> retry_after({"retry-after": "7"}), retry_after({"retry-after-ms": "250"}), retry_after({})
    (7.0, 0.25, None)
    >>> used_up = {"x-ratelimit-remaining-tokens": "0"}
    >>> [retry_after({**used_up, "x-ratelimit-reset-tokens": reset}) for reset in ("1m30.5s", "2026-11-26T22:10:00Z")]
    [90.5, None]
    """
    with suppress(ValueError, OverflowError):
        day = parsedate_to_datetime(headers.get("retry-after", ""))
        return max(0.0, day.timestamp() - time.time())
    asked = f"{headers['retry-after-ms']}ms" if "retry-after-ms" in headers else headers.get("retry-after", "")
    used_up = [kind for kind in ("requests", "tokens") if headers.get(f"x-ratelimit-remaining-{kind}") == "0"]
    waits = [asked] if asked else [headers.get(f"x-ratelimit-reset-{kind}", "") for kind in used_up]
    durations = [re.findall(_DURATION, wait) for wait in waits if re.fullmatch(f"(?:{_DURATION})+", wait)]
    return max((sum(float(n) * _UNITS[unit] for n, unit in duration) for duration in durations), default=None)


_REFUSALS = {
    401: "{address} refuses the key, set {key_name} to a valid one: {words}.",
    402: "The account at {address} has no quota left, add credit, then resume: {words}.",
    404: "{address} does not know model {model!r} or this address{hint}: {words}.",
    **dict.fromkeys(range(300, 400), "{address} redirects elsewhere; give the final address as --base-url."),
}
_STATUS_OF = {
    "insufficient_quota": 402,
    "billing_hard_limit_reached": 402,
    "model_not_found": 404,
    "unknown_model": 404,
}
"""Codes that say more than the status they come with."""
_FILTERED = re.compile(
    r"(?i)content.?(filter|policy|management|exists risk)|responsible.?ai|moderation|flagged|inappropriate|inspection"
)
"""What services say where a text is against their rules."""


def words_of(body: Any) -> str:
    """Return what an error body of any shape says, as one line: objects in objects, lists, texts, a gateway's HTML.

    >>> words_of([{"error": {"code": 400, "message": "no"}}]), words_of("<h1>502</h1> <p>Bad gateway</p>")
    ('no', '502 Bad gateway')
    >>> words_of({"detail": [{"loc": ["body", "seed"], "msg": "not permitted"}]})
    'body.seed: not permitted'
    """
    if isinstance(body, Mapping):
        place = ".".join(map(str, body["loc"])) + ": " if isinstance(body.get("loc"), list) else ""
        names = ("message", "error", "detail", "msg", "title", "reason", "code")
        words = next((words for name in names if (words := words_of(body.get(name)))), "")
        return place + (words or (str(dict(body)) if body else ""))
    if isinstance(body, list):
        return "; ".join(filter(None, map(words_of, body[:3])))
    text = "" if body is None else str(body)
    if "<" in text:
        text = re.sub(r"(?is)<(script|style)\b.*?</\1>|</?[a-z!][^<>]*>", " ", text)
    return " ".join(text.split())


def refusal(
    address: str, status: int, body: Any, headers: Mapping[str, str], model: str, *, key_name: str = "OPENAI_API_KEY"
) -> ServiceError:
    """Return the error for a reply with this HTTP status, `error` object (`body`) and headers."""
    error = body[0] if isinstance(body, list) and body else body
    error = error.get("error", error) if isinstance(error, Mapping) else {}
    named = error if isinstance(error, Mapping) else {}
    code, param, kind = (
        redact(str(value)) if isinstance(value := named.get(name), str | int) else None
        for name in ("code", "param", "type")
    )
    words = redact(words_of(body) or "no reason given").rstrip(".")[:300]
    if status in {400, 403, 422} and _FILTERED.search(f"{code} {kind} {words}"):
        code = FILTERED
    fields: dict[str, Any] = {"status": status, "code": code, "param": param}
    if sentence := _REFUSALS.get(_STATUS_OF.get(code or "") or _STATUS_OF.get(kind or "") or status):
        hint = "" if urlsplit(address).path else f" (is it {address}/v1?)"
        hint += " (run again in some minutes if it was tuned just now)" if model.startswith("ft:") else ""
        text = sentence.format(address=address, words=words, model=model, key_name=key_name, hint=hint)
        return ServiceRefused(text, **fields)
    transient = status in {408, 409, 425, 429} or status >= 500
    wait = retry_after(headers) if transient else None
    return ServiceError(f"{address} answered {status}: {words}.", transient=transient, wait=wait, **fields)
