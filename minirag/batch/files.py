"""The files of the Batch API: requests in, one a line; replies out. And one batch as this machine keeps it on disk."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minirag.errors import BadReply, LogError, ServiceError, refusal, words_of
from minirag.message_log import Exchange, write_atomically
from minirag.models import read_completion, read_embeddings
from minirag.text import counted

LINES, BYTES, INPUTS = 50_000, 200_000_000, 50_000
"""Limits of one file: requests, bytes, texts to embed."""
PATHS = {"chat.completions": "/v1/chat/completions", "embeddings": "/v1/embeddings"}
"""The path of each endpoint that takes batches."""
READERS = {"chat.completions": read_completion, "embeddings": read_embeddings}
"""How the reply of each endpoint is checked before it is logged as a success."""
ENDED = {"completed", "failed", "expired", "cancelled"}


def request_line(call: Exchange) -> bytes:
    """Return a request as a line of an input file; its reply is matched by the exchange's id."""
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
        load = (0, 0, 0)
        for call in group:
            own = (1, len(request_line(call)), len(call.request.get("input", ())))
            load = (load[0] + own[0], load[1] + own[1], load[2] + own[2])
            if portion and (load[0] > lines or load[1] > size or load[2] > inputs):
                yield portion
                portion, load = [], own
            portion.append(call)
        yield portion


def results(content: bytes) -> dict[str, dict[str, Any]]:
    """Return the lines of an output or error file by the ids of their exchanges; a line without an id is left out.

    >>> results(b'{"custom_id":"a","response":null,"error":{"code":"batch_expired"}}\\n{"custom_id":')
    {'a': {'custom_id': 'a', 'response': None, 'error': {'code': 'batch_expired'}}}
    """
    lines: dict[str, dict[str, Any]] = {}
    for row in content.splitlines():
        with suppress(ValueError, RecursionError):
            line = json.loads(row)
            if isinstance(line, dict) and isinstance(line.get("custom_id"), str):
                lines.setdefault(line["custom_id"], line)
    return lines


def reply_to(
    call: Exchange, line: Mapping[str, Any], address: str
) -> tuple[Mapping[str, Any] | None, ServiceError | None]:
    """Return the reply to a call in its line of results, or the failure if the request has failed."""
    response = line.get("response")
    status, body = (response.get("status_code"), response.get("body")) if isinstance(response, dict) else (None, None)
    if not isinstance(status, int):
        reason = words_of(line.get("error")).rstrip(".") or "the service gives no reason"
        return None, ServiceError(f"The batch did not send this request: {reason}.", transient=True)
    if status != 200:
        return None, refusal(address, status, body, {}, call.model)
    if not isinstance(body, dict):
        return None, BadReply(f"{address} answered 200 with something that is no object.", transient=True)
    try:
        return READERS[call.endpoint](call, body), None
    except BadReply as error:
        return body, error


@dataclass
class Submission:
    """The `calls` of one batch, in the order of its file's lines, and its last known `state` at the service.

    `name` is ours, unique, and stored in the batch's metadata. `held` is the money reserved for it, in US dollars.
    """

    name: str
    calls: Sequence[Exchange]
    state: Mapping[str, Any] = field(default_factory=dict)
    held: float = 0.0

    @classmethod
    def load(cls, path: Path) -> "Submission":
        """Return what `save` wrote. Raises LogError for a file that was changed."""
        try:
            head, *lines = path.read_bytes().splitlines()
            return cls(json.loads(head)["batch"], [Exchange.from_line(line) for line in lines])
        except (OSError, ValueError, KeyError, TypeError) as error:
            remedy = "its replies may already be paid for: restore the file, or delete it to submit them again"
            raise LogError(f"{path} is damaged; {remedy}.") from error

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
        """`in_progress` or the like, one of `ENDED`, or a newer one."""
        return str(self.state.get("status")).lower()

    @property
    def done(self) -> int:
        """How many of its requests have been answered or have failed."""
        counts = self.state.get("request_counts")
        numbers = [counts.get(name) for name in ("completed", "failed")] if isinstance(counts, Mapping) else []
        return sum(number for number in numbers if isinstance(number, int))

    def __str__(self) -> str:
        return f"{counted(len(self.calls), 'request')} in {self.id}"

    @property
    def errors(self) -> list[Mapping[str, Any]]:
        """Why the service refused the whole file, if it did: `{"code", "message", "line"}` each."""
        errors = self.state.get("errors") if self.status == "failed" else None
        data = errors.get("data") if isinstance(errors, Mapping) else errors
        return [error for error in data if isinstance(error, Mapping)] if isinstance(data, list) else []

    def missing(self, number: int) -> ServiceError:
        """Return the error of the request in line `number` (from 1) that is in neither result file.

        One that the service refused by its line number is not worth sending again.
        """
        own = [error for error in self.errors if error.get("line") == number]
        reason = words_of((own or self.errors)[:1]).rstrip(".")
        text = f"Batch {self.id} is {self.status} without a reply to this request"
        return ServiceError(f"{text}: {reason}." if reason else f"{text}.", transient=not own)
