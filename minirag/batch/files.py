"""The files of the Batch API: requests in, one a line; replies out. And one batch as this machine keeps it on disk."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from minirag.errors import LogError, ServiceError
from minirag.message_log import Exchange, write_atomically
from minirag.text import counted

LINES, BYTES, INPUTS = 50_000, 200_000_000, 50_000
"""Limits of one file: requests, bytes, texts to embed."""
PATHS = {"chat.completions": "/v1/chat/completions", "embeddings": "/v1/embeddings"}
"""The path of each endpoint that takes batches."""
ENDED = {"completed", "failed", "expired", "cancelled"}


def request_line(call: Exchange) -> bytes:
    """Return a request as a line of an input file; its reply is matched by the exchange's id.

    >>> request_line(Exchange("embed", "embeddings", "s", {"model": "m"}, None, id="a1"))
    b'{"custom_id":"a1","method":"POST","url":"/v1/embeddings","body":{"model":"m"}}\\n'
    """
    line = {"custom_id": call.id, "method": "POST", "url": PATHS[call.endpoint], "body": call.request}
    text = json.dumps(line, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def portions(
    calls: Iterable[Exchange], lines: int = LINES, size: int = BYTES, inputs: int = INPUTS
) -> Iterator[list[Exchange]]:
    """Yield the calls in portions that one file may hold: of one endpoint and model, within its limits, in order."""
    groups: dict[tuple[str, str], list[Exchange]] = {}
    for call in calls:
        groups.setdefault((call.endpoint, call.model), []).append(call)
    for group in groups.values():
        portion: list[Exchange] = []
        total_bytes = total_inputs = 0
        for call in group:
            own_bytes, own_inputs = len(request_line(call)), len(call.request.get("input", ()))
            is_full = len(portion) == lines or total_bytes + own_bytes > size or total_inputs + own_inputs > inputs
            if portion and is_full:
                yield portion
                portion, total_bytes, total_inputs = [], 0, 0
            portion.append(call)
            total_bytes += own_bytes
            total_inputs += own_inputs
        yield portion


class Result(NamedTuple):
    """What became of one request: an HTTP status with the reply's body, or the batch's `error` if it was not sent."""

    custom_id: str
    status: int | None
    body: Any
    error: Mapping[str, Any] | None


def results(content: bytes) -> tuple[list[Result], int]:
    """Return the results in an output or error file, and the number of lines that cannot be read.

    >>> results(b'{"custom_id":"a","response":{"status_code":200,"body":{}},"error":null}\\n{"custom_id":')
    ([Result(custom_id='a', status=200, body={}, error=None)], 1)
    """
    readable, unreadable = [], 0
    for row in content.split(b"\n"):
        if not row.strip():
            continue
        try:
            line = json.loads(row)
            response, error = line.get("response"), line.get("error")
            response = response if isinstance(response, dict) else {}
            status = response.get("status_code")
            if not isinstance(line["custom_id"], str) or not isinstance(status, int | None):
                raise ValueError("no custom_id, or a status that is no number")
            error = error if isinstance(error, dict) else None
            readable.append(Result(line["custom_id"], status, response.get("body"), error))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            unreadable += 1
    return readable, unreadable


@dataclass
class Submission:
    """The `calls` of one batch, in the order of its file's lines, and its last known `state` at the service.

    `name` is ours, unique, and stored in the batch's metadata. `held` is the money reserved for it, in US dollars, and
    `logged` are the ids of the exchanges that a run which was killed has logged already.
    """

    name: str
    calls: Sequence[Exchange]
    state: Mapping[str, Any] = field(default_factory=dict)
    held: float = 0.0
    logged: set[str] = field(default_factory=set)

    @classmethod
    def load(cls, path: Path) -> "Submission":
        """Return what `save` wrote. Raises LogError for a file that was cut off, renamed or changed."""
        try:
            head, *lines = path.read_bytes().splitlines()
            batch = cls(str(json.loads(head)["batch"]), [Exchange.from_line(line) for line in lines])
            if not batch.calls or f".{batch.name}." not in path.name:
                raise ValueError("no calls, or another name")
        except (OSError, ValueError, KeyError, TypeError) as error:
            remedy = "its replies may already be paid for: restore the file, or delete it to submit them again"
            raise LogError(f"{path} is damaged; {remedy}.") from error
        return batch

    def save(self, path: Path) -> None:
        """Write the name and the calls, so that a killed run finds the batch again."""
        head = json.dumps({"batch": self.name}).encode() + b"\n"
        write_atomically(path, head + b"".join(call.to_line() for call in self.calls))

    @property
    def id(self) -> str:
        """The service's id of the batch."""
        return str(self.state.get("id"))

    @property
    def status(self) -> str:
        """`validating`, `in_progress`, `finalizing`, `cancelling`, one of `ENDED`, or a newer one."""
        return str(self.state.get("status"))

    @property
    def done(self) -> int:
        """The number of requests that the service has dealt with."""
        counts = self.state.get("request_counts") or {}
        return int(counts.get("completed") or 0) + int(counts.get("failed") or 0)

    @property
    def size(self) -> str:
        """`1 request`, `2,000 requests`."""
        return counted(len(self.calls), "request")

    @property
    def errors(self) -> list[Mapping[str, Any]]:
        """Why the service refused the whole file, if it did: `{"code", "message", "line"}` each."""
        errors = self.state.get("errors") if self.status == "failed" else None
        return [error for error in (errors or {}).get("data") or () if isinstance(error, Mapping)]

    @property
    def times(self) -> dict[str, Any]:
        """`started` and `seconds` for the log: those of the batch, since its requests have none of their own."""
        start = int(self.state.get("created_at") or 0)
        end = next((int(self.state[f"{name}_at"]) for name in ENDED if self.state.get(f"{name}_at")), start)
        started = datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"started": started, "seconds": float(max(0, end - start))}

    def missing(self, number: int) -> ServiceError:
        """Return the error of the request in line `number` (from 1) that is in neither result file.

        One that the service refused by its line number is not worth sending again.
        """
        own = next((error for error in self.errors if error.get("line") == number), None)
        error = own or next(iter(self.errors), None)
        text = f"Batch {self.id} is {self.status} without a reply to this request"
        return ServiceError(f"{text}: {reason(error)}." if error else f"{text}.", transient=own is None)


def reason(error: Mapping[str, Any]) -> str:
    """Return what an error object says.

    >>> reason({"code": "batch_expired", "message": "Too late."}), reason({})
    ('Too late', 'the service gives no reason')
    """
    return str(error.get("message") or error.get("code") or "the service gives no reason").rstrip(".")
