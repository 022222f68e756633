"""Documents become pages: PDF, plain text and Markdown files, and http(s) addresses of these.

The text of a source is its pages' texts in order with nothing between them, and the offsets of chunks count in it. Each
page's text ends with a line end unless it is empty, so that no two words grow together there.
"""

import codecs
import hashlib
import ipaddress
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from minirag.errors import DocumentError, InputError
from minirag.pdf import MEMORY, PAGE_SECONDS, clean_characters, clean_pages, read_pdf

if TYPE_CHECKING:
    import httpx

Source = str | os.PathLike[str]

BLOCK = 3000
"""Characters of a page of a text that has no pages of its own, at most."""
MAX_REDIRECTS = 5

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_HTML = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?<(?:!doctype html|html)\b", re.IGNORECASE)
_CONTROLS = re.compile("[\0-\x08\x0e-\x1a\x1c-\x1f]")
_MARKDOWN_SUFFIXES = (".md", ".markdown")
_HEADING = r"\n(?=#{1,6} )"
_BORDERS = (r"\n[ \t]*\n+", r"\n", r"[.!?…]\s+|[。！？]", r"\s+")
"""Where a text may be cut into pages, the best place first."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its number in its source (from 1), the source as it was given, its cleaned text."""

    number: int
    source: str
    text: str


class EmptyPage(NamedTuple):
    """A page without text; `error` says why if it could not be read, and is None if nothing stands on it."""

    source: str
    number: int
    error: str | None = None


class Pages(list[Page]):
    """The pages of one or more documents, in order, the empty ones included.

    `removed`  what cleaning took out, by kind: lines of "running header", "running footer" and "page number",
               characters of "NUL", "lone surrogate" and "control character"
    `empty`    the pages without text, in order
    `sha256`   source -> hash of the bytes it was read from
    """

    def __init__(self, pages: Iterable[Page] = (), *, sha256: Mapping[str, str] | None = None) -> None:
        super().__init__(pages)
        self.removed: Counter[str] = Counter()
        self.empty: list[EmptyPage] = []
        self.sha256 = dict(sha256 or {})


def load(
    *sources: Source | Sequence[Source],
    workers: int | None = None,
    cache: Source | bool | None = True,
    timeout: float = 60.0,
    max_bytes: int = 256 * 2**20,
    page_seconds: float = PAGE_SECONDS,
    page_memory: int = MEMORY,
    executor: Executor | None = None,
) -> Pages:
    """Read `sources` (paths or http(s) addresses, one by one or as a list) into cleaned pages.

    A PDF's pages are its own. Plain text and Markdown (UTF-8, or UTF-16 with its mark) have a page break at each
    form feed; without any, blocks of at most 3,000 characters serve as pages, cut at a heading (Markdown), a
    paragraph, a line, a sentence or a word, the first of these that stands in the block's second half.

    An address may be in a private network, but a redirect may not lead from a public address into one.

    `workers`    processes to read a PDF with; default one a core, with an executor one
    `cache`      the folder that keeps the extracted text of PDFs; True is the user's (XDG), None or False is none
    `timeout`, `max_bytes`  the seconds that an address may take; the size of a document
    `page_seconds`, `page_memory`  seconds of computing and bytes of memory that a page of a PDF may take
    `executor`   of `concurrent.futures`; its `map` reads the documents

    Raises InputError if a document is given twice, DocumentError if one cannot be read or holds no text.
    """
    names: list[Source] = []
    for source in sources:
        names += [source] if isinstance(source, (str, os.PathLike)) else source
    if not names:
        raise InputError("No document was given; name at least one file or address.")
    if cache is True:  # by the XDG rules, which ignore a relative path
        configured = Path(os.environ.get("XDG_CACHE_HOME", ""))
        cache = (configured if configured.is_absolute() else Path.home() / ".cache") / "minirag"
    folder = Path(cache).absolute() if cache else None
    workers = 1 if workers is None and executor is not None else workers
    pdf_options = {"workers": workers, "cache": folder, "page_seconds": page_seconds, "page_memory": page_memory}
    read = partial(_read_document, timeout, max_bytes, pdf_options)
    pages = Pages()
    sources_by_hash: dict[str, str] = {}
    for document in map(read, names) if executor is None else executor.map(read, names):
        [(source, digest)] = document.sha256.items()
        if digest in sources_by_hash:
            raise InputError(f"{sources_by_hash[digest]} and {source} are the same document; name it once.")
        sources_by_hash[digest] = source
        pages += document
        pages.removed += document.removed
        pages.empty += document.empty
        pages.sha256 |= document.sha256
    return pages


def _read_document(timeout: float, max_bytes: int, pdf_options: dict[str, Any], source: Source) -> Pages:
    """Return the pages of one document."""
    name = os.fsdecode(source).encode("utf-8", "backslashreplace").decode()  # a name of broken bytes must be printable
    if isinstance(source, str) and _ADDRESS.match(source):
        data, suffix, media_type, charset = _download(source, timeout, max_bytes)
    else:
        data, suffix, media_type, charset = _read_file(Path(source), name, max_bytes), Path(source).suffix, "", None
    kind = _kind(name, data, suffix.lower(), media_type)
    if kind == "pdf":
        raw = read_pdf(data, name, **pdf_options)
        texts, removed = clean_pages([page.text for page in raw])
        errors = [page.error for page in raw]
    else:
        text = _decode(name, data, charset or "utf-8")
        if "\f" in text.strip():
            texts, removed = clean_pages(text.strip("\f").split("\f"))
        else:
            text, removed = clean_characters(text)
            texts = _blocks(text, markdown=kind == "markdown")
        errors = [None] * len(texts)
    if any(errors) and not any(texts):
        raise DocumentError(f"{name} has no readable page ({next(filter(None, errors))}); save it as a new PDF.")
    if not any(texts):
        raise DocumentError(f"{name} holds no text; if it is scanned, run OCR on it first.")
    pages = Pages(sha256={name: hashlib.sha256(data).hexdigest()})
    pages += [Page(number, name, text) for number, text in enumerate(texts, 1)]
    pages.removed += removed
    pages.empty += [EmptyPage(name, page.number, errors[page.number - 1]) for page in pages if not page.text]
    return pages


def _read_file(path: Path, name: str, max_bytes: int) -> bytes:
    """Read a file; never a device or pipe, which may have no end."""
    try:
        if path.exists() and not path.is_file():
            raise DocumentError(f"{name or 'An empty name'} is no file; name the files in a folder one by one.")
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise DocumentError(f"{name!r} cannot be read ({reason}); check the path.") from error
    if len(data) > max_bytes:
        raise DocumentError(f"{name} is larger than {max_bytes / 2**20:g} MiB; split it, or allow more in `load`.")
    return data


def _kind(name: str, data: bytes, suffix: str, media_type: str) -> str:
    """Return "pdf", "markdown" or "text". Raises DocumentError if the document is empty or HTML."""
    start = data[:1024]
    if not data:
        raise DocumentError(f"{name} is empty; check that it was saved.")
    if media_type == "application/pdf" or start.lstrip().startswith(b"%PDF-"):
        return "pdf"
    html = suffix not in (".txt", *_MARKDOWN_SUFFIXES) and _HTML.match(start)
    if html or media_type in ("text/html", "application/xhtml+xml") or suffix in (".html", ".htm"):
        raise DocumentError(f"{name} is HTML; save it as PDF or plain text and give that.")
    if suffix == ".pdf" and not media_type.startswith("text/"):
        return "pdf"
    return "markdown" if suffix in _MARKDOWN_SUFFIXES or media_type == "text/markdown" else "text"


def _decode(name: str, data: bytes, encoding: str) -> str:
    """Return the text of a document that is no PDF. Raises DocumentError if it is none, or in an unknown encoding."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif data.startswith(codecs.BOM_UTF8):
        encoding = "utf-8-sig"
    try:
        text = data.decode(encoding)
        if len(_CONTROLS.findall(text)) * 10 > len(text):
            raise ValueError("more than a tenth of it is control characters")
    except (ValueError, LookupError) as error:
        raise DocumentError(f"{name} is no PDF or {encoding} text ({error}); save it as PDF or as UTF-8.") from error
    return text


def _blocks(text: str, *, markdown: bool) -> list[str]:
    """Cut clean `text` into blocks of at most `BLOCK` characters, each ending with a line end; none is blank."""
    borders = (_HEADING, *_BORDERS) if markdown else _BORDERS
    blocks = []
    start = 0
    while start < len(text):
        window = text[start : start + BLOCK - 1]  # one character is for the line end
        end = len(window)
        if start + end < len(text):
            matches = (list(re.compile(border).finditer(window, BLOCK // 2)) for border in borders)
            end = next((places[-1].end() for places in matches if places), end)
        block = window[:end].rstrip()
        if block:
            blocks.append(block + "\n")
        start += end
    return blocks


def _download(address: str, timeout: float, max_bytes: int) -> tuple[bytes, str, str, str | None]:
    """Return the bytes at an address, the suffix of its path, media type and charset; DocumentError for any failure."""
    import asyncio  # both take long to load, and few runs fetch anything

    import httpx

    fetching = _fetch(address, timeout, max_bytes)
    try:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(asyncio.wait_for(fetching, timeout))
        with ThreadPoolExecutor(1) as pool:  # a notebook has a loop in this thread, and a thread has only one
            return pool.submit(asyncio.run, asyncio.wait_for(fetching, timeout)).result()
    except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        late = isinstance(error, TimeoutError | httpx.TimeoutException)
        reason = f"not within {timeout:g} seconds" if late else " ".join(str(error).split()) or type(error).__name__
        raise DocumentError(f"{address} cannot be fetched ({reason}); download it and give the file.") from error


async def _fetch(address: str, timeout: float, max_bytes: int) -> tuple[bytes, str, str, str | None]:
    """Follow redirects to a document; asynchronous, so that a timeout also ends a server that sends a byte a second."""
    import httpx

    url = previous = httpx.URL(address)
    public = False
    for _ in range(MAX_REDIRECTS + 1):
        _check(address, url, previous, inside=public and _is_private(url.host))
        proxies = url.host not in ("localhost", "127.0.0.1", "::1")  # a proxy cannot reach these
        client = httpx.AsyncClient(timeout=timeout, trust_env=proxies)  # a new one each time, so without cookies
        async with client, client.stream("GET", url) as response:
            private = _is_private(url.host) or _is_private(_peer(response))
            _check(address, url, previous, inside=public and private)  # a name may stand for a private number
            public = public or not private
            if response.next_request is not None:
                url, previous = response.next_request.url, url
                continue
            if response.status_code != 200:
                raise DocumentError(f"{address} answers {response.status_code}, not a document; check the address.")
            data = bytearray()
            async for part in response.aiter_bytes():
                data += part
                if len(data) > max_bytes:
                    raise DocumentError(f"{address} is larger than {max_bytes / 2**20:g} MiB; give a part of it.")
            media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            return bytes(data), PurePosixPath(url.path).suffix, media_type, response.charset_encoding
    raise DocumentError(f"{address} redirects more than {MAX_REDIRECTS} times; give the last address.")


def _check(address: str, url: "httpx.URL", previous: "httpx.URL", inside: bool) -> None:
    """Raise DocumentError if `url`, where `address` leads by way of `previous`, must not be read."""
    if url.userinfo:
        raise DocumentError(f"The address at {url.host} holds a password; download the document and give the file.")
    if url.scheme not in ("http", "https") or not url.host:
        raise DocumentError(f"{address} leads to {url.scheme}://{url.host}; only http and https addresses are read.")
    if (previous.scheme, url.scheme) == ("https", "http"):
        raise DocumentError(f"{address} redirects from https to http, which anybody may change; give the last address.")
    if inside:
        raise DocumentError(f"{address} redirects into a private network ({url.host}); give the last address.")


def _is_private(host: str) -> bool:
    """Return True if a numeric address, or the name localhost, belongs to this machine or a network of its own.

    >>> [_is_private(host) for host in ("169.254.169.254", "::ffff:10.0.0.1", "localhost", "1.1.1.1", "example.org")]
    [True, True, True, False, False]
    """
    try:
        number = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:  # a name
        return host == "localhost" or host.endswith(".localhost")
    return not (getattr(number, "ipv4_mapped", None) or number).is_global


def _peer(response: "httpx.Response") -> str:
    """Return the number of whoever answered, which is the proxy where there is one."""
    stream = response.extensions.get("network_stream")
    address = stream and stream.get_extra_info("server_addr")
    return str(address[0]) if address else ""
