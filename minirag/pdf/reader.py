"""Read the pages of a PDF in child processes, so that no page can cost more than its limits; keep them in a cache.

Each of n children reads every n-th page. One that breaks a limit has lost the page that it was at, and another goes on
behind that page. Children are plain programs, because multiprocessing would import the caller's script again in each,
so that a script without a `__main__` guard, a notebook or `python -c` would run itself anew.
"""

import hashlib
import json
import os
import signal
import sys
from collections import deque
from contextlib import ExitStack, suppress
from pathlib import Path
from subprocess import DEVNULL, Popen
from tempfile import TemporaryFile
from typing import IO

from minirag.chunker import Page
from minirag.errors import DocumentError, Unfinished
from minirag.message_log import write_atomically

PAGE_SECONDS = 10.0
"""Seconds of computing that a page may take; no page of the 116 documents tried takes one."""
OPENING_PAGES = 3
"""Opening the file may take as long as this many pages: its cross-reference table grows with it."""
MEMORY = 2**30
"""Bytes of address space of one child; Python, pypdf and a 10-K of 169 pages take less than a fifth of it."""
BYTES_PER_CHILD = 2**17
"""A smaller document is read by one child, because starting another would take longer than reading its pages."""
CACHE_FORMAT = 4
CHILD = Path(__file__).with_name("child.py")
OUT_OF_MEMORY, TIME_OVER = 77, 1 if sys.platform == "win32" else -signal.SIGPROF
"""The exit status of a child that has broken a limit."""


def read_pdf(
    data: bytes,
    name: str,
    *,
    workers: int | None = None,
    cache: Path | None = None,
    page_seconds: float = PAGE_SECONDS,
    page_memory: int = MEMORY,
) -> list[Page]:
    """Return every page of the PDF `data` as pypdf gives it, in order; `name` is its source.

    At most `workers` processes read it (default: one a core); each page may take `page_seconds` of computing and
    `page_memory` bytes. The folder `cache` keeps the text of documents whose every page could be read.

    Raises DocumentError if `data` is no PDF, is damaged beyond reading, or needs a password.
    """
    import importlib.metadata  # takes half as long to load as all the rest of minirag

    version = importlib.metadata.version("pypdf")
    file = cache and cache / f"{hashlib.sha256(data).hexdigest()}-pypdf{version}-{CACHE_FORMAT}"
    if file:
        with suppress(OSError, ValueError):  # not there or damaged: read the document again
            return [Page(number, name, text) for number, text in enumerate(json.loads(file.read_bytes()), 1)]

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = min(workers or cores, 1 + len(data) // BYTES_PER_CHILD)
    try:
        pages = _read_in_children(data, name, count, page_seconds, page_memory)
    except ValueError as error:
        raise DocumentError(f"{name} {error}.") from error
    except OSError as error:
        raise DocumentError(f"{name} cannot be read ({error}).") from error
    if file and not any(page.error for page in pages):
        with suppress(Unfinished):  # a cache that cannot be written costs time and nothing else
            write_atomically(file, json.dumps([page.text for page in pages]).encode())
    return pages


def _read_in_children(data: bytes, name: str, count: int, page_seconds: float, memory: int) -> list[Page]:
    """Return all pages. Raises ValueError if the document cannot be opened, and OSError if no child can be started."""
    pages: dict[int, Page] = {}
    total = 0
    with ExitStack() as stack:  # at its end, and on Ctrl-C, children are killed and the unnamed files are gone
        document = stack.enter_context(TemporaryFile())
        document.write(data)
        document.flush()
        limits = [page_seconds, OPENING_PAGES * page_seconds, memory]
        running = deque((_start(stack, document, [first, count, *limits]), first) for first in range(count))
        while running:
            (process, output), index = running.popleft()
            status = process.wait()
            output.seek(0)
            with output:
                lines = output.read().splitlines(keepends=True)
            answers = [json.loads(line) for line in lines if line.endswith(b"\n")]
            if not answers:
                reason = _limit(status, OPENING_PAGES * page_seconds, memory)
                raise ValueError(f"cannot be opened ({reason}); open it in a viewer and save it as a new PDF")
            if "unreadable" in answers[0]:
                raise ValueError(answers[0]["unreadable"])
            total = answers[0]["pages"]
            for answer in answers[1:]:
                pages[index] = Page(index + 1, name, answer["text"], answer["error"])
                index += count
            if status != 0 and index < total:
                pages[index] = Page(index + 1, name, "", _limit(status, page_seconds, memory))
                running.append((_start(stack, document, [index + count, count, *limits]), index + count))
    return [pages[index] for index in range(total)]


def _start(stack: ExitStack, document: IO[bytes], arguments: list[float]) -> "tuple[Popen[bytes], IO[bytes]]":
    """Return a new child process and the file that it writes to; it finds pypdf where this process does."""
    output = stack.enter_context(TemporaryFile())  # noqa: SIM115
    process = Popen(
        [sys.executable, "-P", CHILD, *map(str, arguments)],
        stdin=document,
        stdout=output,
        stderr=DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)},
        process_group=0,  # a Ctrl-C in the terminal is for its parent only
    )
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process, output


def _limit(status: int, seconds: float, memory: int) -> str:
    """Say which limit a child broke that ended with `status`."""
    if status == TIME_OVER:
        return f"it takes more than {seconds:g} seconds"
    if status == OUT_OF_MEMORY:
        return f"it takes more than {memory / 2**20:g} MiB of memory"
    return f"its reader ended with status {status}"
