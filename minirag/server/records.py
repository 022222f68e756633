"""JSON objects by id that outlive the process: a dictionary whose every change is a file, if it has a folder.

>>> files = Records(None)
>>> file = files.add("file-", b"abc", {"bytes": 3})
>>> file["id"]
'file-c75e3abb575a77261847ac28'
>>> files.get(file["id"]) == file, files.get("file-2"), len(files.newest_first())
(True, None, 1)
"""

import hashlib
import json
from pathlib import Path
from threading import Lock

from minirag.errors import InputError
from minirag.server.wire import Json


class Records:
    """Records in the order in which they were added; safe to use from many threads.

    Never change a record in place: put a new one. With a `folder` each is one file there, replaced as a whole and
    readable by its owner only. Raises InputError if the folder cannot be used or is damaged.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._lock = Lock()
        self._entries: dict[str, Json] = {}  # id -> {"place", "record"}
        if folder is None:
            return
        try:
            for parent in (folder.parent, folder):  # `parents` would make the first one open to everybody
                parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            entries = [json.loads(path.read_bytes()) for path in folder.glob("*.json")]
            self._entries = {entry["record"]["id"]: entry for entry in sorted(entries, key=lambda e: int(e["place"]))}
        except OSError as error:
            raise InputError(f"The state folder {folder} cannot be used ({error.strerror}); name another.") from error
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"The state folder {folder} is damaged; delete it or name another.") from error

    def get(self, key: str) -> Json | None:
        """Return the record of this id, or None."""
        entry = self._entries.get(key)
        return entry["record"] if entry else None

    def newest_first(self) -> list[Json]:
        """Return all records, the one added last first."""
        with self._lock:
            return [entry["record"] for entry in reversed(self._entries.values())]

    def add(self, prefix: str, content: bytes, record: Json) -> Json:
        """Add `record` under an id made from `content` (a second one of the same content gets its own); return it."""
        with self._lock:
            repeat = 0
            while (key := prefix + _digest(b"%d %s" % (repeat, content))) in self._entries:
                repeat += 1
            return self._write({"id": key, **record})

    def put(self, record: Json) -> Json:
        """Add `record`, or replace the one of its id; return it."""
        with self._lock:
            return self._write(record)

    def delete(self, key: str) -> None:
        """Delete the record of this id, if there is one."""
        with self._lock:
            if self._entries.pop(key, None) and self._folder:
                self._path(self._folder, key).unlink(missing_ok=True)

    def _write(self, record: Json) -> Json:
        key = record["id"]
        last = next(reversed(self._entries.values()), {"place": 0})
        entry = {"place": self._entries.get(key, {"place": last["place"] + 1})["place"], "record": record}
        if self._folder:
            path = self._path(self._folder, key)
            unfinished = path.with_suffix(".tmp")
            unfinished.touch(mode=0o600)
            unfinished.write_text(json.dumps(entry), encoding="utf-8")
            unfinished.replace(path)
        self._entries[key] = entry
        return record

    @staticmethod
    def _path(folder: Path, key: str) -> Path:
        return folder / f"{_digest(key.encode())}.json"  # an id may hold characters that a file name may not


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:24]
