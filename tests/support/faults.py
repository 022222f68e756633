"""A server whose replies fail by rule: errors, lost and slow replies, spoiled content, on chosen requests.

Of the rules that match a request, the first that is due decides what happens; others are answered as ever.

>>> down = Rule(path="/chat/", last=2, status=503, error={"message": "overloaded"})
>>> faulty = Faults(lambda request: Reply(200, b"{}"), [down])
>>> [faulty(Request("POST", "/v1/chat/completions", {}, {}, b"")).status for _ in range(3)]
[503, 503, 200]
"""

import base64
import hashlib
import json
import random
import re
import socket
import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from minirag import offline
from minirag.server.api import Api
from minirag.server.http import Handler, Server
from minirag.server.wire import Json, Reply, Request, json_reply


class Slow(Reply):
    """A reply that is sent late, slowly, or not to its end: see `Rule`."""

    delay: float = 0.0
    pace: float = 0.0
    cut: int | None = None


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Which requests, and what happens to them.

    Which: `method`, `path` and `holding` (patterns, searched in the path and in the body); of those that match, the
    `first` to the `last` (from 1; None: for ever), each with the probability `share`. That draw depends on `seed`,
    the request and how often it came before, not on the order in which threads send.

    What: with `status`, `error` or `body` that reply instead of the service's, which then does no work. `error` holds
    any of message, type, param and code; `body` is a JSON value, or a text that is sent as HTML. Otherwise the
    service's own reply, if it is a 200, with the `damage` named in `DAMAGES` and `fields` put over its top level.
    `headers` are added to either. It is sent after `delay` seconds, the body one byte every `pace` seconds if that is
    not 0, and the connection is reset after `cut` bytes, head included (0: the work is done, no byte arrives).
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
    pace: float = 0.0
    cut: int | None = None

    def matches(self, request: Request) -> bool:
        """Return True if this rule is about a request; `is_due` tells whether it acts on it."""
        return (
            self.method in ("", request.method)
            and (not self.damage or request.path.endswith(DAMAGES[self.damage][0]))
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
        slow = Slow(*reply._replace(headers=self.headers))
        slow.delay, slow.pace, slow.cut = self.delay, self.pace, self.cut
        return slow

    def changed(self, reply: Reply) -> Reply:
        """Return the service's own reply, spoiled."""
        if not self.damage and not self.fields:
            return reply
        value = json.loads(reply.body)
        if self.damage:
            DAMAGES[self.damage][1](value)
        return Reply(200, json.dumps({**value, **self.fields}, ensure_ascii=False).encode())


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
    """Sends a `Slow` reply as its rule says."""

    def write(self, reply: Reply, data: bytes) -> None:
        if not isinstance(reply, Slow):
            super().write(reply, data)
            return
        is_closed = self.server.is_closed
        if is_closed.wait(reply.delay):
            self.close_connection = True
            return
        data = data[: reply.cut]
        quick = len(data) - len(reply.body) if reply.pace else len(data)
        self.wfile.write(data[:quick])
        for byte in data[quick:]:
            if is_closed.wait(reply.pace):
                self.close_connection = True
                return
            self.wfile.write(bytes([byte]))
        if reply.cut is not None:
            self.close_connection = True  # without lingering, closing the connection is a reset
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()


def serve(state: Path | None = None, faults: Sequence[Rule] = (), api: Api | None = None) -> Server:
    """The embedded server, failing by these rules; lines of its batches fail by them too."""
    api = api or offline.api(state)
    api.batches.answer = faulty = Faults(api, faults)
    return Server(faulty, handler=FaultyHandler)


def digest(request: Request) -> str:
    return hashlib.sha256(f"{request.method} {request.path} ".encode() + request.body).hexdigest()


# -- damages: each changes the JSON of a good chat or embeddings reply in place -------------------------------------


def _rewrite(change: Callable[[str], str]) -> Callable[[Json], None]:
    def damage(reply: Json) -> None:
        message = reply["choices"][0]["message"]
        message["content"] = change(message["content"])

    return damage


def _without_last(content: str) -> str:
    """Drop the last item of the first list in a JSON object; other contents stay as they are."""
    try:
        value = json.loads(content)
        name = next(name for name, items in value.items() if isinstance(items, list))
    except (ValueError, AttributeError, StopIteration):
        return content
    return json.dumps({**value, name: value[name][:-1]}, ensure_ascii=False)


def _nan_vector(reply: Json) -> None:
    first = reply["data"][0]
    if isinstance(first["embedding"], str):
        packed = base64.b64decode(first["embedding"])
        first["embedding"] = base64.b64encode(struct.pack("<f", float("nan")) + packed[4:]).decode()
    else:
        first["embedding"][0] = float("nan")


_CHATS: dict[str, Callable[[Json], None]] = {
    "no choices": lambda reply: reply["choices"].clear(),
    "cut": _rewrite(lambda content: content[: len(content) // 2]),
    "empty": _rewrite(lambda _: ""),
    "prose": _rewrite(lambda _: "Most of this is supported, I would say, though not everything."),
    "nan": _rewrite(lambda content: re.sub(r"(?<=[:\[] )(true|false|-?\d+(\.\d+)?)", "NaN", content, count=1)),
    "doubled key": _rewrite(lambda content: re.sub(r'^\{\s*("\w+")', r"{\1: [], \1", content)),
    "fewer items": _rewrite(_without_last),
}
_VECTORS: dict[str, Callable[[Json], None]] = {
    "reordered": lambda reply: reply["data"].reverse(),  # each with its own index still
    "missing vector": lambda reply: reply["data"].pop(),
    "no vectors": lambda reply: reply["data"].clear(),
    "nan vector": _nan_vector,
}
DAMAGES = {name: ("/chat/completions", damage) for name, damage in _CHATS.items()}
DAMAGES |= {name: ("/embeddings", damage) for name, damage in _VECTORS.items()}
"""By name: how the path of a request ends whose reply can be spoiled so, and what spoils it."""
