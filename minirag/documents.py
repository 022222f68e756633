"""Documents become pages: PDF, plain text and Markdown files, and http(s) addresses of these.

The text of a source is its pages' texts in order with nothing between them, and the offsets of chunks count in it. Each
page's text ends with a line end unless it is empty, so that no two words grow together there.
"""

import codecs
import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path, PurePosixPath

from minirag.chunker import Page
from minirag.errors import DocumentError, InputError
from minirag.pdf import clean_characters, clean_pages, read_pdf

BLOCK = 3000
"""Characters of a page of a text that has no pages of its own, at most."""
TIMEOUT = 60.0
"""Seconds that the server of an address may be silent."""

_HTML = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?<(?:!doctype html|html)\b", re.IGNORECASE)
_HEADING = r"\n(?=#{1,6} )"
_BORDERS = (r"\n[ \t]*\n+", r"\n", r"[.!?…]\s+|[。！？]", r"\s+")
"""Where a text may be cut into pages, the best place first."""


class Pages(list[Page]):
    """The pages of one or more documents, in order, the empty ones included; `sha256` has the hash of each source."""

    sha256: dict[str, str]


def load(*sources: str | os.PathLike[str], cache: bool = True) -> Pages:
    """Read `sources` (paths or http(s) addresses) into cleaned pages.

    A PDF's pages are its own; `cache` keeps their extracted text in the user's cache folder (XDG). Plain text and
    Markdown have a page break at each form feed; without any, blocks of at most 3,000 characters serve as pages, cut at
    a heading (Markdown), a paragraph, a line, a sentence or a word, the first of these that stands in the block's
    second half.

    Raises InputError if a document is given twice, DocumentError if one cannot be read or holds no text.
    """
    if not sources:
        raise InputError("No document was given; name at least one file or address.")
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "minirag" if cache else None
    pages = Pages()
    pages.sha256 = {}
    sources_by_hash: dict[str, str] = {}
    for name in map(os.fsdecode, sources):
        try:
            data = _download(name) if "://" in name else Path(name).read_bytes()
        except OSError as error:
            raise DocumentError(f"{name} cannot be read ({error.strerror}); check the path.") from error
        suffix = PurePosixPath(name).suffix.lower()
        digest = hashlib.sha256(data).hexdigest()
        if digest in sources_by_hash:
            raise InputError(f"{sources_by_hash[digest]} and {name} are the same document; name it once.")
        pages.sha256[name], sources_by_hash[digest] = digest, name
        if not data:
            raise DocumentError(f"{name} is empty; check that it was saved.")
        if _HTML.match(data):
            raise DocumentError(f"{name} is HTML; save it as PDF or plain text and give that.")

        if suffix == ".pdf" or data[:1024].lstrip().startswith(b"%PDF-"):
            raw = read_pdf(data, name, cache=folder)
            texts = clean_pages([page.text for page in raw])
            own = [replace(page, text=text) for page, text in zip(raw, texts, strict=True)]
        else:
            texts = _split(decode_text(name, data), is_markdown=suffix in (".md", ".markdown"))
            own = [Page(number, name, text) for number, text in enumerate(texts, 1)]
        if not any(texts):
            reason = next((page.error for page in own if page.error), None)
            scanned = "holds no text; if it is scanned, run OCR on it first"
            raise DocumentError(f"{name} {f'has no readable page ({reason})' if reason else scanned}.")
        pages += own
    return pages


def _download(address: str) -> bytes:
    """Return the bytes at an address. Raises DocumentError for any failure."""
    import httpx  # takes long to load, and few runs fetch anything

    try:
        url = httpx.URL(address)
        if url.userinfo:
            raise DocumentError("The address holds a password; download the document and give the file.")
        proxies = url.host not in ("localhost", "127.0.0.1", "::1")  # a proxy cannot reach these
        response = httpx.get(url, timeout=TIMEOUT, trust_env=proxies, follow_redirects=True)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise DocumentError(f"{address} cannot be fetched ({reason}); download it and give the file.") from error
    if response.status_code != 200:
        raise DocumentError(f"{address} answers {response.status_code}, not a document; check the address.")
    return response.content


def decode_text(name: str, data: bytes) -> str:
    """Return the text of a file in UTF-8, or in UTF-16 with its mark.

    Raises DocumentError for any other code, as a wrong guess would change words without anybody's notice.
    """
    is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if is_utf16 else "utf-8-sig")
    except ValueError:
        raise DocumentError(f"{name} is not text in UTF-8; save it as UTF-8, or a document as PDF.") from None


def _split(text: str, is_markdown: bool) -> list[str]:
    """Return the pages of a text, cleaned; blocks of at most `BLOCK` characters if it has none."""
    if "\f" in text.strip():
        return clean_pages(text.strip("\f").split("\f"))
    text = clean_characters(text)
    borders = (_HEADING, *_BORDERS) if is_markdown else _BORDERS
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
