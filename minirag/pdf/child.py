"""Row 2. What a child process runs: it holds one PDF open and answers a page's index with what stands on that page.

It is started without `minirag/__init__`, and imports nothing that needs it: it is ready in half the time. The
kernel holds it to its limits, because a loop inside a regular expression or a decoder cannot be interrupted from
Python: it is ended by SIGPROF when it has computed for too long, and refused memory beyond its share.

In, on stdin: one line of JSON `[bytes of the PDF, seconds to open it, seconds a page, bytes of memory]`, the PDF, then
one index (from 0) a line. Out, on stdout, a line of JSON each: `{"pages": 169}` or `{"unreadable": "encrypted"}`, then
`{"text": …, "error": …, "hidden": […]}` a page. It ends when stdin does, so it never outlives its parent for long.
"""

import gc
import json
import logging
import math
import os
import resource
import signal
import sys
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

from minirag.pdf.content_stream import parse_contents

if TYPE_CHECKING:
    import pypdf

OUT_OF_MEMORY = 77
"""The exit status that says so."""

LONGEST_TEXT = 2**20
"""Characters of one page; a page of a book has 3,000, and what is beyond this is no page for people."""

LONGEST_DRAWING = 2**20
"""Bytes of a page's operators up to which hidden text is looked for; pypdf parses about a megabyte a second."""

MOST_COMPARISONS = 2_000_000
"""Of a piece of text with a place painted before it, on one page: a map has thousands of both. They take 0.1 s."""

HIDDEN_SHOWN = 2000
"""Characters of a page's hidden text that are kept."""

Matrix = tuple[float, ...]
Box = tuple[float, float, float, float]

EVERYWHERE: Box = (-math.inf, -math.inf, math.inf, math.inf)
SMALLEST = 1.0
"""Points: letters below this cannot be read."""

_SHOWN = frozenset((b"Tj", b"TJ", b"'", b'"'))
_COLOURS = frozenset((b"g", b"rg", b"k", b"sc", b"scn", b"cs"))
_LINES = frozenset((b"m", b"l", b"c", b"v", b"y"))
_FILLED = frozenset((b"f", b"F", b"f*", b"B", b"B*", b"b", b"b*"))
_UNFILLED = frozenset((b"S", b"s", b"n"))
_FOLLOWED = frozenset((b"q", b"Q", b"Tr", b"Tf", b"re", b"Do", b"INLINE IMAGE", b"sh")).union(
    _SHOWN, _COLOURS, _LINES, _FILLED, _UNFILLED
)
"""Half of a page's operators only move the pen."""

GARBAGE = 200_000
"""Objects made between two searches for garbage. A page leaves next to none, and to look for it took a seventh of
the time."""

WHITEST = 0.97
"""The least share of red, green and blue in what looks white on paper."""


def main() -> None:
    try:
        _serve()
    except MemoryError:
        os._exit(OUT_OF_MEMORY)


def _serve() -> None:
    length, opening_seconds, page_seconds, memory = json.loads(sys.stdin.buffer.readline())
    data = sys.stdin.buffer.read(length)
    import pypdf  # noqa: F401  (here, because the time it takes is not the document's)

    gc.set_threshold(GARBAGE)
    _limit_memory(memory)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, opening_seconds)
    reader, opened = _open(data)
    _answer(opened)
    for line in sys.stdin.buffer:
        signal.setitimer(signal.ITIMER_PROF, page_seconds)
        _answer(_read(reader, int(line)))


def _limit_memory(memory: int) -> None:
    """At most `memory` bytes of address space; macOS knows this limit and does not hold it."""
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    soft = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _answer(answer: dict[str, Any]) -> None:
    """Send a line; what follows, waiting for the next request, is not timed."""
    print(json.dumps(answer), flush=True)
    signal.setitimer(signal.ITIMER_PROF, 0)


def _open(data: bytes) -> "tuple[pypdf.PdfReader | None, dict[str, Any]]":
    import pypdf
    from pypdf.errors import DependencyError, FileNotDecryptedError

    logging.getLogger("pypdf").addHandler(logging.NullHandler())
    try:
        reader = pypdf.PdfReader(BytesIO(data))
        if reader.is_encrypted:
            reader.decrypt("")
        return reader, {"pages": len(reader.pages)}
    except FileNotDecryptedError:
        return None, {"unreadable": "encrypted"}
    except DependencyError:
        return None, {"unreadable": "AES"}
    except MemoryError:
        raise
    except Exception:  # pypdf documents that a broken file may raise anything
        return None, {"unreadable": "damaged"}


def _read(reader: "pypdf.PdfReader | None", index: int) -> dict[str, Any]:
    assert reader is not None  # nobody asks for a page of what could not be opened
    try:
        page = reader.pages[index]
        if _drawing(page) > LONGEST_DRAWING:
            text, hidden = page.extract_text(), []
        else:
            parse_contents(page)
            watch = HiddenText(_box(page))
            text = page.extract_text(
                visitor_operand_before=watch.before, visitor_operand_after=watch.after, visitor_text=watch.flush
            )
            hidden = watch.found
    except MemoryError:
        raise
    except Exception as error:  # pypdf documents that a broken page may raise anything
        return {"text": "", "error": f"{type(error).__name__}: {error}", "hidden": []}
    if len(text) > LONGEST_TEXT:
        return {"text": "", "error": f"it holds {len(text):,} characters, more than {LONGEST_TEXT:,}", "hidden": []}
    return {"text": text, "error": None, "hidden": hidden}


def _drawing(page: "pypdf.PageObject") -> int:
    """Bytes of operators on a page and in the forms that it names; what cannot be told is left to `extract_text`."""
    total = 0
    try:
        contents = page.get_contents()
        total += len(contents.get_data()) if contents is not None else 0
        resources: Any = page["/Resources"]
        for named in resources["/XObject"].values():
            form = named.get_object()
            total += len(form.get_data()) if form["/Subtype"] == "/Form" else 0
    except MemoryError:
        raise
    except Exception:  # a broken file may raise anything, and a broken form may be one that the page does not show
        return total
    return total


def _box(page: "pypdf.PageObject") -> Box:
    """The sheet, in points; everywhere if the file does not tell."""
    try:
        left, bottom, right, top = map(float, page.mediabox)
    except Exception:  # as above
        return EVERYWHERE
    return (left, bottom, right, top) if left < right and bottom < top else EVERYWHERE


class _Ink(NamedTuple):
    """What of the graphics state tells whether text can be seen."""

    white: bool = False
    mode: int = 0
    size: float = 12.0


class HiddenText:
    """Follows the operators of a page and keeps in `found` the text that no reader of the page can see.

    Hidden is text in render mode 3 or in white where nothing was painted before (the text layer of a scan stands on
    its image, a white heading on its bar), text smaller than a point, and text that lies outside the `sheet`.
    Not seen: text behind later drawing, outside a clipping path, in a layer that is off, or transparent.
    """

    def __init__(self, sheet: Box) -> None:
        self.found: list[str] = []
        self._sheet = sheet
        self._ink = _Ink()
        self._saved: list[_Ink] = []
        self._forms: list[tuple[Matrix, _Ink]] = []
        self._path: list[tuple[float, float]] = []
        self._painted: list[Box] = []
        self._comparisons = 0
        self._shown = {True: 0, False: 0}

    def before(self, operator: bytes, operands: list[Any], cm: list[float], tm: list[float]) -> None:
        """pypdf's visitor of each operator. A malformed one is left to pypdf, which skips it or fails as ever."""
        if operator not in _FOLLOWED:
            return
        try:
            self._follow(operator, operands, cm, tm)
        except (ArithmeticError, AttributeError, IndexError, TypeError, ValueError):
            return

    def after(self, operator: bytes, operands: list[Any], cm: list[float], tm: list[float]) -> None:
        """pypdf's visitor behind each operator: the end of a form restores what was before it."""
        if operator == b"Do" and self._forms:
            self._ink = self._forms.pop()[1]

    def flush(self, text: str, cm: list[float], tm: list[float], font: Any, size: float) -> None:
        """pypdf's visitor of text, called whenever it has a piece; it is hidden if more than half of it is."""
        if self._shown[True] > self._shown[False] and text.strip() and len("".join(self.found)) < HIDDEN_SHOWN:
            self.found.append(text.strip()[:HIDDEN_SHOWN])
        self._shown = {True: 0, False: 0}

    def _follow(self, operator: bytes, operands: list[Any], cm: list[float], tm: list[float]) -> None:
        if operator in _SHOWN:
            length = _length(operands[-1])
            self._shown[self._is_hidden(length, _times(tm, self._place(cm)))] += length
        elif operator == b"q":
            self._saved.append(self._ink)
        elif operator == b"Q":
            self._ink = self._saved.pop()
        elif operator == b"Tr":
            self._ink = self._ink._replace(mode=int(operands[0]))
        elif operator == b"Tf":
            self._ink = self._ink._replace(size=float(operands[1]))
        elif operator in _COLOURS:
            self._ink = self._ink._replace(white=_is_white(operator, operands))
        else:
            self._draw(operator, operands, cm)

    def _draw(self, operator: bytes, operands: list[Any], cm: list[float]) -> None:
        if operator in _LINES:
            self._path += zip(operands[::2], operands[1::2], strict=True)
        elif operator == b"re":
            x, y, width, height = operands
            self._path += [(x, y), (x + width, y), (x, y + height), (x + width, y + height)]
        elif operator in _FILLED:
            if not self._ink.white:
                self._paint(self._path, cm)
            self._path = []
        elif operator in _UNFILLED:
            self._path = []
        elif operator in (b"Do", b"INLINE IMAGE"):
            self._paint([(0, 0), (1, 0), (0, 1), (1, 1)], cm)  # an image; of a form, this is next to nothing
            if operator == b"Do":
                self._forms.append((self._place(cm), self._ink))
        elif operator == b"sh":
            self._painted.append(EVERYWHERE)

    def _is_hidden(self, length: int, place: Matrix) -> bool:
        """Whether `length` bytes of text that start at `place` cannot be seen."""
        x, y = place[4:]
        size = abs(self._ink.size) * math.hypot(place[2], place[3])
        left, bottom, right, top = self._sheet
        if size < SMALLEST:
            return True
        if not self._forms and (y > top or x > right or y + size < bottom or x + length * size < left):
            return True  # inside a form pypdf does not tell where the form is put
        if self._ink.mode == 3 or (self._ink.white and self._ink.mode in (0, 4)):
            self._comparisons += len(self._painted)
            return self._comparisons <= MOST_COMPARISONS and not any(
                a <= x <= c and b <= y <= d for a, b, c, d in self._painted
            )
        return False

    def _paint(self, path: list[tuple[float, float]], cm: list[float]) -> None:
        """Remember where something other than white was painted, as the upright box around it."""
        if path:
            a, b, c, d, e, f = self._place(cm)
            xs = [a * x + c * y + e for x, y in path]
            ys = [b * x + d * y + f for x, y in path]
            self._painted.append((min(xs) - 1, min(ys) - 1, max(xs) + 1, max(ys) + 1))

    def _place(self, cm: list[float]) -> Matrix:
        return _times(cm, self._forms[-1][0]) if self._forms else tuple(cm)


def _length(shown: Any) -> int:
    """Bytes of text in a string, or in an array of strings and distances."""
    return sum(len(part) for part in shown if isinstance(part, str | bytes)) if isinstance(shown, list) else len(shown)


def _is_white(operator: bytes, operands: list[Any]) -> bool:
    """Whether a colour is white on paper; one number in a named colour space may be anything, so it is not."""
    if operator == b"cs" or not all(isinstance(part, int | float) for part in operands):
        return False
    parts = [float(part) for part in operands]
    if operator == b"k" or len(parts) == 4:
        return max(parts) <= 1 - WHITEST
    return min(parts) >= WHITEST and (operator == b"g" or len(parts) == 3)


def _times(first: "list[float] | Matrix", then: "list[float] | Matrix") -> Matrix:
    a, b, c, d, e, f = first
    g, h, i, j, k, m = then
    return a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j, e * g + f * i + k, e * h + f * j + m
