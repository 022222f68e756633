"""What the real service does to batches, as rules: in its recorded words where there are any."""

import json
import random
from typing import Any

from faults import Rule
from minirag.server.batches import EXPIRED
from minirag.server.wire import Reply

_LINE: Any = {"method": "POST", "path": "/(chat/completions|embeddings)$"}


def lines_fail(share: float, seed: int = 0) -> Rule:
    """Some of the lines, others each time, end in the error file: the service had an error."""
    message = "The server had an error while processing your request. Sorry about that!"
    return Rule(**_LINE, share=share, seed=seed, status=500, error={"message": message, "type": "server_error"})


class LinesMissing(Rule):
    """A `share` of the lines is in neither file of the batches that it is due for."""

    def is_due(self, number: int, request: Any, repeat: int) -> bool:
        return number <= (self.last or number)

    def changed(self, reply: Reply) -> Reply:
        lines = reply.body.splitlines(keepends=True)
        draws = [random.Random(json.loads(line)["id"]).random() for line in lines]
        return reply._replace(
            body=b"".join(line for line, draw in zip(lines, draws, strict=True) if draw >= self.share)
        )


def lines_missing(share: float) -> Rule:
    """Some of the lines of the first two batches are in neither of their files."""
    return LinesMissing(method="GET", path="/content$", last=2, share=share)


def expires_at_line(number: int) -> Rule:
    """The batch that has the `number`-th of all lines expires there: what it did before is in its output file."""
    return Rule(**_LINE, first=number, last=number, status=408, error={"code": EXPIRED})


def lost_reply() -> Rule:
    """The first batch is created, and its reply never arrives."""
    return Rule(method="POST", path="/batches$", last=1, cut=0)


def fails_validation(looks: int = 1, code: str = "invalid_input_file", message: str = "The file is empty.") -> Rule:
    """The first looks at a batch show that its file was refused; no line of it is done."""
    error = {"code": code, "message": message, "param": None, "line": None}
    return batch_shows(1, looks, status="failed", errors={"object": "list", "data": [error]})


def enqueued_too_much(looks: int = 1) -> Rule:
    """The first batches are refused because too many tokens wait already."""
    message = (
        "Enqueued token limit reached for offline-judge in organization org-minirag. Limit: 2,000,000 enqueued "
        "tokens. Please try again once some in_progress batches have been completed."
    )
    return fails_validation(looks, "token_limit_exceeded", message)


def batch_shows(first: int, last: int | None = None, **fields: Any) -> Rule:
    """The `first` to the `last` look at a batch shows these fields; after them it moves on as ever."""
    return Rule(method="GET", path="/batches/[^/]+$", first=first, last=last, fields=fields)
