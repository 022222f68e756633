"""Row 2. The append-only JSONL file of exchanges: the one record from which everything else is rebuilt.

Each line is one `Exchange`, written and synced to disk before its result is used. A line ends with a checksum
of itself, so a flipped bit is found. A last line cut short by a crash is set aside in a file beside the log
before the next append; any other bad line is a `LogError` that names its number.
"""

import fcntl
import hashlib
import json
import os
import re
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from minirag.errors import LogError, Unfinished
from minirag.files import FULL
from minirag.in_flight import InFlight
from minirag.redact import without_keys

VERSION = 1
_HEAD = re.compile(rb'\{"v":(\d+),"id":"([0-9a-f]{64})",')
_TAIL = re.compile(rb'(?P<ok>"error":null)?,"started":"[^"]*","seconds":[-+.e\d]+,"crc":"(?P<crc>[0-9a-f]{8})"\}$')
_CRC_LENGTH = len(',"crc":"00000000"}')
_INTERRUPTED = {
    "type": "Interrupted",
    "status": None,
    "code": None,
    "param": None,
    "message": "The process ended before it logged the reply; the call may have been billed.",
}

_KINDS: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("stage", "endpoint", "service", "started", "id"), str),
    **dict.fromkeys(("request", "tags"), dict),
    **dict.fromkeys(("response", "error"), (dict, type(None))),
    "repeat": int,
    "seconds": (int, float),
}
"""The types that the fields of a line have."""


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text.

    >>> canonical({"b": [1, 2.5], "a": "ü"})
    '{"a":"ü","b":[1,2.5]}'
    """
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def exchange_id(service: str, endpoint: str, request: Mapping[str, Any], repeat: int = 0) -> str:
    """The identity of a call: versioned sha256 over where it goes, everything it sends, and which repeat it is.

    >>> exchange_id("offline", "chat.completions", {"model": "m"})[:12]
    '39d5b09a1a6b'
    """
    text = canonical([VERSION, service, endpoint, request, repeat])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Exchange:
    """One completed call to a model service, as sent and as received.

    `request` is what was sent and `response` what came back, both raw; exactly one of `response` and `error`
    may be missing (a refused reply that was billed has both). Everything else is read from these.
    """

    stage: str
    endpoint: str
    service: str
    request: Mapping[str, Any]
    response: Mapping[str, Any] | None
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
        """The first of the reply's choices; empty where there is none."""
        choices = (self.response or {}).get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        return first if isinstance(first, Mapping) else {}

    @property
    def text(self) -> str:
        """The reply's text; empty where there is none."""
        message = self._choice.get("message")
        return str(message.get("content") or "") if isinstance(message, Mapping) else ""

    @property
    def finish_reason(self) -> str | None:
        """Why the model stopped: `stop`, `length`, `content_filter`, …"""
        reason = self._choice.get("finish_reason")
        return None if reason is None else str(reason)

    @property
    def draft(self) -> int:
        """Which draft of an answer this is, from 1."""
        number = self.tags.get("draft")
        return number if isinstance(number, int) else 1

    @property
    def model(self) -> str:
        """The model that was asked for."""
        return str(self.request.get("model", ""))

    @property
    def served_model(self) -> str:
        """The model that answered, as the service names it."""
        return str((self.response or {}).get("model") or self.model)

    @property
    def usage(self) -> Mapping[str, Any]:
        """The tokens billed, as the service counts them; empty where it does not say."""
        usage = (self.response or {}).get("usage")
        return usage if isinstance(usage, Mapping) else {}

    @property
    def interrupted(self) -> bool:
        """Whether nobody knows what became of this call: its process died while it was in flight."""
        return self.error is not None and self.error.get("type") == _INTERRUPTED["type"]

    def to_line(self) -> bytes:
        """The exchange as one line of the log, checksum and newline included, and no key in use (see `redact`)."""
        body = {
            "v": VERSION,
            "id": self.id,
            "stage": self.stage,
            "tags": dict(self.tags),
            "endpoint": self.endpoint,
            "service": self.service,
            "repeat": self.repeat,
            "request": self.request,
            "response": self.response,
            "error": self.error,
            "started": self.started,
            "seconds": self.seconds,
        }
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        data = without_keys(text.encode("utf-8", "backslashreplace"))[:-1]
        return data + b',"crc":"%08x"}\n' % zlib.crc32(data)

    @classmethod
    def from_line(cls, line: bytes) -> "Exchange":
        """The exchange that `to_line` wrote; its checksum is not looked at here.

        Raises ValueError for a line that has another shape: anybody can compute a checksum.
        """
        try:
            body = json.loads(line)
            found = cls(**{name: body[name] for name in cls.__dataclass_fields__})
        except (KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error
        for name, kinds in _KINDS.items():
            if not isinstance(getattr(found, name), kinds):
                raise ValueError(f"{name!r} is {getattr(found, name)!r:.40}")
        messages = found.request.get("messages", [])
        if not isinstance(messages, list) or not all(isinstance(m, dict) and "role" in m for m in messages):
            raise ValueError(f"'messages' is {messages!r:.40}")
        return found


class MessageLog:
    """The log at `path`: a sequence of exchanges, and an index of those that can be replayed.

    Opening reads the file once and keeps one number per exchange. With `sync=False` lines are not forced to the disk,
    for logs that nobody pays for. `added` counts the exchanges appended here. Raises LogError for a line that is
    damaged or written by a newer version.
    """

    def __init__(self, path: str | os.PathLike[str], *, sync: bool = True) -> None:
        self.path = Path(path)
        self._sync = sync
        self.added = 0
        self._taken: set[str] = set()
        self._offsets: dict[str, int] = {}
        self._earlier: dict[str, list[int]] = {}
        self._failed: list[int] = []
        self._count = 0
        self._end = 0
        self._calls = InFlight(self.path)
        self._recovered = False
        self._lock = threading.Lock()
        self._in_flight: dict[str, threading.Event] = {}
        self._appending: int | None = None
        self._open()
        self._opened_end = self._end

    # -- reading -------------------------------------------------------------------------------------------

    def _open(self) -> None:
        if not self.path.exists():
            return
        try:
            with self.path.open("rb") as file:
                for number, line in enumerate(file, 1):
                    if not line.endswith(b"\n") and not _intact(line):
                        break  # a torn tail: `_end` stays before it
                    self._index(line.rstrip(b"\n"), number)
                    self._end += len(line)
        except OSError as error:
            raise LogError(f"Cannot read the log {self.path}: {error.strerror}.") from error

    def _index(self, line: bytes, number: int) -> None:
        head, tail = _HEAD.match(line), _TAIL.search(line, max(0, len(line) - 160))
        if head and int(head[1]) > VERSION:
            raise LogError(f"{self.path} line {number} was written by a newer minirag; update this one.")
        if not head or not tail or not _intact(line):
            raise LogError(
                f"{self.path} line {number} is damaged (its checksum does not match); restore the file from a copy, "
                "or remove that line to pay for its call again."
            )
        self._remember(head[2].decode(), self._end, failed=not tail["ok"])
        self._count += 1

    def _remember(self, id: str, offset: int, *, failed: bool) -> None:
        if failed:
            self._failed.append(offset)
            return
        if id in self._offsets:
            self._earlier.setdefault(id, []).append(self._offsets[id])
        self._offsets[id] = offset

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Exchange]:
        """All exchanges in the order they were written, read from disk one at a time."""
        return self.between(0, None)

    @property
    def taken(self) -> int:
        """How many calls `once` answered from the exchanges that were there at the opening, however often."""
        return len(self._taken)

    @property
    def torn(self) -> Path:
        """Where the half of a line goes that a process left when it died."""
        return self.path.with_name(f"{self.path.name}.torn")

    @property
    def end(self) -> int:
        """Bytes of the log as far as it is known here."""
        return self._end

    def between(self, start: int, end: int | None) -> Iterator[Exchange]:
        """The exchanges from byte `start`, an `end` of before, up to another (None: that of now, as it grows)."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(start)
            while file.tell() < (self._end if end is None else end):
                yield self._exchange(file.readline())

    def find(self, id: str) -> Exchange | None:
        """The successful exchange of that identity, if there is one."""
        offset = self._offsets.get(id)
        return None if offset is None else self._read(offset)

    def all_of(self, id: str) -> list[Exchange]:
        """All successful exchanges of that identity, oldest first."""
        last = self._offsets.get(id)
        return [] if last is None else [self._read(offset) for offset in (*self._earlier.get(id, ()), last)]

    def failures(self, since: int = 0) -> Iterator[Exchange]:
        """The failed exchanges, oldest first, without the first `since` of them."""
        for offset in self._failed[since:]:
            yield self._read(offset)

    def interrupted(self) -> int:
        """How many model calls were in flight when a process died: their replies are lost, and may have been billed."""
        return sum(1 for e in self.failures() if e.interrupted and e.endpoint in {"chat.completions", "embeddings"})

    def _read(self, offset: int) -> Exchange:
        with self.path.open("rb") as file:
            file.seek(offset)
            return self._exchange(file.readline())

    def _exchange(self, line: bytes) -> Exchange:
        try:
            return Exchange.from_line(line)
        except ValueError as error:
            raise LogError(f"{self.path} holds a line that minirag did not write ({error}); remove it.") from error

    # -- writing -------------------------------------------------------------------------------------------

    def append(self, exchange: Exchange) -> None:
        """Write one exchange and sync it to disk; only then can it be found.

        Other processes may append to the same file: each line is written under a lock of the file, behind what the
        others wrote. On a full disk the log is left as it was (Unfinished).
        """
        offset = self._write(exchange.to_line())
        with self._lock:
            self._remember(exchange.id, offset, failed=exchange.error is not None)
            self.added += 1

    def _write(self, line: bytes) -> int:
        """Append a line and sync it; where it begins."""
        try:
            with self._lock:
                file = self._file()
                fcntl.flock(file, fcntl.LOCK_EX)
                try:
                    self._catch_up(file)
                    offset = self._end
                    _write_line(file, line, offset)
                    self._end += len(line)
                    self._count += 1
                finally:
                    fcntl.flock(file, fcntl.LOCK_UN)
            if self._sync:
                os.fsync(file)  # outside the lock: one sync may serve several waiting threads
        except OSError as error:
            raise Unfinished(
                f"Cannot write to {self.path}: {error.strerror}; everything before is kept, run again to resume."
            ) from error
        return offset

    @contextmanager
    def sending(self, exchange: Exchange) -> Iterator[None]:
        """Around the sending of a call and the logging of its outcome: leaves word if the process dies in between.

        `exchange` is the call as far as it is known. Raises Unfinished where there is no room even for that.
        """
        if not self._sync:
            yield
            return
        self.recover()
        with self._lock:
            self._file()
        with self._calls.sending(replace(exchange, error=_INTERRUPTED).to_line()):
            yield

    def recover(self) -> None:
        """Log the calls that were in flight when a process died. Done once, before the first call is sent."""
        with self._lock:
            if self._recovered:
                return
            self._recovered = True
        for line in self._calls.left():
            lost = Exchange.from_line(line)
            failed = (exchange for exchange in self.failures() if exchange.id == lost.id)
            if not any(exchange.started >= lost.started for exchange in (*self.all_of(lost.id), *failed)):
                self.append(lost)  # else the process died between logging the reply and saying so

    def _file(self) -> int:
        if self._appending is None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._appending = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            except OSError as error:
                kind = Unfinished if error.errno in FULL else LogError
                raise kind(f"Cannot write the log {self.path}: {error.strerror}.") from error
        return self._appending

    def _catch_up(self, file: int) -> None:
        """Index the whole lines that stand behind the known end; set aside a torn one."""
        if self._end and os.pread(file, 1, self._end - 1) != b"\n":
            _write_line(file, b"\n", self._end)  # a crash took only the newline of the last line
            self._end += 1
        rest = os.pread(file, os.fstat(file).st_size - self._end, self._end)
        whole, newline, torn = rest.rpartition(b"\n")
        for line in whole.split(b"\n") if newline else ():
            self._index(line, self._count + 1)
            self._end += len(line) + 1
        if torn:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            with os.fdopen(os.open(self.torn, flags, 0o600), "ab") as aside:
                aside.write(torn + b"\n")
            os.ftruncate(file, self._end)

    def once(self, id: str, call: Callable[[], Exchange]) -> Exchange:
        """The recorded exchange of that identity, or the one that `call` makes and appends itself.

        Threads that ask for the same identity at the same time wait for the first, so nothing is paid twice.
        """
        while True:
            if (found := self.find(id)) is not None:
                with self._lock:
                    if self._offsets[id] < self._opened_end:
                        self._taken.add(id)
                return found
            with self._lock:
                if id in self._offsets:
                    continue
                waiting = self._in_flight.get(id)
                if waiting is None:
                    self._in_flight[id] = threading.Event()
            if waiting is None:
                break
            waiting.wait()
        try:
            return call()
        finally:
            with self._lock:
                self._in_flight.pop(id).set()

    @cached_property
    def aside(self) -> "MessageLog":
        """A log beside this one for what it does not keep for good: the vectors of an index that is being built."""
        return MessageLog(self.path.with_name(f"{self.path.name}.vectors"), sync=self._sync)

    def forget_aside(self) -> None:
        """Remove the log beside this one: what it holds is kept elsewhere by now."""
        self.aside.close()
        self.aside.path.unlink(missing_ok=True)
        self.aside.torn.unlink(missing_ok=True)
        del self.aside

    def close(self) -> None:
        """Close the file; a later append opens it again."""
        with self._lock:
            if self._appending is not None:
                os.close(self._appending)
                self._appending = None
        self._calls.close()

    def __enter__(self) -> "MessageLog":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _intact(line: bytes) -> bool:
    """Whether a line's checksum matches its bytes."""
    line = line.rstrip(b"\n")
    tail = _TAIL.search(line, max(0, len(line) - 160))
    return tail is not None and int(tail["crc"], 16) == zlib.crc32(line[:-_CRC_LENGTH])


def _write_line(file: int, line: bytes, end: int) -> None:
    """Append a line to a file that ends at `end`; all of it or nothing."""
    view = memoryview(line)
    try:
        while view:
            view = view[os.write(file, view) :]
    except OSError:
        os.ftruncate(file, end)
        raise
