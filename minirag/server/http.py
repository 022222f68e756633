"""The HTTP server: sockets on loopback only, one thread per connection, one write per reply.

>>> with Server(lambda request: Reply(200, request.path.encode())) as server:
...     server.base_url.startswith("http://127.0.0.1:")
True
"""

import http.client
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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
        try:
            target = urlsplit(self.path)
            query = dict(parse_qsl(target.query, keep_blank_values=True))
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
        except ValueError:
            self.send_error(400, "its address or its Content-Length is wrong")
            return
        if self.server.is_closed.is_set():
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, unquote(target.path), query, headers, body)
        try:
            reply = self.server.respond(request)
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

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Reply in OpenAI's form to a request that cannot be read; the base class calls this too."""
        self.close_connection = True
        self._send(Refused(400, f"This is not a readable HTTP request: {message}.").reply)

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing: the caller's log has every exchange."""


def listen(port: int) -> socket.socket:
    """Return a socket that listens on this port, or on a free one for 0. Raises InputError if it cannot be used."""
    try:
        return socket.create_server((LOOPBACK, port), backlog=128)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or "no such port"
        raise InputError(f"Port {port} cannot be used ({reason}): name another from 1 to 65535.") from error


class Server(ThreadingHTTPServer):
    """Serves `api` from threads of this process until `close`, or the end of a `with` block.

    `port` 0 takes a free one; `listening` is a listening socket in place of a port. `base_url` is what an OpenAI
    client takes. Raises InputError if the port cannot be used.
    """

    block_on_close = False

    def __init__(
        self,
        api: Callable[[Request], Reply],
        port: int = 0,
        listening: socket.socket | None = None,
        handler: type[Handler] = Handler,
    ) -> None:
        listening = listening or listen(port)
        self.api = api
        self.is_closed = threading.Event()
        self._requests: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        # binding here would ask the resolver for the host's name, which may go to the network
        super().__init__(listening.getsockname(), handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.base_url = f"http://{LOOPBACK}:{self.server_address[1]}/v1"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def requests(self) -> Counter[tuple[str, str]]:
        """How many requests have come so far, answered or not: `("POST", "/v1/embeddings")` → 3."""
        with self._lock:
            return self._requests.copy()

    def respond(self, request: Request) -> Reply:
        """Count a request and return its reply."""
        with self._lock:
            self._requests[request.method, request.path] += 1
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
