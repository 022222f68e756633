"""Row 1. Takes keys out of whatever is shown or written: those in use, and in talk whatever looks like one.

A key in use is known by its value, whatever its form, to the whole process: `keep_out` is told it by whoever is given
it, and no file, log, error or line of talk shows it from then on. Documents and replies are raw but for that.
"""

import html
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

OPENAI_KEY, STUDENT_KEY, TUNED_KEY = KEY_NAMES = (
    "OPENAI_API_KEY",
    "MINIRAG_STUDENT_API_KEY",
    "MINIRAG_TUNED_API_KEY",
)
"""The variables of the environment that hold keys."""
MARK = "[redacted]"
_SECRET = re.compile(
    r"\bsk-[A-Za-z0-9_*.-]{6,}"  # also the masked form that a 401 quotes: sk-abc****wxyz
    r"|(?i:bearer)\s+[A-Za-z0-9._~+/=-]{8,}"
    r"|\b(?:org|proj)[-_][A-Za-z0-9]{12,}"
    r"|(?<=://)[^\s/@?#'\"]+(?=@)"  # the name and password of an address
    r"|(?<=password=)[^\s&#'\"]+"
)
_NO_SECRET = re.compile(r".{0,7}|[A-Za-z_-]{0,19}")
"""What local services are given in place of a key: EMPTY, ollama, lm-studio, no-key-required."""
_in_use: list[str] = []


def keep_out(secret: str) -> None:
    """From now on this key, as it is and as JSON, HTML and addresses spell it, is in nothing that is shown or written.

    A word that stands in place of a key (under 8 characters, or under 20 without a digit) is no secret.
    """
    if _NO_SECRET.fullmatch(secret):
        return
    spelt = {secret, html.escape(secret), quote(secret, safe=""), json.dumps(secret)[1:-1]}
    _in_use.extend(form for form in sorted(spelt, key=len, reverse=True) if form not in _in_use)


def redact(text: str) -> str:
    """`text` without keys, bearer tokens, organisation ids, and names and passwords of addresses.

    >>> redact("Incorrect API key provided: sk-abcd1234efgh. See https://me:pass@host/docs.")
    'Incorrect API key provided: [redacted] See https://[redacted]@host/docs.'
    """
    for form in _in_use:
        text = text.replace(form, MARK)
    return _SECRET.sub(MARK, text)


def redact_json(value: Any) -> Any:
    """A JSON value with every text in it redacted.

    >>> redact_json({"error": ["Bearer abcdefgh", 401]})
    {'error': ['[redacted]', 401]}
    """
    if isinstance(value, Mapping):
        return {redact(str(name)): redact_json(item) for name, item in value.items()}
    if isinstance(value, list):
        return [redact_json(item) for item in value]
    return redact(value) if isinstance(value, str) else value


def without_keys(data: bytes) -> bytes:
    """The bytes of a file without the keys in use; all else stays, also what only looks like a key."""
    for form in _in_use:
        data = data.replace(form.encode("utf-8", "surrogatepass"), MARK.encode())
    return data
