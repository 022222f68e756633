"""The program that a child process runs: it prints the text of every n-th page of the PDF on its standard input.

It imports nothing of minirag, so that it starts quickly. The kernel holds it to its limits, because a loop inside a
regular expression or a decoder cannot be interrupted from Python: SIGPROF ends it when a page has computed for too
long, and memory beyond its share is refused.

Usage: child.py FIRST STEP PAGE_SECONDS OPENING_SECONDS MEMORY PARENT. Prints one line of JSON to say how many pages
there are (`{"pages": 169}`) or why the file cannot be read (`{"unreadable": "encrypted"}`), then one a page
(`{"text": …, "error": …}`), beginning with page FIRST, counted from 0.
"""

import gc
import json
import logging
import os
import resource
import signal
import sys
from contextlib import suppress
from io import BytesIO
from typing import Any

MOST_PAGES = 20_000
MOST_PAGE_TEXT, MOST_TEXT = 2**20, 2**26
"""Characters of one page (a page of a book has 3,000), and of all pages that one child reads."""


def main() -> None:
    first, step = map(int, sys.argv[1:3])
    page_seconds, opening_seconds = map(float, sys.argv[3:5])
    memory, parent = map(int, sys.argv[5:7])
    data = os.pread(0, os.fstat(0).st_size, 0)  # all children share the file, and its position
    import pypdf  # noqa: F401  (its import is not part of the document's time)

    gc.set_threshold(200_000)  # a page leaves next to no garbage, and looking for it takes a seventh of the time
    with suppress(ValueError, OSError):  # macOS does not enforce the limit; a lower hard limit holds anyway
        resource.setrlimit(resource.RLIMIT_AS, (memory, resource.getrlimit(resource.RLIMIT_AS)[1]))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    try:
        signal.setitimer(signal.ITIMER_PROF, opening_seconds)
        reader, opened = _open(data)
        print(json.dumps(opened), flush=True)
        characters = 0
        for index in range(first, opened.get("pages", 0), step):
            if os.getppid() != parent:
                return
            signal.setitimer(signal.ITIMER_PROF, page_seconds)
            text, error = "", "the pages before hold too much text"
            if characters <= MOST_TEXT:
                text, error = _read(reader, index)
            characters += len(text)
            print(json.dumps({"text": text, "error": error or None}), flush=True)
    except MemoryError:
        os._exit(77)  # the reader's OUT_OF_MEMORY


def _open(data: bytes) -> tuple[Any, dict[str, Any]]:
    """Return pypdf's reader and how many pages there are, or None and why the file cannot be read."""
    import pypdf
    from pypdf.errors import DependencyError, FileNotDecryptedError

    logging.getLogger("pypdf").addHandler(logging.NullHandler())
    try:
        reader = pypdf.PdfReader(BytesIO(data))
        if reader.is_encrypted:
            reader.decrypt("")
        pages = len(reader.pages)
    except FileNotDecryptedError:
        return None, {"unreadable": "is encrypted; save a copy that needs no password and give that"}
    except DependencyError:
        return None, {"unreadable": "is encrypted with AES; run `pip install cryptography` to read it"}
    except MemoryError:
        raise
    except Exception:  # pypdf documents that a broken file may raise anything
        return None, {"unreadable": "is damaged or no PDF; open it in a viewer and save it as a new PDF"}
    if pages > MOST_PAGES:
        return None, {"unreadable": f"has {pages:,} pages, more than {MOST_PAGES:,}; split it"}
    return reader, {"pages": pages}


def _read(reader: Any, index: int) -> tuple[str, str]:
    """Return the text of a page, or an empty text and why it could not be read."""
    try:
        text = reader.pages[index].extract_text()
    except MemoryError:
        raise
    except Exception as error:  # pypdf documents that a broken page may raise anything
        return "", f"{error!r:.200}"  # it may quote the document, and repr escapes what a terminal would obey
    if len(text) > MOST_PAGE_TEXT:
        return "", f"it holds {len(text):,} characters, more than {MOST_PAGE_TEXT:,}"
    return text, ""


if __name__ == "__main__":
    main()
