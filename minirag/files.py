"""Write files so that a crash leaves the old content or the new, never half of it."""

import errno
import json
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from minirag.errors import Unfinished

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""Error numbers of a full disk: nothing is wrong with the path, and running again later resumes."""


def write_atomically(path: Path, data: bytes | Callable[[BinaryIO], None]) -> None:
    """Replace `path` by `data`, or by what a function writes: into a file beside it, synced, then renamed (mode 0600).

    Raises Unfinished on a full disk or in a folder that cannot be written; the old file is then still there.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(file, "wb") as stream:
            stream.write(data) if isinstance(data, bytes) else data(stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):  # the folder may be what is wrong
            temporary.unlink()
        if not isinstance(error, OSError):
            raise
        raise Unfinished(f"Cannot write {path}: {error.strerror}; the earlier file is kept.") from error


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, for people and programs."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    write_atomically(path, text.encode("utf-8", "backslashreplace"))


def write_jsonl(path: Path, rows: Iterable[Any]) -> None:
    """Write one compact JSON value a line."""
    lines = (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
    write_atomically(path, "".join(lines).encode("utf-8", "backslashreplace"))
