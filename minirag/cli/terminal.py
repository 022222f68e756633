"""Row 9. Talking to a person: data on stdout, talk and progress on stderr, 79 columns.

Everything goes out through here, without keys and with what a terminal would obey shown by its code.
"""

import json
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from typing import Any

from minirag.cli.visible import visible, visible_json
from minirag.errors import Unfinished, redact

WIDTH = 79
EVERY = 30.0
"""Seconds between two lines of progress where there is no terminal."""
SOON = 3.0
"""Seconds after which a step can tell how long it will take."""


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
    _put(visible(redact(text), keep="\n"))


def show_json(value: Any) -> None:
    """Data for a program: one JSON value on one line."""
    _put(visible_json(redact(json.dumps(value, ensure_ascii=False, default=vars))))


def _put(data: str) -> None:
    """Write to stdout, or raise Unfinished; a reader that has gone away raises BrokenPipeError."""
    try:
        print(data, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Unfinished(f"Cannot write what was found to stdout: {error.strerror}.") from error


class Progress:
    """How far a step is: on a terminal one line, rewritten; elsewhere a plain line now and then.

    Hears (step, done, total); `clock` is in seconds.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, on_terminal: Callable[[], bool] | None = None
    ) -> None:
        self._clock = clock
        self._on_terminal = on_terminal or sys.stderr.isatty
        self._step, self._began, self._first, self._said = "", 0.0, 0, 0.0

    def __call__(self, step: str, done: int, total: int) -> None:
        name, now = step.partition(" (")[0], self._clock()
        if name != self._step:
            self._step, self._began, self._first, self._said = name, now, done, now
        if self._on_terminal():
            print(f"\r\033[K{self._line(step, done, total, now)}", end="", file=sys.stderr, flush=True)
        elif now - self._said >= EVERY:
            self._said = now
            print(self._line(step, done, total, now), file=sys.stderr, flush=True)

    def _line(self, step: str, done: int, total: int, now: float) -> str:
        parts = [f"{step} {done}/{total}" if total else f"{step} …"]
        past, ran = done - self._first, now - self._began
        if past > 0 and ran >= SOON and done < total:
            parts.append(f"about {duration(ran / past * (total - done))} left")
        return cut(", ".join(parts))


def duration(seconds: float) -> str:
    """Return a time in its two largest units.

    >>> duration(4.2), duration(200), duration(7260), duration(100000)
    ('4 s', '3 min 20 s', '2 h 1 min', '1 d 3 h')
    """
    for large, small, size, part in (("d", "h", 86400, 3600), ("h", "min", 3600, 60), ("min", "s", 60, 1)):
        if seconds >= size:
            rest = int(seconds % size // part)
            return f"{int(seconds // size)} {large}" + (f" {rest} {small}" if rest else "")
    return f"{seconds:.0f} s"


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
