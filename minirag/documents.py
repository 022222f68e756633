"""Documents become pages: PDF, plain text and Markdown files, and http(s) addresses of these.

The text of a source is its pages' texts in order with nothing between them, and the offsets of chunks count in it. Each
page's text ends with a line end unless it is empty, so that no two words grow together there.
"""

import codecs
import hashlib
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from minirag.chunker import Page
from minirag.errors import DocumentError, InputError
from minirag.pdf import clean_characters, clean_pages, read_pdf

Source = str | os.PathLike[str]

BLOCK = 3000
"""Characters of a page of a text that has no pages of its own, at most."""

_WESTERN = set(
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜŒßàáâãäåæçèéêëìíîïñòóôõöøùúûüÿœ\u00a0\u00ad€£¥§©®™°·•¡¿«»‹›‘’‚“”„–—…ªº²³±×÷µ´½¼¾"
)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_HTML = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?<(?:!doctype html|html)\b", re.IGNORECASE)
_KINDS = {  # media types and suffixes; all others are plain text
    "application/pdf": "pdf",
    "text/html": "html",
    "text/markdown": "markdown",
    ".pdf": "pdf",
    ".html": "html",
    ".htm": "html",
    ".md": "markdown",
    ".markdown": "markdown",
}
_HEADING = r"\n(?=#{1,6} )"
_BORDERS = (r"\n[ \t]*\n+", r"\n", r"[.!?…]\s+|[。！？]", r"\s+")
"""Where a text may be cut into pages, the best place first."""


class Pages(list[Page]):
    """The pages of one or more documents, in order, the empty ones included.

    `removed`  what cleaning took out, by kind: lines of "running header", "running footer" and "page number",
               characters of "NUL", "lone surrogate" and "control character"
    `sha256`   source -> hash of the bytes it was read from
    """

    def __init__(self) -> None:
        super().__init__()
        self.removed: Counter[str] = Counter()
        self.sha256: dict[str, str] = {}


def load(
    *sources: Source | Sequence[Source],
    workers: int | None = None,
    cache: Source | bool | None = True,
    timeout: float = 60.0,
) -> Pages:
    """Read `sources` (paths or http(s) addresses, one by one or as a list) into cleaned pages.

    A PDF's pages are its own. Plain text and Markdown (see `decode_text`) have a page break at each form feed; without
    any, blocks of at most 3,000 characters serve as pages, cut at a heading (Markdown), a paragraph, a line, a
    sentence or a word, the first of these that stands in the block's second half.

    `workers`  processes to read a PDF with; default one a core
    `cache`    the folder that keeps the extracted text of PDFs; True is the user's (XDG), None or False is none
    `timeout`  seconds that the server of an address may be silent

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
    for name in map(os.fsdecode, names):
        if _ADDRESS.match(name):
            data, kind, charset = _download(name, timeout)
        else:
            data, kind, charset = _read_file(Path(name)), _KINDS.get(Path(name).suffix.lower()), None
        digest = hashlib.sha256(data).hexdigest()
        if digest in sources_by_hash:
            raise InputError(f"{sources_by_hash[digest]} and {name} are the same document; name it once.")
        pages.sha256[name], sources_by_hash[digest] = digest, name
        if not data:
            raise DocumentError(f"{name} is empty; check that it was saved.")
        if kind == "html" or _HTML.match(data):
            raise DocumentError(f"{name} is HTML; save it as PDF or plain text and give that.")

        errors: dict[int, str] = {}  # page number -> why it could not be read
        if kind == "pdf" or data[:1024].lstrip().startswith(b"%PDF-"):
            raw = read_pdf(data, name, workers=workers, cache=folder)
            texts, removed = clean_pages([page.text for page in raw])
            errors = {number: page.error for number, page in enumerate(raw, 1) if page.error}
        else:
            texts, removed = _split(decode_text(name, data, charset or "utf-8"), is_markdown=kind == "markdown")
        if not any(texts):
            reason = next(iter(errors.values()), None)
            scanned = "holds no text; if it is scanned, run OCR on it first"
            raise DocumentError(f"{name} {f'has no readable page ({reason})' if reason else scanned}.")
        pages += [Page(number, name, text, errors.get(number)) for number, text in enumerate(texts, 1)]
        pages.removed += removed
    return pages


def _read_file(path: Path) -> bytes:
    """Read a file; never a device or pipe, which may have no end."""
    try:
        if path.exists() and not path.is_file():
            raise DocumentError(f"{path} is no file; name the files in a folder one by one.")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise DocumentError(f"{str(path)!r} cannot be read ({reason}); check the path.") from error


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


def _split(text: str, is_markdown: bool) -> tuple[list[str], Counter[str]]:
    """Return the pages of a text and what cleaning took out; blocks of at most `BLOCK` characters if it has none."""
    if "\f" in text.strip():
        return clean_pages(text.strip("\f").split("\f"))
    text, removed = clean_characters(text)
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
    return blocks, removed


def _download(address: str, timeout: float) -> tuple[bytes, str | None, str | None]:
    """Return the bytes at an address, their kind and charset if known. Raises DocumentError for any failure."""
    import httpx  # takes long to load, and few runs fetch anything

    try:
        url = httpx.URL(address)
        if url.userinfo:
            raise DocumentError("The address holds a password; download the document and give the file.")
        proxies = url.host not in ("localhost", "127.0.0.1", "::1")  # a proxy cannot reach these
        response = httpx.get(url, timeout=timeout, trust_env=proxies, follow_redirects=True)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise DocumentError(f"{address} cannot be fetched ({reason}); download it and give the file.") from error
    if response.status_code != 200:
        raise DocumentError(f"{address} answers {response.status_code}, not a document; check the address.")
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    suffix = PurePosixPath(response.url.path).suffix.lower()
    return response.content, _KINDS.get(media_type) or _KINDS.get(suffix), response.charset_encoding
