"""Row 9. Talking to a person: data on stdout, talk and progress on stderr, 79 columns.

Everything goes out through here, without keys and with what a terminal would obey shown by its code.
"""

import json
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from minirag.redact import redact
from minirag.visible import visible, visible_json

WIDTH = 79


def say(line: str) -> None:
    """A line of talk, over the progress line if there is one."""
    line = visible(redact(line))
    print(f"\r\033[K{line}" if sys.stderr.isatty() else line, file=sys.stderr, flush=True)


def quote(text: str, margin: str = "  ") -> None:
    """Somebody's text as talk: one paragraph of lines that fit, each behind a margin.

    It is folded before it is shown, so the line ends are ours.
    """
    for line in textwrap.wrap(" ".join(visible(redact(text)).split()), WIDTH - len(margin)):
        say(f"{margin}{line}")


def show(text: str) -> None:
    """Data for a person; its line ends are ours, since `table` and `cut` leave none of a document or a model."""
    print(visible(redact(text), keep="\n"))


def show_json(value: Any) -> None:
    """Data for a program: one JSON value on one line."""
    print(visible_json(redact(json.dumps(value, ensure_ascii=False, default=vars))))


class Progress:
    """One line on a terminal, rewritten; nothing where there is none (each step says a line of its own)."""

    def __call__(self, step: str, done: int, total: int) -> None:
        if sys.stderr.isatty():
            count = f" {done}/{total}" if total else " …"
            print(f"\r\033[K{visible(redact(step))}{count}"[:90], end="", file=sys.stderr, flush=True)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], text_columns: int = 1) -> str:
    """Rows under a head, columns as wide as they must be: the first `text_columns` to the left, numbers to the right.

    >>> print(table(["stage", "calls"], [["draft", "64"], ["refine", "7"]]))
    stage   calls
    draft      64
    refine      7
    """
    head, rows = [visible(cell) for cell in head], [[visible(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = []
    for row in (head, *rows):
        cells = [
            cell.ljust(w) if i < text_columns else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def choose(prompt: str, keys: str) -> str:
    """The first of `keys` that a line from stdin begins with, asked for until one does; `q` at the end of stdin."""
    while True:
        print(prompt, end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        key = line.strip()[:1].casefold()
        if not line:
            print(file=sys.stderr)
            return "q"
        if key and key in keys:
            return key


def cut(line: str) -> str:
    """A line that is too long, cut to fit."""
    line = visible(redact(line))
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"


def number(value: float | None, digits: int = 3) -> str:
    """A number with three decimals, or a dash for None."""
    return "–" if value is None else f"{value:.{digits}f}"
