"""Row 2. A page's content stream in pypdf's own objects, in a fraction of the time that its parser takes.

pypdf reads a stream byte by byte, which is most of its work on a page. Here one regular expression finds where the
tokens end, and pypdf's `read_object` reads each different one, once: a page of text has some hundred of them and
says them thousands of times. The expression knows plain streams only. Whatever else stands in one (inline images,
comments, nested arrays, anything malformed) leaves all of it to pypdf.

It is part of the child process, so it imports nothing of minirag but its like.
"""

import re
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pypdf

Operation = tuple[list[Any], bytes]

LONGEST_ARRAY = 10_000
"""Of strings and distances on a line; far beyond this, pypdf refuses."""

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
_TOKEN = re.compile(rb"(?:(" + _KNOWN + rb")|.+)" + _SKIP, re.DOTALL)
"""A token and the white space behind it; or all the rest, with an empty group, from where there is no known token."""


def operations(data: bytes) -> list[Operation] | None:
    """The (operands, operator) of a content stream, as `ContentStream(…, "bytes").operations` gives them.

    None where something stands in it that is left to pypdf.

    >>> operations(b"BT /F1 9 Tf [(To) -20 <6461>] TJ ET")
    [([], b'BT'), (['/F1', 9], b'Tf'), ([[b'To', -20, b'da']], b'TJ'), ([], b'ET')]
    >>> operations(b"q BI /W 1 /H 1 ID x EI Q")
    """
    from pypdf.generic import ArrayObject, read_object

    tokens = _TOKEN.findall(data.lstrip(_WHITE))
    if b"" in tokens[-1:]:
        return None
    known: dict[bytes, Any] = {}
    found: list[Operation] = []
    operands: list[Any] = []
    into = operands
    for token in tokens:
        if (operand := known.get(token)) is not None:
            into.append(operand)
        elif token[0] in b"[]":
            if (token == b"[") != (into is operands) or len(into) > LONGEST_ARRAY:
                return None
            into = ArrayObject() if token == b"[" else operands
            if token == b"[":
                operands.append(into)
        elif token[0] not in b"+-.0123456789/<(":
            if into is not operands:
                return None
            found.append((operands, token))
            into = operands = []
        else:
            operand = known[token] = read_object(BytesIO(token), None, "bytes")
            into.append(operand)
    return found if into is operands else None


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
