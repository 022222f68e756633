"""Row 1. Takes keys out of text before it is shown or written."""

import re

_SECRET = re.compile(
    r"\bsk-[A-Za-z0-9_*.-]{6,}"  # also the masked form that a 401 quotes: sk-abc****wxyz
    r"|(?i:bearer)\s+[A-Za-z0-9._~+/=-]{8,}"
    r"|\b(?:org|proj)[-_][A-Za-z0-9]{12,}"
)


def redact(text: str) -> str:
    """`text` without keys, bearer tokens and organisation ids.

    >>> redact("Incorrect API key provided: sk-abcd1234efgh. See the docs.")
    'Incorrect API key provided: [redacted] See the docs.'
    """
    return _SECRET.sub("[redacted]", text)
