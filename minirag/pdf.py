"""Row 2. The raw text of each page of a PDF, by pypdf on all cores, cached by the hash of the file.

Pages are read by child processes that run this module alone. multiprocessing would import the caller's script
again in each child, so that a script without a `__main__` guard, a notebook or `python -c` would run itself anew.
"""

import hashlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from minirag.errors import DocumentError, Unfinished
from minirag.files import write_atomically

if TYPE_CHECKING:
    import pypdf

FORMAT = 1
"""Part of the name of a cached file: raise it when what is cached changes."""

PAGES_PER_CHILD = 8
"""Fewer pages than this take less time than a process takes to start."""

_CHILD = "from minirag.pdf import child; child()"
_QUIET = logging.NullHandler()  # without a handler Python prints pypdf's warnings on stderr


class RawPage(NamedTuple):
    """One page (from 1) as pypdf gives it; `error` names what kept it from being read, then `text` is empty."""

    number: int
    text: str
    error: str | None = None


def pdf_pages(data: bytes, name: str, *, workers: int | None, cache: Path | None) -> list[RawPage]:
    """Every page of the PDF `data`, in order; `name` is what errors call it.

    `workers` processes are used at most (default: one a core), fewer for a short document. The text is taken from
    the folder `cache` if it is there, and kept there if every page could be read. Raises DocumentError for what
    is no PDF, is damaged beyond reading, or needs a password.
    """
    import importlib.metadata  # half as long to load as all the rest of minirag

    kept = cache and cache / f"{hashlib.sha256(data).hexdigest()}-pypdf{importlib.metadata.version('pypdf')}-{FORMAT}"
    if kept and (texts := _from_cache(kept)) is not None:
        return [RawPage(number, text) for number, text in enumerate(texts, 1)]
    count = _page_count(data, name)
    children = min(workers or _cores(), count // PAGES_PER_CHILD)
    pages = _in_children(data, count, children) if children > 1 and _can_start_python() else []
    missing = set(range(count)) - {page.number - 1 for page in pages}
    if missing:
        pages += read_pages(data, sorted(missing))
    pages.sort()
    if kept and not any(page.error for page in pages):
        _to_cache(kept, [page.text for page in pages])
    return pages


def read_pages(data: bytes, indexes: Sequence[int]) -> list[RawPage]:
    """The pages of the PDF `data` at `indexes` (from 0), one after the other, in this process."""
    reader = _open(data)
    pages = []
    for index in indexes:
        try:
            pages.append(RawPage(index + 1, reader.pages[index].extract_text()))
        except Exception as error:  # pypdf documents that a broken page may raise anything
            pages.append(RawPage(index + 1, "", f"{type(error).__name__}: {error}"[:200]))
    return pages


def _open(data: bytes) -> "pypdf.PdfReader":
    import pypdf

    logging.getLogger("pypdf").addHandler(_QUIET)
    reader = pypdf.PdfReader(BytesIO(data))
    if reader.is_encrypted:
        reader.decrypt("")
    return reader


def _page_count(data: bytes, name: str) -> int:
    """The number of pages; opening the document here first gives each unusable one its sentence."""
    from pypdf.errors import DependencyError, FileNotDecryptedError

    try:
        return len(_open(data).pages)
    except FileNotDecryptedError as error:
        raise DocumentError(f"{name} is encrypted; save a copy that needs no password and give that.") from error
    except DependencyError as error:
        raise DocumentError(f"{name} is encrypted with AES; run `pip install cryptography` to read it.") from error
    except Exception as error:  # pypdf documents that a broken file may raise anything
        raise DocumentError(f"{name} is damaged or no PDF; open it in a viewer and save it as a new PDF.") from error


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _can_start_python() -> bool:
    """Whether `sys.executable` is Python: in a frozen application it is the application."""
    return bool(sys.executable) and not getattr(sys, "frozen", False)


def _in_children(data: bytes, count: int, children: int) -> list[RawPage]:
    """The pages that `children` processes give; every n-th page each, so that slow stretches are shared."""
    with ThreadPoolExecutor(children) as pool:
        parts = pool.map(lambda first: _in_child(data, range(first, count, children)), range(children))
        return [page for part in parts for page in part]


def _in_child(data: bytes, indexes: range) -> list[RawPage]:
    """The pages that one process gives; none if it could not start or finish: then the caller reads them itself."""
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    arguments = [str(number) for number in (indexes.start, indexes.stop, indexes.step)]
    ran = subprocess.run(
        [sys.executable, "-P", "-c", _CHILD, *arguments],
        input=data,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    return [RawPage(*page) for page in json.loads(ran.stdout)] if ran.returncode == 0 else []


def child() -> None:
    """What a child process runs: the PDF on stdin, its pages as JSON on stdout."""
    indexes = range(*map(int, sys.argv[1:4]))
    json.dump(read_pages(sys.stdin.buffer.read(), indexes), sys.stdout)


def _from_cache(file: Path) -> list[str] | None:
    """The texts kept in `file`; None if it is not there or not whole, which costs time and nothing else."""
    try:
        digest, _, body = file.read_bytes().partition(b"\n")
    except OSError:
        return None
    if digest != hashlib.sha256(body).hexdigest().encode():
        return None
    texts: list[str] = json.loads(body)
    return texts


def _to_cache(file: Path, texts: list[str]) -> None:
    """Keep `texts` for the next time; a folder that cannot be written costs time and nothing else."""
    body = json.dumps(texts).encode()
    with suppress(Unfinished):
        write_atomically(file, hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
