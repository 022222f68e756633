"""The HTTP server: sockets on loopback only, one thread per connection, one write per reply.

>>> with Server(lambda request: Reply(200, request.path.encode())) as server:
...     server.base_url.startswith("http://127.0.0.1:")
True
"""

import http.client
import socket
import socketserver
import sys
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from minirag.errors import InputError
from minirag.server.wire import Refused, Reply, Request

LOOPBACK = "127.0.0.1"
"""The only address it listens on: any key is accepted, so whoever can reach it is served."""


class Handler(BaseHTTPRequestHandler):
    """One connection: reads requests and writes the replies of the server's `api`."""

    server: "_Listener"
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
        with self.server.lock:
            self.server.requests[request.method, request.path] += 1
        try:
            reply = self.server.api(request)
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


class _Listener(socketserver.ThreadingTCPServer):
    """Not http.server's class: that one asks the resolver for the host's name, which may go to the network."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, api: Callable[[Request], Reply], listening: socket.socket, handler: type[Handler]) -> None:
        self.api = api
        self.requests: Counter[tuple[str, str]] = Counter()
        self.lock = threading.Lock()
        self.is_closed = threading.Event()
        super().__init__(listening.getsockname(), handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):  # a client that left is not an error
            super().handle_error(request, client_address)


def listen(port: int) -> socket.socket:
    """Return a socket that listens on this port, or on a free one for 0. Raises InputError if it cannot be used."""
    try:
        return socket.create_server((LOOPBACK, port), backlog=128)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or "no such port"
        raise InputError(f"Port {port} cannot be used ({reason}): name another from 1 to 65535.") from error


class Server:
    """Serves `api` from threads of this process until `close`, or the end of a `with` block.

    `port` 0 takes a free one; `listening` is a listening socket in place of a port. `base_url` is what an OpenAI
    client takes. Raises InputError if the port cannot be used.
    """

    def __init__(
        self,
        api: Callable[[Request], Reply],
        port: int = 0,
        listening: socket.socket | None = None,
        handler: type[Handler] = Handler,
    ) -> None:
        self._listener = _Listener(api, listening or listen(port), handler)
        self.base_url = f"http://{LOOPBACK}:{self._listener.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def requests(self) -> Counter[tuple[str, str]]:
        """How many requests have come so far, answered or not: `("POST", "/v1/embeddings")` → 3."""
        with self._listener.lock:
            return self._listener.requests.copy()

    def close(self) -> None:
        """Answer no further request, on open connections either; calling it again does nothing."""
        self._listener.shutdown()
        self._thread.join()
        self._listener.server_close()
        self._listener.is_closed.set()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
