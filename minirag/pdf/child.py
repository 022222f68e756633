"""The program that a child process runs: it prints the text of every n-th page of the PDF on its standard input.

It imports nothing of minirag, so that it starts quickly. The kernel holds it to its limits, because a loop inside a
regular expression or a decoder cannot be interrupted from Python: SIGPROF ends it when a page has computed for too
long, and memory beyond its share is refused. Windows has neither: there a watchdog thread of the interpreter ends it
when a page has taken too long, and memory has no limit.

Usage: child.py FIRST STEP PAGE_SECONDS OPENING_SECONDS MEMORY. Prints one line of JSON to say how many pages there are
(`{"pages": 169}`) or why the file cannot be read (`{"unreadable": "encrypted"}`), then one a page
(`{"text": …, "error": …}`), beginning with page FIRST, counted from 0.
"""

import faulthandler
import gc
import json
import logging
import mmap
import os
import signal
import sys
from contextlib import suppress
from io import BytesIO
from typing import Any


def main() -> None:
    first, step = map(int, sys.argv[1:3])
    page_seconds, opening_seconds = map(float, sys.argv[3:5])
    memory = int(sys.argv[5])
    data = mmap.mmap(0, 0, access=mmap.ACCESS_READ)[:]  # all children share the file, and its position
    import pypdf  # noqa: F401  (its import is not part of the document's time)

    gc.set_threshold(200_000)  # a page leaves next to no garbage, and looking for it takes a seventh of the time
    if sys.platform != "win32":
        import resource

        with suppress(ValueError, OSError):  # macOS does not enforce the limit; a lower hard limit holds anyway
            resource.setrlimit(resource.RLIMIT_AS, (memory, resource.getrlimit(resource.RLIMIT_AS)[1]))
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
    try:
        _limit_time(opening_seconds)
        reader, opened = _open(data)
        print(json.dumps(opened), flush=True)
        for index in range(first, opened.get("pages", 0), step):
            _limit_time(page_seconds)
            text, error = _read(reader, index)
            print(json.dumps({"text": text, "error": error}), flush=True)
    except MemoryError:
        os._exit(77)  # the reader's OUT_OF_MEMORY


def _limit_time(seconds: float) -> None:
    """End this process when it has computed (on Windows: run) for so long from now on."""
    if sys.platform == "win32":
        faulthandler.dump_traceback_later(seconds, exit=True)
    else:
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _open(data: bytes) -> tuple[Any, dict[str, Any]]:
    """Return pypdf's reader and how many pages there are, or None and why the file cannot be read."""
    import pypdf
    from pypdf.errors import DependencyError, FileNotDecryptedError

    logging.getLogger("pypdf").addHandler(logging.NullHandler())
    try:
        reader = pypdf.PdfReader(BytesIO(data))
        if reader.is_encrypted:
            reader.decrypt("")
        return reader, {"pages": len(reader.pages)}
    except FileNotDecryptedError:
        return None, {"unreadable": "is encrypted; save a copy that needs no password and give that"}
    except DependencyError:
        return None, {"unreadable": "is encrypted with AES; run `pip install cryptography` to read it"}
    except MemoryError:
        raise
    except Exception:  # pypdf documents that a broken file may raise anything
        return None, {"unreadable": "is damaged or no PDF; open it in a viewer and save it as a new PDF"}


def _read(reader: Any, index: int) -> tuple[str, str | None]:
    """Return the text of a page, or an empty text and why it could not be read."""
    try:
        page = reader.pages[index]
        text, values = page.extract_text(), _form_values(page)
        return "\n".join([text.rstrip("\n"), *values]) if values else text, None
    except MemoryError:
        raise
    except Exception as error:  # pypdf documents that a broken page may raise anything
        return "", f"{error!r:.200}"  # it may quote the document, and repr escapes what a terminal would obey


def _form_values(page: Any) -> list[str]:
    """Return "label: value" for each form field that somebody has filled in; they are not part of a page's text."""
    lines = []
    with suppress(AttributeError, KeyError, TypeError, ValueError):  # a broken form must not cost the page's text
        for annotation in page["/Annots"]:
            field = annotation.get_object()
            if "/T" not in field and "/Parent" in field:  # a field that is shown in several places
                field = field["/Parent"]
            if field.get("/Subtype", "/Widget") != "/Widget" or "/V" not in field:
                continue
            value = field["/V"]
            values = [str(item).removeprefix("/") for item in (value if isinstance(value, list) else [value])]
            if text := ", ".join(item for item in values if item not in ("", "Off")):
                lines.append(f"{field.get('/TU') or field.get('/T') or 'field'}: {text}")
    return list(dict.fromkeys(lines))


if __name__ == "__main__":
    main()
