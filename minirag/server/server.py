"""Apart. The HTTP server: sockets on loopback only, one thread per connection, one write per reply.

>>> with Server(lambda request: Reply(200, request.path.encode())) as server:
...     server.base_url.startswith("http://127.0.0.1:")
True
"""

import contextlib
import http.client
import socket
import socketserver
import struct
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
"""The only address it listens on: it has no keys worth the name, and answers everyone who can reach it."""

MOST_BYTES = 256 << 20
"""A larger body is refused before it is read."""


class Server:
    """Serves `service` from threads of this process until `close`, or the end of a `with` block.

    `requests` counts what it was asked, by (method, path). Raises InputError if the port is taken or is none.
    `port` 0 takes a free one; `listening` is a socket that listens already, in place of a port.
    """

    def __init__(
        self, service: Callable[[Request], Reply], port: int = 0, listening: socket.socket | None = None
    ) -> None:
        if not 0 <= port <= 65_535:
            raise InputError(f"There is no port {port}: name one from 1 to 65535, or 0 for a free one.")
        try:
            self._listener = _Listener(service, listening or socket.create_server((LOOPBACK, port), backlog=128))
        except OSError as error:
            raise InputError(f"Port {port} cannot be used ({error.strerror}): name another.") from error
        self.base_url = f"http://{LOOPBACK}:{self._listener.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def requests(self) -> Counter[tuple[str, str]]:
        """How many requests have come so far, answered or not: `("POST", "/v1/embeddings")` → 3."""
        with self._listener.counting:
            return self._listener.requests.copy()

    def close(self) -> None:
        """Stop answering, on connections that are open too; calling it again does nothing."""
        self._listener.shutdown()
        self._thread.join()
        self._listener.server_close()
        self._listener.hang_up()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Listener(socketserver.ThreadingTCPServer):
    """Not http.server's class: that one asks the resolver for the host's name, which may go to the network."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, service: Callable[[Request], Reply], listening: socket.socket) -> None:
        self.service = service
        self.requests: Counter[tuple[str, str]] = Counter()
        self.counting = threading.Lock()
        self.closed = threading.Event()
        self._open: set[socket.socket] = set()
        super().__init__(listening.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End all connections, so that none is answered by a server that was closed."""
        self.closed.set()
        for connection in list(self._open):
            with contextlib.suppress(OSError):  # its client hung up first
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):  # a client that left is no error
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: _Listener
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 600  # seconds until an idle connection is closed

    def _answer(self) -> None:
        try:
            request = self._request()
        except Refused as refused:
            self.close_connection = True  # what follows on this connection may be the rest of a body
            self._send(refused.reply)
            return
        with self.server.counting:
            self.server.requests[request.method, request.path] += 1
        try:
            reply = self.server.service(request)
        except Exception:
            self.close_connection = True
            message = "The server had an error while processing your request; this is a bug in minirag."
            self._send(Refused(500, message, kind="server_error").reply)
            raise
        self._send(reply)

    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = do_HEAD = do_OPTIONS = _answer

    def _request(self) -> Request:
        if "transfer-encoding" in self.headers:
            raise Refused(411, "This server reads no chunked bodies; send a Content-Length.")
        length = self.headers.get("content-length", "0").strip()
        if not (length.isascii() and length.isdecimal() and len(length) < 19):
            raise Refused(400, "The Content-Length of this request is not a number.")
        if int(length) > MOST_BYTES:
            raise Refused(413, f"The body is too large; this server reads at most {MOST_BYTES} bytes.")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise Refused(400, "The body is shorter than its Content-Length.")
        try:
            target = urlsplit(self.path)
            query = dict(parse_qsl(target.query, keep_blank_values=True, max_num_fields=100))
        except ValueError:
            raise Refused(400, "The address of this request cannot be read.") from None
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(self.command, unquote(target.path), query, headers, body)

    def _send(self, reply: Reply) -> None:
        phrase = http.client.responses.get(reply.status, "")
        connection = "close" if self.close_connection else "keep-alive"
        fields = {"Content-Type": reply.content_type, "Content-Length": len(reply.body), **reply.headers}
        lines = [f"HTTP/1.1 {reply.status} {phrase}", *(f"{name}: {value}" for name, value in fields.items())]
        head = "\r\n".join([*lines, f"Connection: {connection}", "", ""]).encode()
        body = b"" if self.command == "HEAD" else reply.body
        if self.server.closed.wait(reply.delay):
            return
        sent = (head + body)[: reply.cut]
        if reply.pace:
            self.wfile.write(sent[: len(head)])
            for byte in sent[len(head) :]:
                if self.server.closed.wait(reply.pace):
                    return
                self.wfile.write(bytes([byte]))
        else:
            self.wfile.write(sent)
        if reply.cut is not None:
            self._reset()

    def _reset(self) -> None:
        """End the connection the hard way: without lingering, closing it is a reset."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class calls when the request line or a header cannot be read."""
        self.close_connection = True
        self._send(Refused(code if code < 500 else 400, f"This is no HTTP request that can be read: {message}.").reply)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet: the caller's log has every exchange."""
