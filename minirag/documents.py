"""Row 2. Documents become pages: PDF, plain text and Markdown files, and http(s) addresses of these.

The text of a source is the plain concatenation of its pages' texts, with nothing between them; offsets of chunks
count in it. So that no two words grow together there, each page's text ends with a line end unless it is empty.
"""

import codecs
import hashlib
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from minirag.download import download
from minirag.errors import DocumentError, InputError
from minirag.pdf.cache import pdf_pages
from minirag.pdf.cleaning import clean_characters, clean_pages
from minirag.pdf.suspicious import suspicious
from minirag.pdf.workers import MEMORY, MOST_PAGES, PAGE_SECONDS, RawPage
from minirag.spread import IN_FLIGHT, spread

Source = str | os.PathLike[str]

BLOCK = 3000
"""Characters in a page of a text that has no pages of its own, at most."""

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_ENCODING = re.compile(r"(?!idna|punycode|undefined|(?:raw[-_ ])?unicode[-_ ]escape)[a-z0-9][\w.-]{1,30}", re.I | re.A)
"""Names of character sets; Python knows other things by that name, some of them slow."""

_HTML = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?<(?:!doctype html|html)\b", re.IGNORECASE)
_CONTROLS = bytes({*range(32)} - {*b"\t\n\v\f\r\x1b"})
_MARKDOWN_SUFFIXES = (".md", ".markdown")
_TEXT_SUFFIXES = (".txt", *_MARKDOWN_SUFFIXES)
_HEADING = re.compile(r"\n(?=#{1,6} )")
_BORDERS = tuple(map(re.compile, (r"\n[ \t]*\n+", r"\n", r"[.!?…]\s+|[。！？]", r"\s+")))  # the best one first


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its number in its source (from 1), the source as it was given, its cleaned text."""

    number: int
    source: str
    text: str


class EmptyPage(NamedTuple):
    """A page that gave no text; `error` says why if it could not be read, and is None if nothing stands on it."""

    source: str
    number: int
    error: str | None = None


class SuspiciousText(NamedTuple):
    """What somebody should look at: the `reason` is "hidden text", "instruction" or "invisible characters"."""

    source: str
    number: int
    reason: str
    excerpt: str


class Pages(list[Page]):
    """The pages of one or more documents, in order, the empty ones included.

    `removed`     what cleaning took out, by kind: lines of "running header", "running footer" and "page number",
                  characters of "NUL", "lone surrogate" and "control character"
    `empty`       the pages without text, in order
    `suspicious`  text that is hidden from people or told to a model, in order of pages; nothing of it is removed
    `sha256`      source -> hash of the bytes it was read from
    """

    def __init__(
        self,
        pages: Iterable[Page] = (),
        *,
        removed: Counter[str] | None = None,
        empty: Iterable[EmptyPage] = (),
        suspicious: Iterable[SuspiciousText] = (),
        sha256: dict[str, str] | None = None,
    ) -> None:
        super().__init__(pages)
        self.removed: Counter[str] = Counter(removed)
        self.empty = list(empty)
        self.suspicious = list(suspicious)
        self.sha256 = dict(sha256 or {})

    def add(self, others: "Pages") -> None:
        """Append the pages of other documents, and all that is known of them."""
        self += others
        self.removed += others.removed
        self.empty += others.empty
        self.suspicious += others.suspicious
        self.sha256 |= others.sha256


class _Limits(NamedTuple):
    """How a document is read: see `load`."""

    workers: int | None
    cache: Path | bool | None
    page_seconds: float
    page_memory: int


class _Document(NamedTuple):
    """The bytes of a source, and what is known of their kind."""

    source: str
    data: bytes
    suffix: str
    media_type: str = ""
    charset: str | None = None


def load(
    *sources: Source | Sequence[Source],
    workers: int | None = None,
    cache: Source | bool | None = True,
    timeout: float = 60.0,
    max_bytes: int = 256 * 2**20,
    page_seconds: float = PAGE_SECONDS,
    page_memory: int = MEMORY,
    executor: Executor | None = None,
    in_flight: int = IN_FLIGHT,
) -> Pages:
    """Read `sources` (paths or http(s) addresses, one by one or as a list) into cleaned pages.

    A PDF's pages are its own. Plain text and Markdown (UTF-8, or UTF-16 with its mark) have a page break at each
    form feed; without any, blocks of at most 3,000 characters serve as pages, cut at a heading (Markdown), a
    paragraph, a line, a sentence or a word, the first of these that stands in the block's second half.

    A PDF is read in child processes: a page that breaks its limits is empty and named in `Pages.empty`, and behind
    ten of them the document is not read on. What looks planted, in any document, is named in `Pages.suspicious`. An
    address that the user names may be in a private network; a redirect may not lead from a public address into one,
    nor from https to http. No more than the address is sent anywhere.

    With an `executor` (any of `concurrent.futures`, or another library's, on this machine or others) each document is
    read by one of its workers, where minirag must be installed; a PDF by child processes of that worker, within the
    same limits. The pages are the same. Documents are opened and addresses fetched here.

    `workers`       processes to read a PDF with; default one a core, with an executor one
    `cache`         the folder that keeps the extracted text of PDFs; True is the user's (XDG), None or False is none
    `timeout`       seconds that an address may take
    `max_bytes`     what a file may hold or an address send
    `page_seconds`  of computing that a page of a PDF may take; opening the file may take three times as long
    `page_memory`   bytes that a process may take for it
    `in_flight`     documents that an executor has at a time

    Raises InputError if a document is given twice, DocumentError if one cannot be read or holds no text, Unfinished
    if the executor fails.

    >>> load("no-such-file.pdf")
    Traceback (most recent call last):
    minirag.errors.DocumentError: no-such-file.pdf does not exist; check the path.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers is {workers}; give at least 1.")
    if not 0 < page_seconds < math.inf or page_memory < 1:
        raise InputError(f"A page may take {page_seconds} seconds and {page_memory} bytes; give more than 0 of both.")
    if in_flight < 1:
        raise InputError(f"in_flight is {in_flight}; give at least 1.")
    pages = Pages()
    documents = _opened(_flat(sources), timeout, max_bytes, pages.sha256)
    folder = cache if isinstance(cache, bool | None) else Path(cache).absolute()  # workers may start elsewhere
    limits = _Limits(workers if executor is None else workers or 1, folder, page_seconds, page_memory)
    read = partial(_pages_of, limits=limits)
    found = map(read, documents) if executor is None else spread(executor, read, documents, in_flight)
    for each in found:
        pages.add(each)
    return pages


def _opened(sources: Iterable[Source], timeout: float, max_bytes: int, sha256: dict[str, str]) -> Iterator[_Document]:
    """The documents, one after the other, their hashes noted in `sha256`; InputError if one is there twice."""
    seen: dict[str, str] = {}
    for source in sources:
        document = _fetch(source, timeout, max_bytes) if _is_address(source) else _read(source, max_bytes)
        digest = hashlib.sha256(document.data).hexdigest()
        if digest in seen:
            raise InputError(f"{seen[digest]} and {document.source} are the same document; name it once.")
        sha256[document.source], seen[digest] = digest, document.source
        yield document


def _pages_of(document: _Document, limits: _Limits) -> Pages:
    """The pages of one document."""
    pages, kind = Pages(), _kind(document)
    if kind == "pdf":
        raw = pdf_pages(
            document.data,
            document.source,
            workers=limits.workers,
            cache=_user_cache() if limits.cache is True else limits.cache or None,
            page_seconds=limits.page_seconds,
            memory=limits.page_memory,
        )
        _add_pdf(pages, document, raw)
    else:
        _add_text(pages, document, markdown=kind == "markdown")
    return pages


def _flat(sources: Iterable[Source | Sequence[Source]]) -> list[Source]:
    flat: list[Source] = []
    for source in sources:
        flat += [source] if isinstance(source, (str, os.PathLike)) else source
    if not flat:
        raise InputError("No document was given; name at least one file or address.")
    return flat


def _user_cache() -> Path | None:
    """The user's cache folder by the XDG rules; None where the user has no home."""
    configured = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if configured.is_absolute():
        return configured / "minirag"
    try:
        return Path.home() / ".cache" / "minirag"
    except RuntimeError:
        return None


def _is_address(source: Source) -> bool:
    return isinstance(source, str) and bool(_ADDRESS.match(source))


def _fetch(source: Source, timeout: float, max_bytes: int) -> _Document:
    address = os.fspath(source)
    got = download(address, timeout=timeout, max_bytes=max_bytes)
    return _Document(address, got.data, got.suffix, got.media_type, got.charset)


def _read(source: Source, max_bytes: int) -> _Document:
    """The bytes of a file; never of a device or pipe, which may have no end, nor of more than `max_bytes`."""
    path = Path(source)
    name = os.fsdecode(source).encode("utf-8", "backslashreplace").decode()  # a name of broken bytes must be printable
    if not name:
        raise DocumentError("A document's name is empty; give a path or an address.")
    try:
        if path.is_dir():
            raise DocumentError(f"{name} is a folder; name the files in it.")
        if path.exists() and not path.is_file():
            raise DocumentError(f"{name} is no ordinary file; save what it gives in a file and name that.")
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)  # its size may be a lie (/proc) or grow meanwhile
        if len(data) > max_bytes:
            raise DocumentError(f"{name} is larger than {max_bytes / 2**20:g} MiB; split it, or allow more in `load`.")
        return _Document(name, data, path.suffix.lower())
    except FileNotFoundError as error:
        raise DocumentError(f"{name} does not exist; check the path.") from error
    except PermissionError as error:
        raise DocumentError(f"{name} may not be read by you; change its permissions.") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise DocumentError(f"{name!r} cannot be opened ({reason}); check the path.") from error


def _kind(document: _Document) -> str:
    """ "pdf", "markdown" or "text"; DocumentError if it is empty or HTML."""
    start = document.data[:1024]
    if not document.data:
        raise DocumentError(f"{document.source} is empty; check that it was saved.")
    if document.media_type == "application/pdf" or start.lstrip().startswith(b"%PDF-"):
        return "pdf"
    told = document.media_type in ("text/html", "application/xhtml+xml") or document.suffix in (".html", ".htm")
    if told or (document.suffix not in _TEXT_SUFFIXES and _HTML.match(start)):
        raise DocumentError(f"{document.source} is HTML; save it as PDF or plain text and give that.")
    if document.suffix == ".pdf" and not document.media_type.startswith("text/"):
        return "pdf"
    markdown = document.suffix in _MARKDOWN_SUFFIXES or document.media_type == "text/markdown"
    return "markdown" if markdown else "text"


def _add_pdf(pages: Pages, document: _Document, raw: list[RawPage]) -> None:
    texts, removed = clean_pages([page.text for page in raw])
    if not any(texts):
        errors = [page.error for page in raw if page.error]
        if errors:
            raise DocumentError(f"{document.source} has no readable page ({errors[0]}); save it as a new PDF.")
        raise DocumentError(f"{document.source} holds no text; if it is scanned, run OCR on it first.")
    pages.removed += removed
    for page, text in zip(raw, texts, strict=True):
        _add(pages, Page(page.number, document.source, text), page.error, page.hidden)


def _add_text(pages: Pages, document: _Document, *, markdown: bool) -> None:
    text = _decode(document)
    if text.count("\f") > MOST_PAGES:
        raise DocumentError(f"{document.source} has more than {MOST_PAGES:,} pages; split it.")
    if "\f" in text.strip():
        texts, removed = clean_pages(text.strip("\f").split("\f"))
    else:
        text, removed = clean_characters(text)
        texts = list(_blocks(text, markdown=markdown))
    if not any(texts):
        raise DocumentError(f"{document.source} holds no text; check that it is the right file.")
    pages.removed += removed
    for number, text in enumerate(texts, 1):
        _add(pages, Page(number, document.source, text))


def _add(pages: Pages, page: Page, error: str | None = None, hidden: Sequence[str] = ()) -> None:
    """Append a page and what there is to say of it."""
    pages.append(page)
    if not page.text:
        pages.empty.append(EmptyPage(page.source, page.number, error))
    pages.suspicious += [SuspiciousText(page.source, page.number, *found) for found in suspicious(page.text, hidden)]


def _decode(document: _Document) -> str:
    """The text of a document that is no PDF; DocumentError if its encoding is unknown or it is no text at all."""
    data = document.data
    encoding = document.charset or "utf-8"
    if not _ENCODING.fullmatch(encoding):
        raise DocumentError(f"{document.source} has the unknown encoding {encoding!a}; save it as UTF-8.")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif data.startswith(codecs.BOM_UTF8):
        encoding = "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeError as error:
        controls = sum(data[:4096].count(byte) for byte in _CONTROLS)
        if controls * 10 > len(data[:4096]):
            raise _no_text(document) from error
        where = f" (byte {error.start + 1} does not fit)" if isinstance(error, UnicodeDecodeError) else ""
        raise DocumentError(f"{document.source} is not {encoding} text{where}; save it as UTF-8.") from error
    except LookupError as error:
        raise DocumentError(f"{document.source} has the unknown encoding {encoding}; save it as UTF-8.") from error
    if sum(text.count(chr(byte)) for byte in _CONTROLS) * 10 > len(text):
        raise _no_text(document)
    return text


def _no_text(document: _Document) -> DocumentError:
    return DocumentError(f"{document.source} is no PDF, plain text or Markdown; save it as one of these.")


def _blocks(text: str, *, markdown: bool) -> Iterator[str]:
    """Cut clean `text` into blocks of at most `BLOCK` characters, each ending with a line end; none is blank."""
    borders = (_HEADING, *_BORDERS) if markdown else _BORDERS
    start = 0
    while start < len(text):
        end = start + BLOCK - 1  # one character is for the line end
        if end < len(text):
            window = text[start:end]
            last = (list(border.finditer(window, BLOCK // 2)) for border in borders)
            end = start + next((found[-1].end() for found in last if found), len(window))
        block = text[start:end].rstrip()
        if block:
            yield block + "\n"
        start = end
