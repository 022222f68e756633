"""Keep a Python process on this machine: connecting beyond loopback, or looking up a name, raises.

Tests run under it, and so do the Python processes that they start. Each attempt is also written to a file, because
the code under test may take the exception for a service that is down.
"""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NOTES = "BEYOND_LOOPBACK"
"""The environment variable with the path of the file of attempts."""

_SENDS = {"socket.connect", "socket.sendto", "socket.sendmsg"}
_LOOKS_UP = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
_LOOPBACK = re.compile(r"127\.[0-9.]+|::1|localhost|")
_NUMERIC = re.compile(r"[0-9.]+|[0-9a-fA-F.]*:[0-9a-fA-F:.]*")


class BeyondLoopback(Exception):
    """Raised for an attempt; not an OSError, which would look like a service that is down."""


def stay() -> None:
    """Guard this process until it ends; an audit hook cannot be removed."""
    sys.addaudithook(_check)


def environment(folder: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return environment variables that guard Python processes: they import `sitecustomize`, written to `folder`."""
    (folder / "sitecustomize.py").write_text("import loopback_only\n\nloopback_only.stay()\n", "utf-8")
    places = [str(folder), str(Path(__file__).parent), inherited.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, places)), NOTES: str(folder / "attempts")}


def _check(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _SENDS:
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else ""  # a path, or connected already
    elif event in _LOOKS_UP:
        host = arguments[0]
    else:
        return
    name = host.decode("utf-8", "replace") if isinstance(host, bytes) else host or ""
    if _LOOPBACK.fullmatch(name) or (event in _LOOKS_UP and _NUMERIC.fullmatch(name)):
        return
    with Path(os.environ[NOTES]).open("a", encoding="utf-8") as notes:
        notes.write(f"{event} {name}\n")
    raise BeyondLoopback(f"{event} {name}: tests stay on this machine")
