"""Row 1. Calls that were sent and not logged yet, one small file each: what a process that dies suddenly leaves to see.

A file is locked for as long as its process lives, and holds the line that the log is to get if that process does not
live to write a better one.
"""

import fcntl
import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from minirag.errors import BudgetReached, InputError, Unfinished


class InFlight:
    """The calls in flight of the log at `path`; their files lie beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def sending(self, line: bytes) -> Iterator[None]:
        """Keep `line` on disk while the block sends a call and logs its reply, and longer where it breaks off.

        Raises Unfinished before the block where the disk is full. BudgetReached and InputError of the block mean that
        nothing was sent.
        """
        path = self.path.with_name(f"{self.path.name}.{uuid4().hex}.sent")
        file = _locked(path, line)
        try:
            yield
        except (BudgetReached, InputError):
            path.unlink(missing_ok=True)
            raise
        else:
            path.unlink(missing_ok=True)
        finally:
            os.close(file)

    def left(self) -> Iterator[bytes]:
        """The lines of processes that are dead; a file is removed once the next line is asked for."""
        for path in sorted(self.path.parent.glob(f"{glob.escape(self.path.name)}.*.sent")):
            with suppress(OSError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # not that of a process that lives
                line = file.read()
                if line.endswith(b"\n"):  # else it died before it sent anything
                    yield line
                path.unlink()


def _locked(path: Path, line: bytes) -> int:
    """A new file that holds the whole line, locked; or Unfinished, and no file."""
    file = None
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        view = memoryview(line)
        while view:
            view = view[os.write(file, view) :]
    except OSError as error:
        if file is not None:
            os.close(file)
            path.unlink(missing_ok=True)
        raise Unfinished(f"Cannot write {path}: {error.strerror}; nothing was sent, run again to resume.") from error
    return file
