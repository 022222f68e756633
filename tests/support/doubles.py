"""Stand-ins that several tests pass as arguments: a clock, an embedding model, services that keep requests."""

import json
import threading
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

import numpy as np

from minirag import offline
from minirag.message_log import Exchange
from minirag.server import Server
from minirag.server.wire import Reply, Request
from minirag.testing import completion


class Clock:
    """A clock that only sleeping moves; `slept` lists every sleep in seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class AtOnce:
    """Counts the threads in its `with` block; `most` is the highest number at one time."""

    def __init__(self) -> None:
        self.most = self._now = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._now -= 1


class Script:
    """A loopback service that answers each request with the next reply, then with the last one; keeps the requests.

    A reply is a JSON value, bytes, `(status, headers, content)`, a `Reply`, or a function of the request that gives it.
    """

    def __init__(self, *replies: Any) -> None:
        self.replies = list(replies)
        self.requests: list[dict[str, Any]] = []
        self.lock = threading.Lock()
        self._server = Server(self._answer)
        self.url = self._server.base_url

    def _answer(self, request: Request) -> Reply:
        path = request.path + (f"?{urlencode(request.query)}" if request.query else "")
        seen = {"method": request.method, "path": path, "headers": dict(request.headers), "raw": request.body}
        seen["request"] = request
        if "json" in request.headers.get("content-type", ""):
            seen["body"] = json.loads(request.body)
        with self.lock:
            reply = self.replies[min(len(self.requests), len(self.replies) - 1)]
            self.requests.append(seen)
        reply = reply(seen) if callable(reply) else reply
        if isinstance(reply, Reply):
            return reply
        status, headers, content = reply if isinstance(reply, tuple) else (200, {}, reply)
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        kind = headers.get("content-type", "application/json")
        return Reply(status, data, kind, {name: value for name, value in headers.items() if name != "content-type"})

    def __enter__(self) -> "Script":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()


def refusal(status: int, message: str = "no", **fields: Any) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Return an error reply in OpenAI's form; `headers` may be among the fields."""
    headers = fields.pop("headers", {})
    return status, headers, {"error": {"message": message, "type": "invalid_request_error", **fields}}


class Rows:
    """An embedding model that gives the rows which a function computes of the texts."""

    model = "rows"

    def __init__(self, of: Callable[[Sequence[str]], Any]) -> None:
        self.of = of

    def embed(self, texts: Sequence[str], **_: Any) -> Any:
        return np.asarray(self.of(texts), np.float32)


def place() -> Script:
    """Return the embedded service as a `Script`, which keeps its requests."""
    api = offline.api()
    return Script(lambda seen: api(seen["request"]))


def answered(
    question: str, text: str, *, draft: int = 1, finish: str | None = "stop", split: str = "train", **more: Any
) -> Exchange:
    """Return the exchange of one answer to a question, as a run logs it; further fields go into the usage."""
    stage = "draft" if draft == 1 else "refine"
    messages = [{"role": "system", "content": "S"}, {"role": "user", "content": f"{question} {draft}"}]
    tags = {"question": question, "split": split, "draft": draft, "arm": "teacher", **more.pop("tags", {})}
    request = {"model": more.pop("model", "big"), "messages": messages}
    return Exchange(stage, "chat.completions", "s", request, completion(text, finish, **more), tags=tags)
