"""What is on disk so that a crash loses nothing: files written whole, and the append-only log of exchanges with models.

The log is the one record from which everything else is rebuilt. Each line is one `Exchange`, written and synced before
its result is used, and ends with a checksum of itself. A last line cut short by a crash is moved to a file beside the
log before the next append; any other bad line raises a `LogError` that names its number.
"""

import json
import os
import re
import sys
import threading
import weakref
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from minirag.errors import FINAL, LogError, Unfinished
from minirag.exchange import VERSION, Exchange

_HEAD = re.compile(rb'\{"v":(\d+),"id":"([0-9a-f]{64})",')
_TAIL = re.compile(rb'("error":null)?,"started":"[^"]*","seconds":[-+.e\d]+,"crc":"([0-9a-f]{8})"\}$')


if sys.platform == "win32":
    import msvcrt

    def lock_file(file: int) -> None:
        """Lock an open file until it is closed. Raises OSError if another process has locked it."""
        os.lseek(file, 2**31 - 2, os.SEEK_SET)  # far behind the log's end, because nobody can read a byte locked there
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def lock_file(file: int) -> None:
        """Lock an open file until it is closed. Raises OSError if another process has locked it."""
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def write_atomically(path: Path, data: bytes | Callable[[BinaryIO], None]) -> None:
    """Replace `path` by `data`, or by what a function writes: into a file beside it, synced, then renamed (mode 0600).

    Raises Unfinished on a full disk or in a folder that cannot be written; the old file is then still there.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(temporary, "wb", opener=_private) as stream:
            stream.write(data) if isinstance(data, bytes) else data(stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):  # the folder may be what is wrong
            temporary.unlink()
        raise Unfinished(f"Cannot write {path}: {error.strerror}; the earlier file is kept.") from error


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, for people and programs."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    write_atomically(path, text.encode("utf-8", "backslashreplace"))


def write_jsonl(path: Path, rows: Iterable[Any]) -> None:
    """Write one compact JSON value a line."""
    lines = (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
    write_atomically(path, "".join(lines).encode("utf-8", "backslashreplace"))


def _private(path: str, flags: int) -> int:
    """Open a file that only its owner may read: the documents' text is in it."""
    return os.open(path, flags, 0o600)


class MessageLog:
    """The log at `path`: iterate over its exchanges, `find` one by its id, `append` another.

    Opening reads the file once and keeps one number per exchange. The first append locks the file until `close`, so
    that two processes never write to one log; reading needs no lock. `sync=False` skips the fsync of each line, for
    logs that nobody pays for. `added` counts the exchanges appended here, `reused` holds the ids of those from earlier
    runs that answered a call. Raises LogError for a line that is damaged or written by a newer version.
    """

    def __init__(self, path: str | os.PathLike[str], *, sync: bool = True) -> None:
        self.path = Path(path)
        self.added = 0
        self.reused: set[str] = set()
        self._sync = sync
        self._offsets: dict[str, int] = {}
        self._failed: list[int] = []
        self._count = 0
        self._end = 0
        self._file: BinaryIO | None = None
        self._lock = threading.Lock()
        self._claims: dict[str, threading.Lock] = {}
        with suppress(FileNotFoundError, NotADirectoryError), self.path.open("rb") as file:
            self._read_from(file)
        self._end_at_opening = self._end

    def _read_from(self, file: BinaryIO) -> bytes:
        """Index the lines behind the known end; return what follows them: a line cut short by a crash, or nothing."""
        file.seek(self._end)
        for line in file:
            head, tail = _HEAD.match(line), _TAIL.search(line, max(0, len(line) - 160))
            if tail and int(tail[2], 16) != zlib.crc32(line[: tail.start(2) - len(',"crc":"')]):
                tail = None
            if not line.endswith(b"\n") and not tail:
                return line
            where = f"{self.path} line {self._count + 1}"
            if head and int(head[1]) > VERSION:
                raise LogError(f"{where} was written by a newer minirag; update this one.")
            if not head or not tail:
                remedy = "restore the file from a copy, or remove that line to pay for its call again"
                raise LogError(f"{where} is damaged (its checksum does not match); {remedy}.")
            self._index(head[2].decode(), len(line), None if tail[1] else json.loads(line)["error"])
        return b""

    def _index(self, id: str, size: int, error: Mapping[str, Any] | None) -> None:
        if error is not None:
            self._failed.append(self._end)
        if error is None or error.get("code") in FINAL:
            self._offsets[id] = self._end
        self._end += size
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Exchange]:
        """Iterate over all exchanges in the order they were written, read from disk one at a time."""
        return self._from(0) if self.path.exists() else iter(())

    def find(self, id: str) -> Exchange | None:
        """Return the newest exchange with this id that succeeded, or failed for good; None if there is none."""
        offset = self._offsets.get(id)
        return None if offset is None else next(self._from(offset))

    def failures(self) -> Iterator[Exchange]:
        """Yield the failed exchanges, oldest first."""
        return (next(self._from(offset)) for offset in list(self._failed))

    def _from(self, offset: int) -> Iterator[Exchange]:
        """Yield the exchanges from a byte of the file on, up to the end of the log as it is by then."""
        with self.path.open("rb") as file:
            file.seek(offset)
            while file.tell() < self._end:
                try:
                    yield Exchange.from_line(file.readline())
                except (ValueError, KeyError, TypeError) as error:
                    text = f"{self.path} holds a line that minirag did not write ({error}); remove it."
                    raise LogError(text) from error

    def append(self, exchange: Exchange) -> None:
        """Write one exchange and sync it. Raises LogError as `lock` does, and Unfinished on a full disk."""
        self.lock()
        line = exchange.to_line()
        try:
            with self._lock:
                assert self._file is not None
                rest = memoryview(line)
                try:
                    while rest:
                        rest = rest[self._file.write(rest) :]
                except OSError:
                    self._file.truncate(self._end)
                    raise
                self._index(exchange.id, len(line), exchange.error)
                self.added += 1
            if self._sync:
                os.fsync(self._file.fileno())  # outside the lock: one sync may serve several waiting threads
        except OSError as error:
            text = f"Cannot write to {self.path}: {error.strerror}"
            raise Unfinished(f"{text}; everything before is kept, run again to resume.") from error

    def lock(self) -> None:
        """Lock the log for this process until `close`, and move a torn last line to `<name>.torn`. Raises LogError."""
        with self._lock:
            if self._file is not None:
                return
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                file = open(self.path, "a+b", buffering=0, opener=_private)  # noqa: SIM115  closed by `close`
            except OSError as error:
                raise LogError(f"Cannot write the log {self.path}: {error.strerror}.") from error
            try:
                lock_file(file.fileno())
            except OSError:
                file.close()
                text = f"Another process is working in {self.path.parent}; wait for it, or choose another folder."
                raise LogError(text) from None
            torn = self._read_from(file)  # after what others have appended since the opening
            file.seek(max(0, self._end - 1))
            if torn:
                with open(f"{self.path}.torn", "ab", opener=_private) as beside:
                    beside.write(torn + b"\n")
                file.truncate(self._end)
            elif self._end and file.read(1) != b"\n":
                file.write(b"\n")  # a crash took only the newline of the last line
                self._end += 1
            self._file = file
            weakref.finalize(self, file.close)

    @contextmanager
    def claim(self, id: str, *variants: str) -> Iterator[Exchange | None]:
        """Yield what `find` has of this call, or None to the one thread that may make the call now.

        `variants` are the ids of the same call in other forms.
        """
        with self._lock:  # others that claim this id wait for the end of the block, so that nothing is paid twice
            lock = self._claims.setdefault(id, threading.Lock())
        with lock:
            name = next((name for name in (id, *variants) if name in self._offsets), id)
            recorded = self.find(name)
            if recorded is not None and recorded.error is None and self._offsets[name] < self._end_at_opening:
                self.reused.add(name)
            yield recorded

    def close(self) -> None:
        """Close the file and give up its lock; a later append takes it again."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def __enter__(self) -> "MessageLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
