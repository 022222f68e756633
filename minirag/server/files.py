"""What the server keeps: JSON records by id, as files in a folder if it has one, and uploaded files as such records."""

import base64
import hashlib
import json
import time
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from threading import Lock
from typing import Any

from minirag.errors import InputError
from minirag.message_log import write_atomically
from minirag.server.wire import Json, Refused, Request, page


class Records:
    """JSON objects by id, in the order in which they were added; safe to use from many threads.

    Never change a record in place: put a new one. With a `folder` each is one file there, replaced as a whole and
    readable by its owner only. Raises InputError if the folder cannot be used or is damaged.

    >>> records = Records(None)
    >>> record = records.add("file-", b"abc", {"bytes": 3})
    >>> record["id"], records.get(record["id"]) == record, records.get("file-2")
    ('file-c75e3abb575a77261847ac28', True, None)
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

    def require(self, key: str, kind: str) -> Json:
        """Return the record of this id; refused if there is none."""
        if record := self.get(key):
            return record
        raise Refused(404, f"No such {kind} object: {key}", param="id")

    def newest_first(self) -> list[Json]:
        """Return all records, the one added last first."""
        with self._lock:
            return [entry["record"] for entry in reversed(self._entries.values())]

    def add(self, prefix: str, content: bytes, record: Json) -> Json:
        """Add `record` under an id made from `content` (a second one of the same content gets its own); return it."""
        with self._lock:
            repeat = 0
            while (key := prefix + digest(b"%d %s" % (repeat, content))) in self._entries:
                repeat += 1
            return self._write({"id": key, **record})

    def put(self, record: Json) -> Json:
        """Add `record`, or replace the one of its id; return it."""
        with self._lock:
            return self._write(record)

    def remove(self, key: str) -> None:
        """Remove the record of this id, if there is one."""
        with self._lock:
            if self._entries.pop(key, None) and self._folder:
                self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return (self._folder or Path()) / f"{digest(key.encode())}.json"  # an id may hold what a file name may not

    def _write(self, record: Json) -> Json:
        key = record["id"]
        last = next(reversed(self._entries.values()), {"place": -1})
        place = self._entries.get(key, {"place": last["place"] + 1})["place"]
        entry = {"place": place, "record": record}
        if self._folder:
            write_atomically(self._path(key), json.dumps(entry).encode())
        self._entries[key] = entry
        return record


class Files:
    """Uploaded files, and the result files of batches, by id."""

    def __init__(self, folder: Path | None) -> None:
        self._records = Records(folder)

    def add(self, filename: str, content: bytes, purpose: str) -> Json:
        """Keep a file; return the file object."""
        record = {
            "object": "file",
            "purpose": purpose,
            "filename": filename,
            "bytes": len(content),
            "created_at": int(time.time()),
            "status": "processed",
            "content": base64.b64encode(content).decode(),
        }
        return _public(self._records.add("file-", content, record))

    def upload(self, request: Request) -> Json:
        """The bytes of the file are kept untouched, line ends included."""
        head = f"Content-Type: {request.headers.get('content-type', '')}\r\n\r\n".encode()
        fields = {}
        for part in BytesParser(policy=HTTP).parsebytes(head + request.body).iter_parts():
            fields[part.get_param("name", header="content-disposition")] = part
        if not {"file", "purpose"} <= fields.keys():
            raise Refused(400, "Send multipart/form-data with the fields 'file' and 'purpose'.", param="file")
        content: Any = fields["file"].get_payload(decode=True)
        purpose: Any = fields["purpose"].get_payload(decode=True)
        return self.add(fields["file"].get_filename() or "", content, purpose.decode("utf-8", "replace"))

    def get(self, request: Request, file_id: str) -> Json:
        return _public(self._records.require(file_id, "file"))

    def content(self, file_id: str) -> bytes:
        return base64.b64decode(self._records.require(file_id, "file")["content"])

    def all(self, request: Request) -> Json:
        purpose = request.query.get("purpose")
        records = (record for record in self._records.newest_first() if purpose in (None, record["purpose"]))
        return page([_public(record) for record in records], request.query)

    def delete(self, request: Request, file_id: str) -> Json:
        self._records.require(file_id, "file")
        self._records.remove(file_id)
        return {"id": file_id, "object": "file", "deleted": True}

    def check(self, file_id: str, purpose: str, param: str) -> None:
        """Refuse a request whose parameter names no file that was uploaded for this purpose."""
        record = self._records.get(file_id)
        if record is None or record["purpose"] != purpose:
            raise Refused(400, f"Invalid {param}: {file_id}", param=param)


def digest(content: bytes) -> str:
    """Return 24 hexadecimal digits that stand for `content`."""
    return hashlib.sha256(content).hexdigest()[:24]


def _public(record: Json) -> Json:
    return {key: value for key, value in record.items() if key != "content"}
