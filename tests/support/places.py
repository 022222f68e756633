"""An embedded server that keeps what it is asked."""

import json
import time

from doubles import AtOnce
from minirag import offline
from minirag.server.wire import Reply, Request
from minirag.service import ROLES

MODELS = [f"--{role}=offline-{role}" for role in ROLES[:4]]


class Place:
    """An embedded server that keeps what it is asked: path, key and body of each request, and how many at one time."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []
        self.at_once = AtOnce()
        self._works = offline.api()

    def __call__(self, request: Request) -> Reply:
        with self.at_once:
            body = request.body.decode() if isinstance(request.body, bytes) else str(request.body)
            self.seen.append((request.path, request.headers.get("authorization", ""), body))
            time.sleep(0.01)
            return self._works(request)

    @property
    def keys(self) -> dict[str, set[str]]:
        """The keys that came with each model's calls."""
        keys: dict[str, set[str]] = {}
        for path, key, body in self.seen:
            if path.endswith(("/chat/completions", "/embeddings")):
                keys.setdefault(json.loads(body)["model"], set()).add(key.removeprefix("Bearer "))
        return keys
