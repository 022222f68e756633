"""Row 6. One batch as submitted: its requests, on disk until the log holds what became of them, and its state."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from minirag.errors import LogError, ServiceError
from minirag.files import write_atomically
from minirag.message_log import Exchange

LOST = "the replies it stands for may be paid for and at the service: put it back, or remove it to ask for them again."
ENDED = {"completed", "failed", "expired", "cancelled"}


@dataclass
class Submission:
    """The `calls` of a batch, in the order of its file's lines, and its last known `state` as the service shows it.

    `name` is ours, unique and known to the service; with `keep` unset the log does not keep the vectors of replies.
    """

    name: str
    keep: bool
    calls: Sequence[Exchange]
    state: Mapping[str, Any] = field(default_factory=dict)
    held: float = 0.0
    """US dollars put aside for it."""
    logged: set[str] = field(default_factory=set)
    """The exchange ids whose outcome an earlier run has logged."""

    @classmethod
    def load(cls, path: Path) -> "Submission":
        """What `save` wrote. Raises LogError."""
        try:
            head, *lines = path.read_bytes().splitlines()
            told = json.loads(head)
            found = cls(str(told["batch"]), bool(told["keep"]), [Exchange.from_line(line) for line in lines])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LogError(f"{path} is damaged; {LOST}") from error
        if not found.calls or f".{found.name}." not in path.name:
            raise LogError(f"{path} is not as it was written: cut off, renamed or a copy; {LOST}")
        return found

    def save(self, path: Path) -> None:
        """Write the name, and the lines that the log is to get, without their replies yet."""
        head = json.dumps({"batch": self.name, "keep": self.keep}).encode() + b"\n"
        write_atomically(path, head + b"".join(call.to_line() for call in self.calls))

    @property
    def id(self) -> str:
        """The service's name for it."""
        return str(self.state.get("id"))

    @property
    def status(self) -> str:
        """`validating`, `in_progress`, `finalizing`, `cancelling`, one of `ENDED`, or a newer one."""
        return str(self.state.get("status"))

    @property
    def done(self) -> int:
        """How many requests the service has dealt with."""
        counts = self.state.get("request_counts") or {}
        return int(counts.get("completed") or 0) + int(counts.get("failed") or 0)

    @property
    def size(self) -> str:
        """`1 request`, `2,000 requests`."""
        return f"{len(self.calls):,} request{'' if len(self.calls) == 1 else 's'}"

    @property
    def wrong(self) -> list[Mapping[str, Any]]:
        """Why the service refused the file, if it did: `{"code", "message", "line"}` each."""
        errors = self.state.get("errors") if self.status == "failed" else None
        return [each for each in (errors or {}).get("data") or () if isinstance(each, Mapping)]

    @property
    def times(self) -> dict[str, Any]:
        """`started` and `seconds` for the log: those of the batch are all that is known of its requests."""
        began = int(self.state.get("created_at") or 0)
        ended = next((int(self.state[f"{name}_at"]) for name in ENDED if self.state.get(f"{name}_at")), began)
        started = datetime.fromtimestamp(began, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"started": started, "seconds": float(max(0, ended - began))}

    def lost(self, number: int) -> ServiceError:
        """Why the request in that line (from 1) has no reply in any file.

        One that the service refused by its line is not worth asking again.
        """
        named = next((each for each in self.wrong if each.get("line") == number), None)
        why = named or next(iter(self.wrong), None)
        text = f"Batch {self.id} is {self.status} without a reply to this request"
        return ServiceError(f"{text}: {reason(why)}." if why else f"{text}.", transient=named is None)


def reason(error: Mapping[str, Any]) -> str:
    """What an error object says, as far as it says anything.

    >>> reason({"code": "batch_expired", "message": "Too late."}), reason({})
    ('Too late', 'the service gives no reason')
    """
    return str(error.get("message") or error.get("code") or "the service gives no reason").rstrip(".")
