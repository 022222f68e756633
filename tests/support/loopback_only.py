"""Keep a Python process on this machine: connecting beyond loopback, or looking up a name, raises `BeyondLoopback`."""

import re
import sys
from typing import Any

_SENDS = {"socket.connect", "socket.sendto", "socket.sendmsg"}
_LOOKS_UP = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
_LOOPBACK = re.compile(r"127\.[0-9.]+|::1|localhost|")
_NUMERIC = re.compile(r"[0-9.]+|[0-9a-fA-F.]*:[0-9a-fA-F:.]*")


class BeyondLoopback(BaseException):
    """Raised for an attempt; no Exception, which the code under test would take for a service that is down."""


def stay() -> None:
    """Guard this process until it ends; an audit hook cannot be removed."""
    sys.addaudithook(_check)


def _check(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _SENDS:
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else ""  # a path, or connected already
    elif event in _LOOKS_UP:
        host = arguments[0]
    else:
        return
    name = host.decode("utf-8", "replace") if isinstance(host, bytes) else host or ""
    if not _LOOPBACK.fullmatch(name) and not (event in _LOOKS_UP and _NUMERIC.fullmatch(name)):
        raise BeyondLoopback(f"{event} {name}: tests stay on this machine")
