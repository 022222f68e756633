"""Row 1. Text from strangers, made harmless to look at: what could move, hide or reorder text is shown by its code."""

import re

_UNSAFE = re.compile(
    "[\0-\x1f\x7f-\x9f"  # controls: a terminal obeys some of them (escape sequences, line feeds over what stands there)
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks that turn the direction of writing
    "\u2028\u2029"  # further line ends
    "\ud800-\udfff]"  # half characters, which cannot be written at all
)


def visible(text: str, keep: str = "") -> str:
    """`text` on one line, with its controls, direction marks and line ends (but those in `keep`) as codes.

    >>> visible("red: \\x1b[31m, turned: \\u202e")
    'red: \\\\u{1b}[31m, turned: \\\\u{202e}'
    """
    return _UNSAFE.sub(lambda found: found[0] if found[0] in keep else f"\\u{{{ord(found[0]):x}}}", text)


def visible_json(text: str) -> str:
    """JSON text on one line with the same characters as JSON escapes: the same value, harmless in a terminal."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
