"""Row 2. The raw text of each page of a PDF, cached by the hash of the file, and a sentence for each unusable one."""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

from minirag.errors import DocumentError, Unfinished
from minirag.files import write_atomically
from minirag.pdf.workers import MEMORY, PAGE_SECONDS, RawPage, Unreadable, read_pages

FORMAT = 2
"""Part of the name of a cached file: raise it when what is cached changes."""

_UNREADABLE = {
    "encrypted": "is encrypted; save a copy that needs no password and give that",
    "AES": "is encrypted with AES; run `pip install cryptography` to read it",
    "damaged": "is damaged or no PDF; open it in a viewer and save it as a new PDF",
}


def pdf_pages(
    data: bytes,
    name: str,
    *,
    workers: int | None = None,
    cache: Path | None = None,
    page_seconds: float = PAGE_SECONDS,
    memory: int = MEMORY,
) -> list[RawPage]:
    """Every page of the PDF `data`, in order; `name` is what errors call it.

    `workers` processes are used at most (default: one a core), fewer for a short document; each page may take
    `page_seconds` of computing and `memory` bytes. The text is taken from the folder `cache` if it is there, and
    kept there if every page could be read. Raises DocumentError for what is no PDF, is damaged beyond reading, or
    needs a password.
    """
    import importlib.metadata  # half as long to load as all the rest of minirag

    kept = cache and cache / f"{hashlib.sha256(data).hexdigest()}-pypdf{importlib.metadata.version('pypdf')}-{FORMAT}"
    if kept and (known := _from_cache(kept)) is not None:
        return known
    try:
        pages = read_pages(data, workers=workers or _cores(), page_seconds=page_seconds, memory=memory)
    except Unreadable as error:
        otherwise = f"cannot be opened ({error}); open it in a viewer and save it as a new PDF"
        raise DocumentError(f"{name} {_UNREADABLE.get(str(error), otherwise)}.") from error
    except OSError as error:
        raise DocumentError(
            f"{name} cannot be read ({error.strerror}); save it as plain text and give that."
        ) from error
    if kept and not any(page.error for page in pages):
        _to_cache(kept, pages)
    return pages


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _from_cache(file: Path) -> list[RawPage] | None:
    """The pages kept in `file`; None if it is not there or not whole, which costs time and nothing else."""
    try:
        digest, _, body = file.read_bytes().partition(b"\n")
    except OSError:
        return None
    if digest != hashlib.sha256(body).hexdigest().encode():
        return None
    return [RawPage(number, text, None, tuple(hidden)) for number, (text, hidden) in enumerate(json.loads(body), 1)]


def _to_cache(file: Path, pages: list[RawPage]) -> None:
    """Keep `pages` for the next time; a folder that cannot be written costs time and nothing else."""
    body = json.dumps([(page.text, page.hidden) for page in pages]).encode()
    with suppress(Unfinished):
        write_atomically(file, hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
