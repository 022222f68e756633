"""Documents become pages: PDF, plain text and Markdown files, and http(s) addresses of these.

The text of a source is its pages' texts in order with nothing between them, and the offsets of chunks count in it. Each
page's text ends with a line end unless it is empty, so that no two words grow together there.
"""

import codecs
import hashlib
import ipaddress
import os
import re
import socket
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from minirag.errors import DocumentError, InputError
from minirag.pdf import clean_characters, clean_pages, read_pdf

Source = str | os.PathLike[str]

BLOCK = 3000
"""Characters of a page of a text that has no pages of its own, at most."""
MAX_REDIRECTS = 5

_WESTERN = set(
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜŒßàáâãäåæçèéêëìíîïñòóôõöøùúûüÿœ\u00a0\u00ad€£¥§©®™°·•¡¿«»‹›‘’‚“”„–—…ªº²³±×÷µ´½¼¾"
)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_HTML = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?<(?:!doctype html|html)\b", re.IGNORECASE)
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
) -> Pages:
    """Read `sources` (paths or http(s) addresses, one by one or as a list) into cleaned pages.

    A PDF's pages are its own. Plain text and Markdown (see `decode_text`) have a page break at each form feed; without
    any, blocks of at most 3,000 characters serve as pages, cut at a heading (Markdown), a paragraph, a line, a
    sentence or a word, the first of these that stands in the block's second half.

    An address may be in a private network, but a redirect may not lead from a public address into one.

    `workers`    processes to read a PDF with; default one a core
    `cache`      the folder that keeps the extracted text of PDFs; True is the user's (XDG), None or False is none
    `timeout`, `max_bytes`  the seconds that an address may take; the size of a document

    Raises InputError if a document is given twice, DocumentError if one cannot be read or holds no text.
    """
    names: list[Source] = []
    for source in sources:
        names += [source] if isinstance(source, (str, os.PathLike)) else source
    if not names:
        raise InputError("No document was given; name at least one file or address.")
    if cache is True:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "minirag"
    folder = Path(cache).absolute() if cache else None
    pages = Pages()
    sources_by_hash: dict[str, str] = {}
    for name in names:
        document = _read_document(name, timeout, max_bytes, workers, folder)
        [(source, digest)] = document.sha256.items()
        if digest in sources_by_hash:
            raise InputError(f"{sources_by_hash[digest]} and {source} are the same document; name it once.")
        sources_by_hash[digest] = source
        pages += document
        pages.removed += document.removed
        pages.empty += document.empty
        pages.sha256 |= document.sha256
    return pages


def _read_document(source: Source, timeout: float, max_bytes: int, workers: int | None, cache: Path | None) -> Pages:
    """Return the pages of one document."""
    name = os.fsdecode(source).encode("utf-8", "backslashreplace").decode()  # a name of broken bytes must be printable
    if isinstance(source, str) and _ADDRESS.match(source):
        data, suffix, media_type, charset = _download(source, timeout, max_bytes)
    else:
        data, suffix, media_type, charset = _read_file(Path(source), name, max_bytes), Path(source).suffix, "", None
    if not data:
        raise DocumentError(f"{name} is empty; check that it was saved.")
    if media_type == "text/html" or _HTML.match(data) or suffix.lower() in (".html", ".htm"):
        raise DocumentError(f"{name} is HTML; save it as PDF or plain text and give that.")

    errors: dict[int, str] = {}  # page number -> why it could not be read
    if data[:1024].lstrip().startswith(b"%PDF-") or media_type == "application/pdf" or suffix.lower() == ".pdf":
        raw = read_pdf(data, name, workers=workers, cache=cache)
        texts, removed = clean_pages([page.text for page in raw])
        errors = {number: page.error for number, page in enumerate(raw, 1) if page.error}
    else:
        text = decode_text(name, data, charset or "utf-8")
        if "\f" in text.strip():
            texts, removed = clean_pages(text.strip("\f").split("\f"))
        else:
            text, removed = clean_characters(text)
            texts = _blocks(text, markdown=media_type == "text/markdown" or suffix.lower() in _MARKDOWN_SUFFIXES)
    if not any(texts):
        reason = next(iter(errors.values()), None)
        problem = (
            f"has no readable page ({reason})" if reason else "holds no text; if it is scanned, run OCR on it first"
        )
        raise DocumentError(f"{name} {problem}.")

    pages = Pages(sha256={name: hashlib.sha256(data).hexdigest()})
    pages += [Page(number, name, text) for number, text in enumerate(texts, 1)]
    pages.removed += removed
    pages.empty += [EmptyPage(name, page.number, errors.get(page.number)) for page in pages if not page.text]
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


def decode_text(name: str, data: bytes, encoding: str = "utf-8") -> str:
    """Return the text of a file that is no PDF: UTF-8, UTF-16 with its mark, or Windows-1252 in a western language.

    Raises DocumentError if it is none of these: a wrong guess would change words without anybody's notice.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    try:
        text, reason = data.decode(encoding).removeprefix("\ufeff"), ""
    except (ValueError, LookupError) as error:
        text, reason = data.decode("cp1252", "replace"), str(error)
        letters = {character for character in text if not character.isascii()}
        if encoding == "utf-8" and _WESTERN.issuperset(letters) and not re.search(r"[^\x00-\x7f–—…•·]{4}", text):
            reason = ""  # four such characters in a row are a language of another alphabet
    if text.count("\0") * 10 > len(text):
        reason = reason or "a tenth of it is NUL characters"
    if reason:
        raise DocumentError(f"{name} is no PDF or {encoding} text ({reason}); save it as PDF or as UTF-8.")
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
    import httpx  # takes long to load, and few runs fetch anything

    deadline = time.monotonic() + timeout
    data, public = bytearray(), False
    try:
        url = httpx.URL(address)
        for _ in range(MAX_REDIRECTS + 1):
            if url.userinfo:
                raise DocumentError("The address holds a password; download the document and give the file.")
            if url.scheme not in ("http", "https") or not url.host:
                where = f"{url.scheme}://{url.host}"
                raise DocumentError(f"{address} leads to {where}; only http and https addresses are read.")
            private = _is_private(url.host)
            if public and private:
                raise DocumentError(f"{address} redirects into a private network ({url.host}); give the last address.")
            public = not private
            proxies = url.host not in ("localhost", "127.0.0.1", "::1")  # a proxy cannot reach these
            with httpx.Client(timeout=timeout, trust_env=proxies) as client, client.stream("GET", url) as response:
                if response.next_request is not None:
                    url = response.next_request.url
                    continue
                if response.status_code != 200:
                    raise DocumentError(f"{address} answers {response.status_code}, not a document; check the address.")
                for part in response.iter_bytes():
                    data += part
                    if len(data) > max_bytes:
                        raise DocumentError(f"{address} is larger than {max_bytes / 2**20:g} MiB; give a part of it.")
                    if time.monotonic() > deadline:  # a server that sends a byte a second meets every other timeout
                        raise httpx.ReadTimeout("")
                media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
                return bytes(data), PurePosixPath(url.path).suffix, media_type, response.charset_encoding
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        late = isinstance(error, httpx.TimeoutException)
        reason = f"not within {timeout:g} seconds" if late else " ".join(str(error).split()) or type(error).__name__
        raise DocumentError(f"{address} cannot be fetched ({reason}); download it and give the file.") from error
    raise DocumentError(f"{address} redirects more than {MAX_REDIRECTS} times; give the last address.")


def _is_private(host: str) -> bool:
    """Return True if `host` is, or its name stands for, a number of this machine or of a network of its own.

    >>> [_is_private(host) for host in ("169.254.169.254", "::ffff:10.0.0.1", "localhost", "1.1.1.1")]
    [True, True, True, False]
    """
    try:
        numbers = {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):  # an unknown name, which only a proxy may know
        return False
    addresses = [ipaddress.ip_address(number.partition("%")[0]) for number in numbers]
    return not all((getattr(address, "ipv4_mapped", None) or address).is_global for address in addresses)
