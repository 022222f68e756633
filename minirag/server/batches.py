"""Batches: a file of requests in, files of replies and errors out.

A batch moves on each time it is retrieved: from validating to in_progress or failed, and then some lines at a time
until it is completed. No clock is involved, so a client sees every state.
"""

import json
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any

from minirag.server.files import Files, Records, digest
from minirag.server.wire import Json, Refused, Reply, Request, invalid, optional, page, parsed, required

ENDPOINTS = ("/v1/chat/completions", "/v1/embeddings")
LINES_A_LOOK = 250
"""Requests that are answered each time a batch is retrieved."""
FINAL = ("completed", "failed", "cancelled")


class Batches:
    """Batches by id, whose lines `answer` answers. `folder` keeps them; None keeps them as long as the process."""

    def __init__(self, folder: Path | None, files: Files, answer: Callable[[Request], Reply]) -> None:
        self.answer = answer
        self._records = Records(folder)  # each {"id", "batch", "output", "errors"}, the last two lines of files
        self._files = files
        self._lock = Lock()  # held while lines are answered too: none is answered twice

    def create(self, request: Request) -> Json:
        body = request.json
        endpoint, file_id = required(body, "endpoint"), required(body, "input_file_id")
        if endpoint not in ENDPOINTS:
            raise invalid("endpoint", f"one of {', '.join(ENDPOINTS)}")
        self._files.check(file_id, "batch", "input_file_id")
        batch = {
            "object": "batch",
            "endpoint": endpoint,
            "input_file_id": file_id,
            "completion_window": "24h",
            "status": "validating",
            "created_at": int(time.time()),
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
            "metadata": optional(body, "metadata", dict),
        }
        key = json.dumps(batch | {"created_at": 0}, sort_keys=True).encode()
        return _public(self._records.add("batch_", key, {"batch": batch, "output": [], "errors": []}))

    def all(self, request: Request) -> Json:
        return page([_public(record) for record in self._records.newest_first()], request.query)

    def get(self, request: Request, batch_id: str) -> Json:
        with self._lock:
            record = self._records.require(batch_id, "batch")
            batch, output, errors = record["batch"], [*record["output"]], [*record["errors"]]
            if batch["status"] in FINAL:
                return _public(record)
            bodies, wrong_lines = self._requests(batch)
            if wrong_lines:
                record = _changed(record, "failed", errors={"object": "list", "data": wrong_lines})
                return _public(self._records.put(record))
            if batch["status"] == "in_progress":
                done = len(output) + len(errors)
                for custom_id, body in islice(bodies.items(), done, done + LINES_A_LOOK):
                    headers = {"authorization": "Bearer batch"}
                    reply = self.answer(Request("POST", batch["endpoint"], {}, headers, json.dumps(body).encode()))
                    id_ = digest(f"{batch_id}/{custom_id}".encode())
                    response = {"status_code": reply.status, "request_id": id_, "body": parsed(reply.body)}
                    line = {"id": f"batch_req_{id_}", "custom_id": custom_id, "response": response, "error": None}
                    (output if reply.status == 200 else errors).append(line)
            counts = {"total": len(bodies), "completed": len(output), "failed": len(errors)}
            record = _changed(record | {"output": output, "errors": errors}, "in_progress", request_counts=counts)
            if len(output) + len(errors) == len(bodies):
                record = self._ended(record, "completed")
            return _public(self._records.put(record))

    def cancel(self, request: Request, batch_id: str) -> Json:
        with self._lock:
            record = self._records.require(batch_id, "batch")
            if (status := record["batch"]["status"]) in FINAL:
                raise Refused(409, f"Cannot cancel a batch with status '{status}'.")
            return _public(self._records.put(self._ended(record, "cancelled")))

    def _requests(self, batch: Json) -> tuple[dict[str, Json], list[Json]]:
        """Return the request bodies in a batch's file by custom_id, and an error for each line that is no request."""
        bodies: dict[str, Json] = {}
        errors = []
        for number, row in enumerate(self._files.content(batch["input_file_id"]).splitlines(), 1):
            match parsed(row):
                case {"custom_id": str(custom_id), "method": "POST", "url": url, "body": dict(body)} if (
                    url == batch["endpoint"] and custom_id not in bodies
                ):
                    bodies[custom_id] = body
                case _:
                    message = f"This line is not a POST {batch['endpoint']} with a body and a custom_id of its own."
                    errors.append({"code": "invalid_request", "message": message, "param": None, "line": number})
        return bodies, errors

    def _ended(self, record: Json, status: str) -> Json:
        """Return the record with its files, each only if it has a line; their order is not that of the input."""
        names = {}
        for kind, lines in (("output", record["output"]), ("error", record["errors"])):
            if lines:
                content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in reversed(lines)).encode()
                file = self._files.add(f"{record['id']}_{kind}.jsonl", content, "batch_output")
                names[f"{kind}_file_id"] = file["id"]
        return _changed(record, status, **names)


def _public(record: Json) -> Json:
    return {"id": record["id"], **record["batch"]}


def _changed(record: Json, status: str, **fields: Any) -> Json:
    """Return the record with this status, the time of it, and these fields of its batch."""
    return record | {"batch": {f"{status}_at": int(time.time()), **record["batch"], "status": status, **fields}}
