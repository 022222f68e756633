"""Row 2. A page's content stream in pypdf's own objects, in a fraction of the time that its parser takes.

pypdf reads a stream byte by byte, which is most of its work on a page. Here one regular expression finds where the
tokens end, and pypdf's `read_object` reads each different short one, once: a document has some thousand of them and
says them a million times. The expression knows plain streams only. Whatever else stands in one (inline images,
comments, nested arrays, anything malformed) leaves all of it to pypdf.

It is part of the child process, so it imports nothing of minirag but its like.
"""

import re
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pypdf

Operation = tuple[list[Any], bytes]

LONGEST_ARRAY = 10_000
"""Of strings and distances on a line; far beyond this, pypdf refuses."""

SHORT = 40
"""Bytes of a token that is likely to come again; the objects of longer ones are not kept."""

_WHITE = b"\0\t\n\f\r "
_SKIP = rb"[\x00\t\n\f\r ]*+"
_REGULAR = rb"[^\s()<>\[\]{}/%]"

# Where pypdf would look beyond a token, there is none: each is shorter than the part that it reads at a time, BI
# begins an image, R ends a reference, and "stream" may follow a dictionary.
_NUMBER = rb"[+\-.0-9][+,\-.0-9]{0,39}+(?![+,\-.0-9])"
_NAME = rb"/" + _REGULAR + rb"{0,99}+(?!" + _REGULAR + rb")"
_HEXADECIMAL = rb"<[\x00\t\n\f\r 0-9A-Fa-f]*+>"
_PLAIN = rb"[^()\\]++|\\."
_STRING = rb"\((?:" + _PLAIN + rb"|\((?:" + _PLAIN + rb")*+\))*+\)"
_SIMPLE = rb"|".join((_NUMBER, _NAME, _HEXADECIMAL, _STRING))
_ARRAY = rb"\[(?:" + _SKIP + rb"(?:" + _SIMPLE + rb"))*+" + _SKIP + rb"\]"
_ENTRY = _SKIP + _NAME + _SKIP + rb"(?:" + _SIMPLE + rb"|" + _ARRAY + rb")"
_DICTIONARY = rb"<<(?:" + _ENTRY + rb")*+" + _SKIP + rb">>"
_OPERATOR = (
    rb"(?!BI(?!" + _REGULAR + rb")|R(?![A-Za-z])|stream)[A-Za-z'\"]" + _REGULAR + rb"{0,14}+(?!" + _REGULAR + rb")"
)
_KNOWN = rb"|".join((_SIMPLE, _OPERATOR, rb"[\[\]]", _DICTIONARY))
_OPENS_OPERAND = frozenset(b"+-.0123456789/<(")
_TOKEN = re.compile(rb"(?:(" + _KNOWN + rb")|.+)" + _SKIP, re.DOTALL)
"""A token and the white space behind it; or all the rest, with an empty group, from where there is no known token."""


def operations(data: bytes) -> list[Operation] | None:
    """The (operands, operator) of a content stream, as `ContentStream(…, "bytes").operations` gives them.

    None where something stands in it that is left to pypdf.

    >>> operations(b"BT /F1 9 Tf [(To) -20 <6461>] TJ ET")
    [([], b'BT'), (['/F1', 9], b'Tf'), ([[b'To', -20, b'da']], b'TJ'), ([], b'ET')]
    >>> operations(b"q BI /W 1 /H 1 ID x EI Q")
    """
    from pypdf.generic import ArrayObject

    tokens = _TOKEN.findall(data.lstrip(_WHITE))
    if b"" in tokens[-1:]:
        return None
    found: list[Operation] = []
    operands: list[Any] = []
    into = operands
    for token in tokens:
        first = token[0]
        if first in _OPENS_OPERAND:
            into.append(_object(token) if len(token) <= SHORT and token[:2] != b"<<" else _read(token))
        elif first in b"[]":
            if (token == b"[") != (into is operands) or len(into) > LONGEST_ARRAY:
                return None
            into = ArrayObject() if token == b"[" else operands
            if token == b"[":
                operands.append(into)
        elif into is not operands:
            return None
        else:
            found.append((operands, token))
            into = operands = []
    return found if into is operands else None


def _read(token: bytes) -> Any:
    from pypdf.generic import read_object

    return read_object(BytesIO(token), None, "bytes")


@lru_cache(1 << 16)
def _object(token: bytes) -> Any:
    """A number, a name or a string, which nobody can change."""
    return _read(token)


def parse_contents(page: "pypdf.PageObject") -> None:
    """Give `page` its contents parsed, so that `extract_text` has no need to; or leave it as it is."""
    from pypdf.generic import NameObject

    try:
        content = page.get_contents()
        parsed = None if content is None else operations(content.get_data())
        if content is not None and parsed is not None:
            content.operations = parsed
            page[NameObject("/Contents")] = content
    except MemoryError:
        raise
    except Exception:  # a broken page may raise anything, and another pypdf; what it is, `extract_text` will tell
        return
