"""The HTTP server: sockets on loopback only, one thread per connection, one write per reply.

>>> with Server(lambda request: Reply(200, request.path.encode())) as server:
...     server.base_url.startswith("http://127.0.0.1:")
True
"""

import http.client
import sys
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from minirag.errors import InputError
from minirag.server.wire import Refused, Reply, Request

LOOPBACK = "127.0.0.1"
"""The only address it listens on: any key is accepted, so whoever can reach it is served."""


class Handler(BaseHTTPRequestHandler):
    """One connection: reads requests and writes the replies of the server's `api`."""

    server: "Server"
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 600  # seconds until an idle connection is closed

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        if self.server.is_closed.is_set():
            self.close_connection = True
            return
        target = urlsplit(self.path)
        query = dict(parse_qsl(target.query, keep_blank_values=True))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            reply = self.server.respond(Request(self.command, unquote(target.path), query, headers, body))
        except Exception:
            self.close_connection = True
            self._send(Refused(500, "The server had an error; this is a bug in minirag.").reply)
            raise
        self._send(reply)

    do_GET = do_POST = do_DELETE = _answer

    def _send(self, reply: Reply) -> None:
        fields = {"Content-Type": reply.content_type, "Content-Length": len(reply.body), **reply.headers}
        fields["Connection"] = "close" if self.close_connection else "keep-alive"
        status = f"HTTP/1.1 {reply.status} {http.client.responses.get(reply.status, '')}"
        lines = [status, *(f"{name}: {value}" for name, value in fields.items()), "", ""]
        self.write(reply, "\r\n".join(lines).encode() + reply.body)

    def write(self, reply: Reply, data: bytes) -> None:
        """Write head and body of a reply; tests override this to lose it or to slow it down."""
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing: the caller's log has every exchange."""


class Server(ThreadingTCPServer):
    """Serves `api` from threads of this process until `close`, or the end of a `with` block.

    `port` 0 takes a free one; `base_url` is what an OpenAI client takes. `requests` counts what has come so far,
    answered or not: `("POST", "/v1/embeddings")` → 3. Raises InputError if the port cannot be used.
    """

    allow_reuse_address = True
    block_on_close = False
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, api: Callable[[Request], Reply], port: int = 0, handler: type[Handler] = Handler) -> None:
        try:
            super().__init__((LOOPBACK, port), handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or "no such port"
            raise InputError(f"Port {port} cannot be used ({reason}): name another from 1 to 65535.") from error
        self.api = api
        self.is_closed = threading.Event()
        self.requests: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        self.base_url = f"http://{LOOPBACK}:{self.server_address[1]}/v1"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def respond(self, request: Request) -> Reply:
        """Count a request and return its reply."""
        with self._lock:
            self.requests[request.method, request.path] += 1
        return self.api(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Show what went wrong, unless it is a client that left."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    def close(self) -> None:
        """Answer no further request, on open connections either; calling it again does nothing."""
        self.shutdown()
        self._thread.join()
        self.server_close()
        self.is_closed.set()

    def __exit__(self, *_: object) -> None:
        self.close()
