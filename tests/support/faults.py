"""A server whose replies fail by rule, and as rules what the real service does to jobs and batches.

Of the rules that match a request, the first that is due decides what happens; others are answered as ever.

>>> down = Rule(path="/chat/", last=2, status=503, error={"message": "overloaded"})
>>> faulty = Faults(lambda request: Reply(200, b"{}"), [down])
>>> [faulty(Request("POST", "/v1/chat/completions", {}, {}, b"")).status for _ in range(3)]
[503, 503, 200]
"""

import hashlib
import json
import random
import re
import socket
import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from doubles import Clock
from minirag import offline
from minirag.server.http import Handler, Server
from minirag.server.wire import Reply, Request, json_reply


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Which requests, and what happens to them.

    Which: `method`, `path` and `holding` (patterns, searched in the path and in the body); of those that match, the
    `first` to the `last` (from 1; None: for ever), each with the probability `share`. That draw depends on `seed`,
    the request and how often it came before, not on the order in which threads send.

    What: with `status`, `error` or `body` that reply instead of the service's, which then does no work. `error` holds
    any of message, type, param and code; `body` is a JSON value, or a text that is sent as HTML. Otherwise the
    service's own reply, if it is a 200, with the `damage` named in `DAMAGES` and `fields` put over its top level.
    `headers` are added to either. It is sent after `delay` seconds, and the connection is reset after `cut` bytes,
    head included (0: the work is done, no byte arrives).
    """

    method: str = ""
    path: str = ""
    holding: str = ""
    first: int = 1
    last: int | None = None
    share: float = 1.0
    seed: int = 0
    status: int | None = None
    error: Mapping[str, Any] | None = None
    body: Any = None
    damage: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: int | None = None

    def matches(self, request: Request) -> bool:
        """Return True if this rule is about a request; `is_due` tells whether it acts on it."""
        return (
            self.method in ("", request.method)
            and (not self.damage or request.path.endswith("/chat/completions"))
            and re.search(self.path, request.path) is not None
            and (not self.holding or re.search(self.holding, request.body.decode("utf-8", "replace")) is not None)
        )

    def is_due(self, number: int, request: Request, repeat: int) -> bool:
        """Return True if it acts on its `number`-th match (from 1), a request that came `repeat` times before."""
        is_in_turn = self.first <= number and (self.last is None or number <= self.last)
        return is_in_turn and random.Random(f"{self.seed} {repeat} {digest(request)}").random() < self.share

    def act(self, request: Request, api: Callable[[Request], Reply]) -> Reply:
        """Return the reply to a request that this rule is due for."""
        if self.error is not None:
            usual = {"message": "", "type": "invalid_request_error", "param": None, "code": None}
            reply = json_reply({"error": {**usual, **self.error}}, self.status or 200)
        elif isinstance(self.body, str):
            reply = Reply(self.status or 200, self.body.encode(), "text/html; charset=utf-8")
        elif self.body is not None or self.status is not None:
            reply = Reply(self.status or 200, json.dumps(self.body).encode())
        else:
            reply = api(request)
            reply = self.changed(reply) if reply.status == 200 else reply
        faulty = FaultyReply(*reply._replace(headers=self.headers))
        faulty.rule = self
        return faulty

    def changed(self, reply: Reply) -> Reply:
        """Return the service's own reply, spoiled."""
        if not self.damage and not self.fields:
            return reply
        value = json.loads(reply.body)
        if self.damage == "no choices":
            value["choices"].clear()
        elif self.damage:
            message = value["choices"][0]["message"]
            message["content"] = DAMAGES[self.damage](message["content"])
        return Reply(200, json.dumps({**value, **self.fields}, ensure_ascii=False).encode())


def _without_last(content: str) -> str:
    """Drop the last item of the first list in a JSON object; other contents stay as they are."""
    try:
        value = json.loads(content)
        name = next(name for name, items in value.items() if isinstance(items, list))
    except (ValueError, AttributeError, StopIteration):
        return content
    return json.dumps({**value, name: value[name][:-1]}, ensure_ascii=False)


DAMAGES: dict[str, Callable[[str], str]] = {
    "cut": lambda content: content[: len(content) // 2],
    "prose": lambda _: "Most of this is supported, I would say, though not everything.",
    "nan": lambda content: re.sub(r"(?<=[:\[] )(true|false|-?\d+(\.\d+)?)", "NaN", content, count=1),
    "doubled key": lambda content: re.sub(r'^\{\s*("\w+")', r"{\1: [], \1", content),
    "fewer items": _without_last,
}
"""What can become of the text of a chat reply; beside these, "no choices" empties the list of choices."""


class FaultyReply(Reply):
    """A reply that is sent late or not to its end, as its rule says."""

    rule: Rule


class Faults:
    """`api` with `rules` in force; safe to use from many threads."""

    def __init__(self, api: Callable[[Request], Reply], rules: Sequence[Rule]) -> None:
        self._api = api
        self._rules = rules
        self._lock = Lock()
        self._matched = [0] * len(rules)
        self._seen: Counter[str] = Counter()

    def __call__(self, request: Request) -> Reply:
        """Return the reply, as the first rule that is due makes it."""
        with self._lock:
            repeat = self._seen[digest(request)]
            self._seen[digest(request)] += 1
            due = None
            for i, rule in enumerate(self._rules):
                if rule.matches(request):
                    self._matched[i] += 1
                    due = due or (rule if rule.is_due(self._matched[i], request, repeat) else None)
        return due.act(request, self._api) if due else self._api(request)


class FaultyHandler(Handler):
    """Sends a `FaultyReply` as its rule says."""

    def write(self, reply: Reply, data: bytes) -> None:
        if not isinstance(reply, FaultyReply):
            super().write(reply, data)
            return
        if self.server.is_closed.wait(reply.rule.delay):
            self.close_connection = True
            return
        self.wfile.write(data[: reply.rule.cut])
        if reply.rule.cut is not None:
            self.close_connection = True  # without lingering, closing the connection is a reset
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()


def serve(faults: Sequence[Rule] = ()) -> Server:
    """Return the embedded server, failing by these rules; lines of its batches fail by them too."""
    api = offline.api()
    api.batches.answer = faulty = Faults(api, faults)
    return Server(faulty, handler=FaultyHandler)


def digest(request: Request) -> str:
    return hashlib.sha256(f"{request.method} {request.path} ".encode() + request.body).hexdigest()


# -- jobs and batches: each refusal in the service's recorded words where there are any, with made-up ids ------------

_CREATE: Any = {"method": "POST", "path": "/fine_tuning/jobs$"}
_LINE: Any = {"method": "POST", "path": "/(chat/completions|embeddings)$"}


def lost_reply(path: str) -> Rule:
    """The first job or batch is created, and its reply never arrives."""
    return Rule(method="POST", path=path, last=1, cut=0)


def shows(kind: str, first: int, last: int | None = None, **fields: Any) -> Rule:
    """The `first` to the `last` look at one of the "jobs" or "batches" shows these fields; then it moves on as ever."""
    return Rule(method="GET", path=f"/{kind}/[^/]+$", first=first, last=last, fields=fields)


def outage(clock: Clock, seconds: float, path: str, **fault: Any) -> Rule:
    """All looks at a job or batch but the first fail, until so much time has passed."""

    class Outage(Rule):
        def is_due(self, number: int, *_: Any) -> bool:
            return number > 1 and clock.now < seconds

    return Outage(method="GET", path=path, **fault)


def file_not_ready(times: int) -> Rule:
    """The first creations are refused because the file is still being processed."""
    message = (
        "File 'file-abc123' is still being processed and is not ready to be used for fine-tuning. "
        "Please try again later."
    )
    return Rule(**_CREATE, last=times, status=400, error={"message": message, "param": "training_file"})


def active_job_cap() -> Rule:
    """The account has as many active jobs as it may; the reply's type is `invalid_request_error` all the same."""
    message = (
        "This fine-tune request has been rate-limited. Your organization has reached the maximum of 1 active requests "
        "(1 running, 0 pending) for the model 'offline-student'."
    )
    return Rule(**_CREATE, status=429, error={"message": message, "code": "rate_limit_exceeded"})


def training_not_available() -> Rule:
    """The account may no longer train; said at the creation, after the upload has succeeded."""
    message = "Your organization is not allowed to create fine-tuning jobs: fine-tuning is no longer available."
    return Rule(**_CREATE, status=403, error={"message": message, "code": "training_not_available"})


def lines_fail(share: float) -> Rule:
    """Some of the lines, others each time, end in the error file: the service had an error."""
    message = "The server had an error while processing your request. Sorry about that!"
    return Rule(**_LINE, share=share, status=500, error={"message": message, "type": "server_error"})


@dataclass(frozen=True, kw_only=True)
class LinesLost(Rule):
    """A `share` of the lines of the first two batches is missing in their files, or has these `fields`."""

    method: str = "GET"
    path: str = "/content$"
    last: int | None = 2

    def is_due(self, number: int, request: Any, repeat: int) -> bool:
        return number <= (self.last or number)

    def changed(self, reply: Reply) -> Reply:
        lines = []
        for line in map(json.loads, reply.body.splitlines()):
            if random.Random(line["id"]).random() >= self.share:
                lines.append(line)
            elif self.fields:
                lines.append({**line, **self.fields})
        return reply._replace(body="".join(json.dumps(line) + "\n" for line in lines).encode())


def fails_validation(code: str = "invalid_input_file", message: str = "The file is empty.") -> Rule:
    """The first look at a batch shows that its file was refused; no line of it is done."""
    error = {"code": code, "message": message, "param": None, "line": None}
    return shows("batches", 1, 1, status="failed", errors={"object": "list", "data": [error]})


def enqueued_too_much() -> Rule:
    """The first batch is refused because too many tokens wait already."""
    message = (
        "Enqueued token limit reached for offline-judge in organization org-minirag. Limit: 2,000,000 enqueued "
        "tokens. Please try again once some in_progress batches have been completed."
    )
    return fails_validation("token_limit_exceeded", message)
