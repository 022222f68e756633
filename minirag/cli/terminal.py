"""Output for people and programs: data on stdout, messages and progress on stderr, lines of at most 79 characters.

Everything is printed through this file, without keys, and with control characters replaced by their codes.
"""

import json
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from minirag.errors import UNSAFE, Unfinished, printable, redact

WIDTH = 79


def say(line: str) -> None:
    """Print a message to stderr, over the progress line if there is one."""
    line = printable(redact(line))
    print(f"\r\033[K{line}" if sys.stderr.isatty() else line, file=sys.stderr, flush=True)


def show(text: str) -> None:
    """Print a result for a person to stdout.

    Its line ends are kept: `table` and `cut` have removed those of documents and models.
    """
    try:
        print(printable(redact(text), keep="\n"), flush=True)
    except BrokenPipeError:  # the reader has gone; `main` handles it
        raise
    except OSError as error:
        raise Unfinished(f"Cannot write the result to stdout: {error.strerror}.") from error


def show_json(value: Any) -> None:
    """Print a result for a program to stdout: one JSON value on one line."""
    text = redact(json.dumps(value, ensure_ascii=False, default=vars))
    show(UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text))  # as JSON escapes: the same value


def table(head: Sequence[str], rows: Sequence[Sequence[str]], text_columns: int = 1) -> str:
    """Return rows under a head, each column as wide as its widest cell; numbers are aligned to the right.

    The first `text_columns` columns hold text, the others numbers.

    >>> print(table(["stage", "calls"], [["draft", "64"], ["refine", "7"]]))
    stage   calls
    draft      64
    refine      7
    """
    lines = [[printable(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    sides = "<" * text_columns + ">" * len(widths)
    cells = [[f"{cell:{side}{n}}" for cell, side, n in zip(line, sides, widths, strict=False)] for line in lines]
    return "\n".join("  ".join(line).rstrip() for line in cells)


def wrapped(line: str) -> str:
    """Return a sentence on as many lines as it needs, those after the first one indented further."""
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return textwrap.fill(line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def cut(line: str) -> str:
    """Return a line shortened to fit the terminal."""
    line = printable(redact(line))
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"
