"""Row 2. Reads the pages of a PDF in child processes, so that no page can cost more than its limits.

Each child holds the PDF open and is asked for one page at a time, whichever it is free for. One that dies has lost
the page that it was asked for, and another goes on behind that page. Children are started as a plain program:
multiprocessing would import the caller's script again in each of them, so that a script without a `__main__` guard,
a notebook or `python -c` would run itself anew.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from minirag.pdf.child import OUT_OF_MEMORY

PAGE_SECONDS = 10.0
"""Seconds of computing that a page may take. No page of the 116 documents tried takes one."""

OPENING_PAGES = 3
"""Opening the file may take as long as this many pages: its cross-reference table grows with it."""

MEMORY = 2**30
"""Bytes of address space of one child. Python, pypdf and the 169-page 10-K take less than a fifth of it."""

MOST_LOST = 10
"""Pages that may break their limits; behind them a document is not read on, so that one of 1,000 traps ends."""

MOST_PAGES = 20_000
MOST_TEXT = 2**26
"""Characters of one document; with these a document fits the memory, whatever it claims."""

SMALL = 2**18
"""Bytes of a document for which one process is enough until its pages are counted."""

PAGES_PER_CHILD = 8
"""Fewer pages than this take less time than a process takes to start."""

_CHILD = """
import sys, types
minirag = types.ModuleType("minirag")
minirag.__path__ = sys.argv[1:]
sys.modules["minirag"] = minirag
from minirag.pdf.child import main
main()
"""
"""Starts `pdf_child` out of the folder of minirag, without the package's `__init__`, which loads numpy and the rest."""


class RawPage(NamedTuple):
    """One page (from 1) as pypdf gives it; `error` names what kept it from being read, then `text` is empty.

    `hidden` are the pieces of the text that nobody who looks at the page can see.
    """

    number: int
    text: str
    error: str | None = None
    hidden: tuple[str, ...] = ()


class Unreadable(Exception):
    """A PDF cannot be opened: "encrypted", "AES" (a library is missing), "damaged", or the limit that it broke."""


def read_pages(data: bytes, *, workers: int, page_seconds: float, memory: int) -> list[RawPage]:
    """Every page of the PDF `data`, in order, by at most `workers` processes.

    Raises Unreadable, and OSError if no process can be started.
    """
    live = [_Worker(data, page_seconds, memory)]
    try:
        while len(live) < min(workers, 1 + len(data) // SMALL):  # all of them open it at the same time
            live.append(_Worker(data, page_seconds, memory))
        todo = deque(range(_count(live[0])))
        while len(live) < min(workers, len(todo) // PAGES_PER_CHILD):
            live.append(_Worker(data, page_seconds, memory))
        pages: list[RawPage] = []
        lost = characters = 0
        while busy := _busy(live, todo):
            for worker in _answering(busy):
                got = worker.take()
                pages += got
                characters += sum(len(page.text) for page in got)
                if worker.dead:
                    lost += 1
                    live.remove(worker)
                    worker.close()
                    live += [_Worker(data, page_seconds, memory)] if todo and lost < MOST_LOST else []
            if lost >= MOST_LOST:
                pages += _given_up(todo, f"{lost} pages broke their limits")
            elif characters > MOST_TEXT:
                pages += _given_up(todo, f"the others hold more than {MOST_TEXT:,} characters")
        return sorted(pages)
    finally:
        for worker in live:
            worker.close()


def _count(first: "_Worker") -> int:
    """The number of pages that the first worker finds; Unreadable if it cannot open the document."""
    opened = first.opened()
    if isinstance(opened, str):
        raise Unreadable(opened)
    if opened > MOST_PAGES:
        raise Unreadable(f"it has {opened:,} pages, more than {MOST_PAGES:,}")
    return opened


def _busy(live: "list[_Worker]", todo: deque[int]) -> "list[_Worker]":
    """The workers that have something to do, each idle one being given the next page first."""
    for worker in live:
        if worker.idle and todo:
            worker.ask(todo.popleft())
    return [worker for worker in live if not worker.idle]


def _answering(busy: "list[_Worker]") -> "list[_Worker]":
    """Those of the workers that have answered or died; waits for the first."""
    with selectors.DefaultSelector() as selector:
        for worker in busy:
            selector.register(worker, selectors.EVENT_READ)
        return [key.fileobj for key, _ in selector.select() if isinstance(key.fileobj, _Worker)]


def _given_up(todo: deque[int], reason: str) -> list[RawPage]:
    """The pages that are not asked for any more."""
    pages = [RawPage(index + 1, "", f"not read, because {reason}") for index in todo]
    todo.clear()
    return pages


class _Worker:
    """A child process with the PDF; at most one answer is under way at any time."""

    def __init__(self, data: bytes, page_seconds: float, memory: int) -> None:
        self.idle = False  # it opens the document
        self.dead = False
        self._index: int | None = None
        self._page_seconds = page_seconds
        self._memory = memory
        self._process = _start()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        limits = [len(data), OPENING_PAGES * page_seconds, page_seconds, memory]
        self._send(json.dumps(limits).encode() + b"\n")
        self._send(data)

    def fileno(self) -> int:
        return self._output.fileno()

    def opened(self) -> int | str:
        """The number of pages; why it cannot be opened if it cannot. Waits for the answer."""
        answer = self._answer()
        if answer is None:
            return self._fault(OPENING_PAGES)
        return str(answer["unreadable"]) if "unreadable" in answer else int(answer["pages"])

    def ask(self, index: int) -> None:
        self.idle, self._index = False, index
        self._send(b"%d\n" % index)

    def take(self) -> list[RawPage]:
        """The page that it was asked for; none if it was still opening the document."""
        answer, index, self._index = self._answer(), self._index, None
        if index is None:
            return []
        if answer is None:
            return [RawPage(index + 1, "", self._fault())]
        error = answer["error"] and _one_line(answer["error"])
        return [RawPage(index + 1, answer["text"], error, tuple(answer["hidden"]))]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        with suppress(BrokenPipeError):  # what it did not live to read
            self._input.close()
        self._output.close()

    def _answer(self) -> dict[str, Any] | None:
        """Its next line; None if it died over it."""
        line = self._output.readline()
        self.idle, self.dead = True, not line.endswith(b"\n")
        return None if self.dead else json.loads(line)

    def _fault(self, pages: int = 1) -> str:
        """Why it died over what may take the time of `pages` pages."""
        status = self._process.wait()
        if status == -signal.SIGPROF:
            return f"it takes more than {pages * self._page_seconds:g} seconds"
        if status == OUT_OF_MEMORY:
            return f"it takes more than {self._memory / 2**20:g} MiB of memory"
        return f"its reader ended with status {status}"

    def _send(self, data: bytes) -> None:
        """Hand over `data`; if the child is dead, waiting for its answer will tell."""
        with suppress(BrokenPipeError):
            self._input.write(data)
            self._input.flush()


def _start() -> "subprocess.Popen[bytes]":
    """A new child; it finds pypdf where this process does. A Ctrl-C in the terminal is for its parent only."""
    if getattr(sys, "frozen", False) or not sys.executable:
        raise OSError(None, "this application is without a Python to start")
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _CHILD, str(Path(__file__).parents[1])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
        process_group=0,
    )


def _one_line(error: str) -> str:
    """An error that quotes the document, fit for a terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in error).split())[:200]
