"""Row 1. Calls that were sent and not logged yet, one small file each: what a process that dies suddenly leaves to see.

A file is locked for as long as its process lives, and holds the line that the log is to get if that process does not
live to write a better one. It is empty between two calls: to make and remove one a call takes longer than to write it.
"""

import fcntl
import glob
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from minirag.errors import BudgetReached, InputError, Unfinished


class _Note(NamedTuple):
    path: Path
    file: int


class InFlight:
    """The calls in flight of the log at `path`; their files lie beside it until `close`, or the end of the object."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._free: list[_Note] = []
        weakref.finalize(self, _remove, self._free)

    @contextmanager
    def sending(self, line: bytes) -> Iterator[None]:
        """Keep `line` on disk while the block sends a call and logs its reply, and longer where it breaks off.

        Raises Unfinished before the block where the disk is full. BudgetReached and InputError of the block mean that
        nothing was sent.
        """
        note = self._noted(line)
        try:
            yield
        except (BudgetReached, InputError):
            self._empty(note)
            raise
        except BaseException:
            os.close(note.file)
            raise
        self._empty(note)

    def _noted(self, line: bytes) -> _Note:
        """A file of this process alone that holds the whole line; or Unfinished, and no file."""
        try:
            note = self._free.pop()
        except IndexError:  # all are in use
            note = None
        try:
            note = note or _new(self.path.with_name(f"{self.path.name}.{uuid4().hex}.sent"))
            view = memoryview(line)
            while view:
                view = view[os.write(note.file, view) :]
        except OSError as error:
            if note is not None:
                _remove([note])
            where = self.path.parent if note is None else note.path
            raise Unfinished(
                f"Cannot write {where}: {error.strerror}; nothing was sent, run again to resume."
            ) from error
        return note

    def _empty(self, note: _Note) -> None:
        os.ftruncate(note.file, 0)
        os.lseek(note.file, 0, os.SEEK_SET)
        self._free.append(note)

    def close(self) -> None:
        """Remove the files that no call needs; a later call makes its own."""
        _remove(self._free)

    def left(self) -> Iterator[bytes]:
        """The lines of processes that are dead; a file is removed once the next line is asked for."""
        for path in sorted(self.path.parent.glob(f"{glob.escape(self.path.name)}.*.sent")):
            with suppress(OSError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # not that of a process that lives
                line = file.read()
                if line.endswith(b"\n"):  # else it died before it sent anything
                    yield line
                path.unlink()


def _new(path: Path) -> _Note:
    note = _Note(path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        fcntl.flock(note.file, fcntl.LOCK_EX)
    except OSError:
        _remove([note])
        raise
    return note


def _remove(notes: list[_Note]) -> None:
    while notes:
        note = notes.pop()
        note.path.unlink(missing_ok=True)
        os.close(note.file)
