"""Apart. Batches: a file of requests in, files of replies and errors out, through the states of the real service.

A batch moves on by one state each time it is retrieved: validating, in_progress (some lines each time, until all are
done), finalizing, then completed; or failed, expired, cancelled. No clock is involved, so a client sees every state.
The lines go through the service like any other request: a rule that breaks replies breaks those of lines too.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from minirag.server.batch_lines import Line, read_lines
from minirag.server.files import Files
from minirag.server.job_request import metadata
from minirag.server.records import Records
from minirag.server.wire import Json, Refused, Reply, Request, page, string

ENDPOINTS = ("/v1/chat/completions", "/v1/embeddings")
LINES_A_LOOK = 250
"""Requests that are done between two looks at a batch."""
EXPIRED = "batch_expired"
"""The code of the lines that a batch had not done in time; a line that is refused with it ends its batch there."""
_ENDED = ("completed", "failed", "expired", "cancelled")


class Batches:
    """Batches by id, whose lines `answer` answers. `folder` keeps them; None keeps them as long as the process."""

    def __init__(self, folder: Path | None, files: Files, answer: Callable[[Request], Reply]) -> None:
        self.answer = answer
        self._records = Records(folder)  # each {"id", "batch", "output", "errors"}, the last two lines of files
        self._files = files
        self._lock = Lock()  # held while lines are done too: none is done twice

    def create(self, body: Json) -> Json:
        """POST /v1/batches."""
        endpoint, window = string(body, "endpoint"), string(body, "completion_window")
        for name, value, known in (("endpoint", endpoint, ENDPOINTS), ("completion_window", window, ("24h",))):
            if value not in known:
                message = f"Invalid value: '{value[:40]}'. Supported values are: {', '.join(known)}."
                raise Refused(400, message, param=name, code="invalid_value")
        file_id = string(body, "input_file_id", 256)
        file = self._files.find(file_id)
        if file is None or file["purpose"] != "batch":
            raise Refused(400, f"Invalid input_file_id: {file_id}", param="input_file_id")
        batch = _new(endpoint, file_id, metadata(body))
        key = json.dumps(batch | {"created_at": 0, "expires_at": 0}, sort_keys=True).encode()
        return _public(self._records.add("batch_", key, {"batch": batch, "output": [], "errors": []}))

    def all(self, query: Mapping[str, str]) -> Json:
        """GET /v1/batches, the newest first."""
        return page([_public(record) for record in self._records.newest_first()], query)

    def get(self, batch_id: str) -> Json:
        """GET /v1/batches/{batch_id}; moves the batch on."""
        with self._lock:
            record = self._record(batch_id)
            moves: Mapping[str, Callable[[Json], Json]] = {
                "validating": self._validated,
                "in_progress": self._worked,
                "finalizing": lambda record: self._ended(record, "completed"),
                "cancelling": lambda record: self._ended(record, "cancelled"),
            }
            move = moves.get(record["batch"]["status"])
            return _public(self._records.put(move(record)) if move else record)

    def cancel(self, batch_id: str) -> Json:
        """POST /v1/batches/{batch_id}/cancel; refused if the batch has ended."""
        with self._lock:
            record = self._record(batch_id)
            if (status := record["batch"]["status"]) in _ENDED:
                raise Refused(409, f"Cannot cancel a batch with status '{status}'.")
            return _public(self._records.put(_changed(record, status="cancelling")))

    def _record(self, batch_id: str) -> Json:
        if record := self._records.get(batch_id):
            return record
        raise Refused(404, f"No batch found with id '{batch_id}'.", param="batch_id")

    def _lines(self, record: Json) -> tuple[list[Line], list[Json]]:
        """The lines of a batch's file, and what is wrong with it."""
        file_id = record["batch"]["input_file_id"]
        if self._files.find(file_id) is None:
            message = f"The input file {file_id} was deleted."
            return [], [{"code": "invalid_input_file", "message": message, "param": "input_file_id", "line": None}]
        return read_lines(self._files.content(file_id), record["batch"]["endpoint"])

    def _validated(self, record: Json) -> Json:
        lines, wrong = self._lines(record)
        if wrong:
            return _changed(record, status="failed", errors={"object": "list", "data": wrong})
        counts = {"total": len(lines), "completed": 0, "failed": 0}
        return _changed(record, status="in_progress", model=lines[0].body["model"], request_counts=counts)

    def _worked(self, record: Json) -> Json:
        lines, wrong = self._lines(record)
        if wrong:  # the file was deleted since
            return _changed(record, status="failed", errors={"object": "list", "data": wrong})
        counts, output, errors = dict(record["batch"]["request_counts"]), [*record["output"]], [*record["errors"]]
        done = counts["completed"] + counts["failed"]
        for number, line in enumerate(lines[done : done + LINES_A_LOOK], done):
            reply = self.answer(_request(record["batch"]["endpoint"], line))
            body = _body(reply)
            if isinstance(body, dict) and (body.get("error") or {}).get("code") == EXPIRED:
                errors += [_line(record["id"], late.custom_id, None) for late in lines[number:]]
                counts["failed"] += len(lines) - number
                late_record = _changed(record | {"output": output, "errors": errors}, request_counts=counts)
                return self._ended(late_record, "expired")
            counts["completed" if reply.status == 200 else "failed"] += 1
            if reply.cut is None:  # else its reply is lost, and it stands in neither file
                found = {"status_code": reply.status, "request_id": _digest(line.custom_id), "body": body}
                (output if reply.status == 200 else errors).append(_line(record["id"], line.custom_id, found))
        record = _changed(record | {"output": output, "errors": errors}, request_counts=counts)
        is_done = counts["completed"] + counts["failed"] == counts["total"]
        return _changed(record, status="finalizing") if is_done else record

    def _ended(self, record: Json, status: str) -> Json:
        """The batch with its files, each only if it has a line; their order is not that of the input."""
        names = {}
        for kind, lines in (("output", record["output"]), ("error", record["errors"])):
            if lines:
                content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in reversed(lines)).encode()
                file = self._files.add(content, f"{record['id']}_{kind}.jsonl", "batch_output")
                names[f"{kind}_file_id"] = file["id"]
        return _changed(record, status=status, usage=_usage(record["output"]), **names)


def _new(endpoint: str, file_id: str, tags: dict[str, str] | None) -> Json:
    """A batch as it is first shown, without its id."""
    now = int(time.time())
    times = ("in_progress", "finalizing", "completed", "failed", "expired", "cancelling", "cancelled")
    return {
        "object": "batch",
        "endpoint": endpoint,
        "model": None,
        "errors": None,
        "input_file_id": file_id,
        "completion_window": "24h",
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": now,
        "expires_at": now + 86_400,
        **{f"{name}_at": None for name in times},
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "usage": _usage([]),
        "metadata": tags,
    }


def _public(record: Json) -> Json:
    return {"id": record["id"], **record["batch"]}


def _changed(record: Json, **fields: Any) -> Json:
    """The record with these fields of its batch; a new status has its time."""
    if "status" in fields:
        fields[f"{fields['status']}_at"] = int(time.time())
    return record | {"batch": record["batch"] | fields}


def _request(endpoint: str, line: Line) -> Request:
    return Request("POST", endpoint, {}, {"authorization": "Bearer batch"}, json.dumps(line.body).encode())


def _body(reply: Reply) -> Any:
    try:
        return json.loads(reply.body)
    except ValueError:
        return reply.body.decode("utf-8", "replace")


def _line(batch_id: str, custom_id: str, response: Json | None) -> Json:
    """A line of an output or error file; without a response that of a request that was not done in time."""
    late = {"code": EXPIRED, "message": "This request could not be executed before the completion window expired."}
    number = "batch_req_" + _digest(f"{batch_id}/{custom_id}")
    return {"id": number, "custom_id": custom_id, "response": response, "error": None if response else late}


def _usage(output: list[Json]) -> Json:
    """What the lines have used, in the names of this object."""
    used = [
        line["response"]["body"].get("usage") or {} for line in output if isinstance(line["response"]["body"], dict)
    ]
    given, made = (sum(each.get(f"{kind}_tokens", 0) for each in used) for kind in ("prompt", "completion"))
    return {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": given + made,
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
