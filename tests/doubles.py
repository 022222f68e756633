"""Stand-ins that tests pass as arguments: a chat model that runs a function, and a service that follows a script."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from minirag.message_log import Exchange
from minirag.tokens import Tokenizer, for_model

Reply = tuple[int, dict[str, str], bytes]


def completion(text: str, finish_reason: str = "stop", model: str = "m-1", **usage: Any) -> dict[str, Any]:
    """A chat completion as a service sends it."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "finish_reason": finish_reason,
                "logprobs": None,
            }
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, **usage},
    }


class Talker:
    """A chat model that answers with what `reply` makes of the messages, and remembers what it was asked."""

    def __init__(self, reply: Callable[[Sequence[Mapping[str, str]]], str], model: str = "gpt-4o") -> None:
        self.model = model
        self.reply = reply
        self.asked: list[dict[str, Any]] = []
        self.finish_reason = "stop"

    @property
    def tokenizer(self) -> Tokenizer:
        return for_model(self.model)

    def complete(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        stage: str,
        tags: Mapping[str, Any] | None = None,
        max_tokens: int = 512,
        schema: Mapping[str, Any] | None = None,
        repeat: int = 0,
    ) -> Exchange:
        self.asked.append({"messages": messages, "stage": stage, "tags": tags, "max_tokens": max_tokens})
        request = {"model": self.model, "messages": list(messages), "max_tokens": max_tokens}
        response = completion(self.reply(messages), self.finish_reason)
        return Exchange(stage, "chat.completions", "test", request, response, None, repeat, tags or {})


class Script:
    """A loopback service that answers each request with the next reply, the last one for ever; keeps the requests."""

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
                if callable(content):
                    content = content(seen)
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

    def __enter__(self) -> "Script":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def refusal(status: int, message: str = "no", **fields: Any) -> Reply:
    """An error reply in the service's own form; `headers` may be among the fields."""
    headers = fields.pop("headers", {})
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None, **fields}
    return status, headers, json.dumps({"error": error}).encode()
