"""Uploaded files, and the result files of jobs and batches."""

import base64
import time
from collections.abc import Mapping
from pathlib import Path

from minirag.server.records import Records
from minirag.server.wire import Json, Refused, Upload, page

PURPOSES = ("fine-tune", "batch")


class Files:
    """Files by id. `folder` keeps them; None keeps them as long as the process."""

    def __init__(self, folder: Path | None) -> None:
        self._records = Records(folder)

    def upload(self, form: Upload) -> Json:
        """POST /v1/files."""
        purpose = form.fields.get("purpose", "")
        if purpose not in PURPOSES:
            raise Refused(400, f"'{purpose[:40]}' is not one of {[*PURPOSES]} - 'purpose'", param="purpose")
        if not form.filename.endswith(".jsonl") or not form.content:
            raise Refused(400, f"A file for '{purpose}' must end in .jsonl and hold something.", param="file")
        return self.add(form.content, form.filename, purpose)

    def add(self, content: bytes, filename: str, purpose: str) -> Json:
        """Keep a file; return the file object."""
        record = {
            "object": "file",
            "purpose": purpose,
            "filename": filename,
            "bytes": len(content),
            "created_at": int(time.time()),
            "status": "processed",
            "status_details": None,
            "content": base64.b64encode(content).decode(),
        }
        return _public(self._records.add("file-", content, record))

    def find(self, file_id: str) -> Json | None:
        """Return a file object, or None."""
        record = self._records.get(file_id)
        return _public(record) if record else None

    def get(self, file_id: str) -> Json:
        """GET /v1/files/{file_id}."""
        return _public(self._record(file_id))

    def content(self, file_id: str) -> bytes:
        """GET /v1/files/{file_id}/content."""
        return base64.b64decode(self._record(file_id)["content"])

    def all(self, query: Mapping[str, str]) -> Json:
        """GET /v1/files, the newest first unless `order` is "asc"."""
        files = [_public(record) for record in self._records.newest_first()]
        files = [file for file in files if query.get("purpose") in (None, file["purpose"])]
        return page(files[::-1] if query.get("order") == "asc" else files, query, most=10_000, usual=10_000)

    def delete(self, file_id: str) -> Json:
        """DELETE /v1/files/{file_id}."""
        self._record(file_id)
        self._records.delete(file_id)
        return {"id": file_id, "object": "file", "deleted": True}

    def _record(self, file_id: str) -> Json:
        if record := self._records.get(file_id):
            return record
        raise Refused(404, f"No such File object: {file_id}", param="id")


def _public(record: Json) -> Json:
    return {key: value for key, value in record.items() if key != "content"}
