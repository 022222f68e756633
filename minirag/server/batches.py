"""Batches: a file of requests in, files of replies and errors out, through the states of the real service.

A batch moves on by one state each time it is retrieved: validating, in_progress (some lines each time, until all are
done), finalizing, then completed; or failed, expired, cancelled. No clock is involved, so a client sees every state.
"""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from minirag.server.files import Files, Records, digest
from minirag.server.wire import Json, Refused, Reply, Request, invalid, optional, page, parsed, required

ENDPOINTS = ("/v1/chat/completions", "/v1/embeddings")
LINES_A_LOOK = 250
"""Requests that are done between two looks at a batch."""
EXPIRED = "batch_expired"
"""The error code of lines that were not done in time. A line refused with it ends its batch there: a test's way in."""
FINAL = ("completed", "failed", "expired", "cancelled")


class Batches:
    """Batches by id, whose lines `answer` answers. `folder` keeps them; None keeps them as long as the process."""

    def __init__(self, folder: Path | None, files: Files, answer: Callable[[Request], Reply]) -> None:
        self.answer = answer
        self._records = Records(folder)  # each {"id", "batch", "output", "errors"}, the last two lines of files
        self._files = files
        self._lock = Lock()  # held while lines are done too: none is done twice

    def create(self, body: Json) -> Json:
        """POST /v1/batches."""
        endpoint, file_id = required(body, "endpoint"), required(body, "input_file_id")
        if endpoint not in ENDPOINTS:
            raise invalid("endpoint", f"one of {', '.join(ENDPOINTS)}")
        if required(body, "completion_window") != "24h":
            raise invalid("completion_window", "24h")
        if not self._files.has(file_id, "batch"):
            raise Refused(400, f"Invalid input_file_id: {file_id}", param="input_file_id")
        batch = _new(endpoint, file_id, optional(body, "metadata", dict))
        key = json.dumps(batch | {"created_at": 0, "expires_at": 0}, sort_keys=True).encode()
        return _public(self._records.add("batch_", key, {"batch": batch, "output": [], "errors": []}))

    def all(self, query: Mapping[str, str]) -> Json:
        """GET /v1/batches, the newest first."""
        return page([_public(record) for record in self._records.newest_first()], query)

    def get(self, batch_id: str) -> Json:
        """GET /v1/batches/{batch_id}; moves the batch on."""
        with self._lock:
            record = self._record(batch_id)
            match record["batch"]["status"]:
                case "validating":
                    record = self._validated(record)
                case "in_progress":
                    record = self._worked(record)
                case "finalizing":
                    record = self._ended(record, "completed")
                case "cancelling":
                    record = self._ended(record, "cancelled")
                case _:
                    return _public(record)
            return _public(self._records.put(record))

    def cancel(self, batch_id: str) -> Json:
        """POST /v1/batches/{batch_id}/cancel; refused if the batch has ended."""
        with self._lock:
            record = self._record(batch_id)
            if (status := record["batch"]["status"]) in FINAL:
                raise Refused(409, f"Cannot cancel a batch with status '{status}'.")
            return _public(self._records.put(_changed(record, status="cancelling")))

    def _record(self, batch_id: str) -> Json:
        if record := self._records.get(batch_id):
            return record
        raise Refused(404, f"No batch found with id '{batch_id}'.", param="batch_id")

    def _lines(self, record: Json) -> tuple[dict[str, Json], list[Json]]:
        """Return the request bodies in a batch's file by custom_id, and the errors for which the batch fails."""
        file_id, endpoint = record["batch"]["input_file_id"], record["batch"]["endpoint"]
        bodies: dict[str, Json] = {}
        errors = []
        for number, row in enumerate(self._files.content(file_id).splitlines(), 1):
            value = parsed(row)
            value = value if isinstance(value, dict) else {}
            custom_id, body = value.get("custom_id"), value.get("body")
            if not value:
                errors.append(_error("invalid_json_line", "This line is not a JSON object.", number))
            elif not isinstance(custom_id, str) or not isinstance(body, dict) or not isinstance(body.get("model"), str):
                errors.append(_error("missing_required_parameter", "custom_id or body.model is missing.", number))
            elif value.get("method") != "POST" or value.get("url") != endpoint:
                errors.append(_error("invalid_url", f"The request must be POST {endpoint}.", number))
            elif custom_id in bodies:
                errors.append(_error("duplicate_custom_id", f"'{custom_id[:64]}' is used twice.", number))
            else:
                bodies[custom_id] = body
        if len({body["model"] for body in bodies.values()}) > 1:
            errors.append(_error("mismatched_model", "All requests in a batch must have the same model.", None))
        if not bodies and not errors:
            errors.append(_error("empty_file", "The input file is empty.", None))
        return bodies, errors[:100]

    def _validated(self, record: Json) -> Json:
        bodies, errors = self._lines(record)
        if errors:
            return _changed(record, status="failed", errors={"object": "list", "data": errors})
        counts = {"total": len(bodies), "completed": 0, "failed": 0}
        return _changed(record, status="in_progress", model=next(iter(bodies.values()))["model"], request_counts=counts)

    def _worked(self, record: Json) -> Json:
        """Return the record after some more of its lines."""
        endpoint, lines = record["batch"]["endpoint"], [*self._lines(record)[0].items()]
        output, errors = [*record["output"]], [*record["errors"]]
        done = len(output) + len(errors)
        status = "in_progress"
        for place, (custom_id, body) in enumerate(lines[done : done + LINES_A_LOOK], done):
            request = Request("POST", endpoint, {}, {"authorization": "Bearer batch"}, json.dumps(body).encode())
            reply = self.answer(request)
            content = parsed(reply.body)
            content = reply.body.decode("utf-8", "replace") if content is None else content
            if isinstance(content, dict) and (content.get("error") or {}).get("code") == EXPIRED:
                errors += [_line(record["id"], late, None) for late, _ in lines[place:]]
                status = "expired"
                break
            response = {"status_code": reply.status, "request_id": digest(custom_id.encode()), "body": content}
            (output if reply.status == 200 else errors).append(_line(record["id"], custom_id, response))
        counts = {"total": len(lines), "completed": len(output), "failed": len(errors)}
        record = _changed(record | {"output": output, "errors": errors}, request_counts=counts)
        if status == "expired":
            return self._ended(record, status)
        return _changed(record, status="finalizing") if len(output) + len(errors) == len(lines) else record

    def _ended(self, record: Json, status: str) -> Json:
        """Return the record with its files, each only if it has a line; their order is not that of the input."""
        names = {}
        for kind, lines in (("output", record["output"]), ("error", record["errors"])):
            if lines:
                content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in reversed(lines)).encode()
                file = self._files.add(content, f"{record['id']}_{kind}.jsonl", "batch_output")
                names[f"{kind}_file_id"] = file["id"]
        return _changed(record, status=status, **names)


def _new(endpoint: str, file_id: str, tags: dict[str, str] | None) -> Json:
    """Return a batch as it is first shown, without its id."""
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
        "metadata": tags,
    }


def _public(record: Json) -> Json:
    return {"id": record["id"], **record["batch"]}


def _changed(record: Json, **fields: Any) -> Json:
    """Return the record with these fields of its batch; a new status has its time."""
    if "status" in fields:
        fields[f"{fields['status']}_at"] = int(time.time())
    return record | {"batch": record["batch"] | fields}


def _error(code: str, message: str, line: int | None) -> Json:
    return {"code": code, "message": message, "param": None, "line": line}


def _line(batch_id: str, custom_id: str, response: Json | None) -> Json:
    """Return a line of an output or error file; without a response that of a request that was not done in time."""
    late = {"code": EXPIRED, "message": "This request could not be executed before the completion window expired."}
    id_ = "batch_req_" + digest(f"{batch_id}/{custom_id}".encode())
    return {"id": id_, "custom_id": custom_id, "response": response, "error": None if response else late}
