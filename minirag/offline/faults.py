"""Apart. A service whose replies fail by rule: errors, lost and slow replies, spoiled content, on chosen requests.

`Faults(service, rules)` is a service like the one it wraps. Of the rules that match a request, the first that is due
decides what happens; a request that no rule is due for gets the service's own reply.

>>> down = Rule(path="/chat/", last=2, status=503, error={"message": "overloaded"})
>>> faulty = Faults(lambda request: Reply(200, b"{}"), [down])
>>> [faulty(Request("POST", "/v1/chat/completions", {}, {}, b"")).status for _ in range(3)]
[503, 503, 200]
"""

import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from minirag.errors import InputError
from minirag.offline.damage import WAYS, path_of
from minirag.server.wire import Reply, Request, json_reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Which requests, and what happens to them. Raises InputError for a pattern, a number or a damage that is none.

    Which: `method`, `path` and `holding` (patterns, searched in the path and in the body); of those that match, the
    `first` to the `last` (from 1; None: for ever), each with the probability `share`. That draw depends on `seed`,
    the request and how often it came before, not on the order in which threads send.

    What: with `status`, `error` or `body` that reply instead of the service's, which then does no work unless
    `work` is true. `error` holds any of message, type, param and code; `body` is a JSON value, or a text that is
    sent as HTML. Otherwise the service's own reply, if it is a 200, with the `damage` named in `damage.WAYS` and
    `fields` put over its top level. `headers` are added to either. It is sent after `delay` seconds, the body one
    byte every `pace` seconds if that is not 0, and the connection is reset after `cut` bytes, head included
    (0: the work is done and no byte of the reply arrives).
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
    work: bool = False
    damage: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    pace: float = 0.0
    cut: int | None = None

    def __post_init__(self) -> None:
        if self.damage and self.damage not in WAYS:
            raise InputError(f"There is no damage {self.damage!r}; choose from {', '.join(WAYS)}.")
        for number in (self.first, self.last, self.status, self.cut, self.share, self.delay, self.pace):
            if not isinstance(number, int | float | None):
                raise InputError(f"{number!r} is no number.")
        for pattern in (self.path, self.holding):
            try:
                re.compile(pattern)
            except re.error as error:
                raise InputError(f"{pattern!r} is no pattern: {error}.") from error

    def matches(self, request: Request) -> bool:
        """Whether this rule is about a request; `is_due` tells whether it acts on it."""
        return (
            self.method in ("", request.method)
            and (not self.damage or request.path.endswith(path_of(self.damage)))
            and re.search(self.path, request.path) is not None
            and (not self.holding or re.search(self.holding, request.body.decode("utf-8", "replace")) is not None)
        )

    def is_due(self, number: int, request: Request, repeat: int) -> bool:
        """Whether it acts on its `number`-th match (from 1), a request that came `repeat` times before."""
        if number < self.first or (self.last is not None and number > self.last):
            return False
        draw = random.Random(f"{self.seed} {repeat} {_digest(request)}").random()
        return draw < self.share

    def act(self, request: Request, service: Callable[[Request], Reply]) -> Reply:
        """The reply to a request that this rule is due for."""
        own = self.status is None and self.error is None and self.body is None
        reply = service(request) if own or self.work else Reply(200, b"")
        if not own:
            reply = self._made()
        elif reply.status == 200 and (self.damage or self.fields):
            reply = self._changed(reply)
        return reply._replace(headers=self.headers, delay=self.delay, pace=self.pace, cut=self.cut)

    def _made(self) -> Reply:
        status = self.status or 200
        if self.error is not None:
            usual = {"message": "", "type": "invalid_request_error", "param": None, "code": None}
            return json_reply({"error": {**usual, **self.error}}, status)
        if isinstance(self.body, str):
            return Reply(status, self.body.encode(), "text/html; charset=utf-8")
        return Reply(status, json.dumps(self.body).encode())

    def _changed(self, reply: Reply) -> Reply:
        value = json.loads(reply.body)
        if self.damage:
            WAYS[self.damage](value)
        return Reply(200, json.dumps({**value, **self.fields}, ensure_ascii=False).encode())


class Faults:
    """`service` with `rules` in force; safe to use from many threads."""

    def __init__(self, service: Callable[[Request], Reply], rules: Sequence[Rule]) -> None:
        self._service = service
        self._rules = rules
        self._lock = Lock()
        self._matched = [0] * len(rules)
        self._seen: Counter[str] = Counter()

    def __call__(self, request: Request) -> Reply:
        """The reply, as the first rule that is due makes it."""
        rule = self._due(request)
        return rule.act(request, self._service) if rule else self._service(request)

    def _due(self, request: Request) -> Rule | None:
        digest = _digest(request)
        with self._lock:
            repeat = self._seen[digest]
            self._seen[digest] += 1
            found = None
            for i, rule in enumerate(self._rules):
                if rule.matches(request):
                    self._matched[i] += 1
                    if found is None and rule.is_due(self._matched[i], request, repeat):
                        found = rule
            return found


def read_rules(source: str) -> list[Rule]:
    """The rules in a JSON list of objects, each with fields of `Rule`; `source` is the list itself or a file's name.

    Raises InputError for anything else.

    >>> read_rules('[{"path": "/embeddings", "damage": "reordered"}]')[0].damage
    'reordered'
    """
    try:
        text = source if source.lstrip().startswith("[") else Path(source).read_text("utf-8")
        return [Rule(**rule) for rule in json.loads(text)]
    except OSError as error:
        raise InputError(f"Cannot read the faults in {source}: {error.strerror}.") from error
    except (TypeError, ValueError) as error:
        raise InputError(f"The faults are no JSON list of rules: {error}.") from error


def _digest(request: Request) -> str:
    return hashlib.sha256(f"{request.method} {request.path} ".encode() + request.body).hexdigest()
