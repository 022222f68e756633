"""Apart. JSON objects by id that outlive the process: a dictionary whose every change is a file, if it has a folder.

>>> files = Records(None)
>>> file = files.add("file-", b"abc", {"bytes": 3})
>>> file["id"]
'file-c75e3abb575a77261847ac28'
>>> files.get(file["id"]) == file, files.get("file-2"), len(files.newest_first())
(True, None, 1)
"""

import hashlib
import json
import os
from pathlib import Path
from threading import Lock

from minirag.errors import InputError
from minirag.server.wire import Json


class Records:
    """Records in the order in which they were added; safe to use from many threads.

    A record that is in must not be changed in place: put a new one. With a `folder` each is one file there, replaced
    as a whole and readable by its owner only. Raises InputError if the folder cannot be used or is damaged.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._lock = Lock()
        self._kept: dict[str, Json] = {}  # id -> {"place", "record"}
        if folder is None:
            return
        try:
            for new in (folder.parent, folder):  # `parents` would make the first one open to everybody
                new.mkdir(mode=0o700, parents=True, exist_ok=True)
            kept = [json.loads(path.read_bytes()) for path in folder.glob("*.json")]
            self._kept = {each["record"]["id"]: each for each in sorted(kept, key=lambda each: int(each["place"]))}
        except OSError as error:
            raise InputError(f"The state folder {folder} cannot be used ({error.strerror}); name another.") from error
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"The state folder {folder} is damaged; delete it or name another.") from error

    def get(self, key: str) -> Json | None:
        """The record of this id, or None."""
        kept = self._kept.get(key)
        return kept["record"] if kept else None

    def newest_first(self) -> list[Json]:
        """All records, the one added last first."""
        with self._lock:
            return [kept["record"] for kept in reversed(self._kept.values())]

    def add(self, prefix: str, content: bytes, record: Json) -> Json:
        """Add `record` under an id made from `content` (a second one of the same content gets its own); return it."""
        with self._lock:
            repeat = 0
            while (key := prefix + _digest(b"%d %s" % (repeat, content))) in self._kept:
                repeat += 1
            return self._write({"id": key, **record})

    def put(self, record: Json) -> Json:
        """Add `record`, or replace the one of its id; return it."""
        with self._lock:
            return self._write(record)

    def delete(self, key: str) -> bool:
        """Whether there was one to delete."""
        with self._lock:
            if self._kept.pop(key, None) is None:
                return False
            if self._folder:
                self._path(self._folder, key).unlink(missing_ok=True)
            return True

    def _write(self, record: Json) -> Json:
        key = record["id"]
        last = next(reversed(self._kept.values()), {"place": 0})
        kept = {"place": self._kept.get(key, {"place": last["place"] + 1})["place"], "record": record}
        if self._folder:
            path = self._path(self._folder, key)
            unfinished = path.with_suffix(".tmp")
            with open(
                unfinished, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)
            ) as file:
                json.dump(kept, file)
            unfinished.replace(path)
        self._kept[key] = kept
        return record

    @staticmethod
    def _path(folder: Path, key: str) -> Path:
        return folder / f"{_digest(key.encode())}.json"  # an id may hold characters that a file name may not


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:24]
