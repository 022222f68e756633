"""Stand-ins that several tests pass as arguments: a clock, and a loopback service with scripted replies."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from minirag.exchange import Exchange
from minirag.testing import completion

Reply = tuple[int, dict[str, str], bytes]


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
    """A loopback service that answers each request with the next reply, then with the last one; keeps the requests."""

    def __init__(self, *replies: Any) -> None:
        self.replies = [reply if isinstance(reply, tuple) else (200, {}, reply) for reply in replies]
        self.requests: list[dict[str, Any]] = []
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one write, or each reply waits for an acknowledgement

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                seen = {
                    "method": self.command,
                    "path": self.path,
                    "headers": {k.lower(): v for k, v in self.headers.items()},
                    "raw": body,
                }
                with script.lock:
                    number = min(len(script.requests), len(script.replies) - 1)
                    if "json" in self.headers.get("content-type", ""):
                        seen["body"] = json.loads(body)
                    script.requests.append(seen)
                status, headers, content = script.replies[number]
                headers = {**headers, **script.headers_of(seen)}
                if callable(content):
                    content = content(seen)
                status = script.status(seen) or status
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                kind = {} if "content-type" in headers else {"content-type": "application/json"}
                for name, value in {**kind, **headers, "content-length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            do_POST = do_GET = do_DELETE = _answer

            def log_message(self, *_: object) -> None:
                pass

        self.lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def status(self, seen: dict[str, Any]) -> int:
        """Return the status of the reply if it depends on the request, else 0. Override it in a test."""
        return 0

    def headers_of(self, seen: dict[str, Any]) -> dict[str, str]:
        """Return further headers of the reply if they depend on the request. Override it in a test."""
        return {}

    def __enter__(self) -> "Script":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def refusal(status: int, message: str = "no", **fields: Any) -> Reply:
    """Return an error reply in OpenAI's form; `headers` may be among the fields."""
    headers = fields.pop("headers", {})
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None, **fields}
    return status, headers, json.dumps({"error": error}).encode()


def answered(
    question: str, text: str, *, draft: int = 1, finish: str | None = "stop", split: str = "train", **more: Any
) -> Exchange:
    """Return the exchange of one answer to a question, as a run logs it; further fields go into the usage."""
    stage = "draft" if draft == 1 else "refine"
    messages = [{"role": "system", "content": "S"}, {"role": "user", "content": f"{question} {draft}"}]
    tags = {"question": question, "split": split, "draft": draft, "arm": "teacher", **more.pop("tags", {})}
    request = {"model": more.pop("model", "big"), "messages": messages}
    return Exchange(stage, "chat.completions", "s", request, completion(text, finish, **more), tags=tags)
