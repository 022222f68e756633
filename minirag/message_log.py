"""What is on disk so that a crash loses nothing: the append-only log of exchanges with models, and files written whole.

The log is the one record from which everything else is rebuilt. Each line is one `Exchange` with a checksum, written
and synced before its result is used. A last line cut short by a crash is set aside; any other bad line is an error.
"""

import hashlib
import json
import os
import re
import sys
import threading
import weakref
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from minirag.errors import FINAL, LogError, Unfinished

VERSION = 1
_LINE = "id stage tags endpoint service repeat request response error started seconds".split()
_TEXT_PARTS = ("text", "output_text", None)
_THINKING = re.compile(r"(?is)(?:<think(?:ing)?>|\[think\]).*?(?:</think(?:ing)?>|\[/think\]|\Z)|\A.*?</think(?:ing)?>")
"""Thinking in a text: between its tags, behind the first if it was cut off, before the second if the prompt had one."""
_private = partial(os.open, mode=0o600)  # only the owner may read: the documents' text is in these files
_HEAD = re.compile(rb'\{"v":(\d+),"id":"([0-9a-f]{64})",')


def canonical(value: Any) -> str:
    """Return JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def exchange_id(service: str, endpoint: str, request: Mapping[str, Any], repeat: int = 0) -> str:
    """Return the identity of a call: a versioned sha256 of its address, everything it sends, and its repeat number."""
    text = canonical([VERSION, service, endpoint, request, repeat])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def visible(content: Any) -> str:
    """Return the text of a message's `content`, a text or a list of parts, without any thinking in it.

    >>> visible("<think>1 + 1?</think> Two."), visible([{"type": "thinking"}, {"type": "text", "text": "Two."}])
    ('Two.', 'Two.')
    """
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, Mapping) and part.get("type") in _TEXT_PARTS]
        content = "".join(str(part.get("text") or "") for part in parts)
    text = str(content or "")
    shown = _THINKING.sub("", text)
    return text if shown == text else shown.strip()


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call to a model service, raw: `request` as sent, `response` as received.

    A completed call has a response, an error, or both (a reply that was billed but cannot be used); one that is still
    to be sent has neither. Text, usage and model are read from these two.
    """

    stage: str
    endpoint: str
    service: str
    request: Mapping[str, Any]
    response: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    repeat: int = 0
    tags: Mapping[str, Any] = field(default_factory=dict)
    started: str = ""
    seconds: float = 0.0
    id: str = ""

    def __post_init__(self) -> None:
        if not self.id:
            object.__setattr__(self, "id", exchange_id(self.service, self.endpoint, self.request, self.repeat))

    @property
    def _choice(self) -> Mapping[str, Any]:
        choices = (self.response or {}).get("choices")
        return choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], Mapping) else {}

    @property
    def text(self) -> str:
        """The reply's visible text, without what the model thought before it; empty if there is none."""
        message = self._choice.get("message")
        return visible(message.get("content")) if isinstance(message, Mapping) else ""

    @property
    def finish_reason(self) -> str | None:
        """Why the model stopped: `stop`, `length`, `content_filter`, …"""
        return str(self._choice["finish_reason"]) if self._choice.get("finish_reason") else None

    @property
    def model(self) -> str:
        """The model that was requested."""
        return str(self.request.get("model", ""))

    @property
    def served_model(self) -> str:
        """The model that answered, in the service's words."""
        return str((self.response or {}).get("model") or self.model)

    @property
    def usage(self) -> Mapping[str, Any]:
        """The tokens billed, as the service counts them; empty if it does not say."""
        usage = (self.response or {}).get("usage")
        return usage if isinstance(usage, Mapping) else {}

    def to_line(self) -> bytes:
        """Return the exchange as one line of the log, checksum and newline included."""
        body = {"v": VERSION, **{name: getattr(self, name) for name in _LINE}}
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        data = text.encode("utf-8", "backslashreplace")[:-1]
        return data + b',"crc":"%08x"}\n' % zlib.crc32(data)

    @classmethod
    def from_line(cls, line: bytes) -> "Exchange":
        """Return the exchange of a line that `to_line` wrote."""
        body = json.loads(line)
        return cls(**{name: body[name] for name in cls.__dataclass_fields__})


class MessageLog(AbstractContextManager["MessageLog"]):
    """The log at `path`: iterate over its exchanges, `find` one by its id, `append` another.

    Opening reads the file once and keeps a number per exchange, and the failed ones as `failures`. The first append
    locks the file until `close`; reading needs no lock. `sync=False` skips the fsync of each line. `added` counts the
    exchanges appended here. Raises LogError for a line that is damaged or written by a newer version.
    """

    def __init__(self, path: str | os.PathLike[str], *, sync: bool = True) -> None:
        self.path = Path(path)
        self.added = self._count = self._end = 0
        self.failures: list[Exchange] = []
        self._sync = sync
        self._offsets: dict[str, int] = {}
        self._file: BinaryIO | None = None
        self._lock = threading.Lock()
        self._claims: dict[str, threading.Lock] = {}
        with suppress(FileNotFoundError, NotADirectoryError), self.path.open("rb") as file:
            self._read_from(file)

    def _read_from(self, file: BinaryIO) -> bytes:
        """Index the lines behind the known end; return what follows them: a line cut short by a crash, or nothing."""
        file.seek(self._end)
        for line in file:
            if not line.endswith(b"\n"):
                return line
            body, _, checksum = line.rpartition(b',"crc":"')
            head, is_whole = _HEAD.match(line), checksum == b'%08x"}\n' % zlib.crc32(body)
            where = f"{self.path} line {self._count + 1}"
            if head and int(head[1]) > VERSION:
                raise LogError(f"{where} was written by a newer minirag; update this one.")
            if not head or not is_whole:
                remedy = "restore the file from a copy, or remove that line to pay for its call again"
                raise LogError(f"{where} is damaged (its checksum does not match); {remedy}.")
            has_failed = b',"error":null,"started":' not in body[-120:]
            self._add(head[2].decode(), len(line), Exchange.from_line(line) if has_failed else None)
        return b""

    def _add(self, id: str, size: int, failed: Exchange | None) -> None:
        if failed is not None:
            self.failures.append(failed)
        if failed is None or (failed.error or {}).get("code") in FINAL:
            self._offsets[id] = self._end
        self._end += size
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Exchange]:
        """Iterate over all exchanges in the order they were written, read from disk one at a time."""
        if self._end:
            with self.path.open("rb") as file:
                while file.tell() < self._end:
                    yield Exchange.from_line(file.readline())

    def find(self, *ids: str) -> Exchange | None:
        """Return the newest exchange with the first of these ids that succeeded, or failed for good; None if none."""
        id = next((id for id in ids if id in self._offsets), None)
        if id is None:
            return None
        with self.path.open("rb") as file:
            file.seek(self._offsets[id])
            return Exchange.from_line(file.readline())

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
                self._add(exchange.id, len(line), None if exchange.error is None else exchange)
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
            if torn:
                with open(f"{self.path}.torn", "ab", opener=_private) as beside:
                    beside.write(torn + b"\n")
                file.truncate(self._end)
            self._file = file
            weakref.finalize(self, file.close)

    def claim(self, id: str) -> threading.Lock:
        """Return the lock of this call; threads that hold it while they make the call never pay for it twice."""
        return self._claims.setdefault(id, threading.Lock())

    def close(self) -> None:
        """Close the file and give up its lock; a later append takes it again."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def __exit__(self, *_: object) -> None:
        self.close()


def lock_file(file: int) -> None:
    """Lock an open file until it is closed. Raises OSError if another process has locked it."""
    if sys.platform == "win32":
        import msvcrt

        os.lseek(file, 2**31 - 2, os.SEEK_SET)  # far behind the log's end, because nobody can read a byte locked there
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

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
