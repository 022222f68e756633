"""The settings of a cassette: tests that keep the models and record what goes over the network."""

import contextlib
import hashlib
import json
import re
from typing import Any

from minirag.errors import redact
from minirag.exchange import canonical
from minirag.service import OPENAI_ADDRESS

_LOOPBACK = r"https?://(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?/v1"
_BOUNDARY = re.compile(r'boundary="?([^";]+)"?')
_ORGANISATION = re.compile(r'("organization_id":\s*")[^"]*')
_DIGEST = "x-body-sha256"


def vcr_config(service: str | None = None) -> dict[str, Any]:
    """Return the settings of a cassette, for `vcr.VCR(**vcr_config())` or pytest-recording's fixture of this name.

    Requests are matched by method, address and the sha256 of their body (JSON in any order of keys). A cassette holds
    no header but content types, no key and no organisation id; a requested wait becomes a millisecond. Loopback
    addresses and that of `service` are recorded as `OPENAI_ADDRESS`, so a test passes wherever its cassette was
    recorded. Needs vcrpy 8.2.1 or newer, which has no lock: send one request at a time.

    >>> vcr_config()["match_on"]
    ['method', 'uri', 'headers']
    """
    recorded_as_openai = re.compile(_LOOPBACK if service is None else f"{_LOOPBACK}|{re.escape(service.rstrip('/'))}")

    def scrub_request(request: Any) -> Any:
        if _DIGEST not in request.headers:  # else it comes from a cassette
            kind = _text(request.headers.get("content-type", b""))
            body = _text(request.body or b"")
            if boundary := _BOUNDARY.search(kind):
                kind, body = (text.replace(boundary[1], "BOUNDARY") for text in (kind, body))
            body = redact(body)
            request.uri = recorded_as_openai.sub(OPENAI_ADDRESS, request.uri, count=1)
            request.headers = {"content-type": kind, _DIGEST: _digest(body)} if body else {_DIGEST: _digest("")}
            request.body = body.encode("utf-8", "surrogateescape") or None
        return request

    return {
        "match_on": ["method", "uri", "headers"],  # the digest is a header by then
        "decode_compressed_response": True,
        "before_record_request": scrub_request,
        "before_record_response": _scrubbed_reply,
    }


def _scrubbed_reply(reply: dict[str, Any]) -> dict[str, Any]:
    headers = {name.lower(): values for name, values in reply["headers"].items()}
    recorded = {"content-type": headers["content-type"]} if "content-type" in headers else {}
    if headers.keys() & {"retry-after", "retry-after-ms"}:
        recorded["retry-after-ms"] = ["1"]  # a replay would really sleep
    body = _ORGANISATION.sub(r"\1redacted", redact(_text(reply["body"]["string"])))
    return {**reply, "headers": recorded, "body": {"string": body.encode("utf-8", "surrogateescape")}}


def _digest(body: str) -> str:
    """Return the sha256 of a body; for JSON, of its canonical form."""
    with contextlib.suppress(ValueError):
        body = canonical(json.loads(body))
    return hashlib.sha256(body.encode("utf-8", "surrogateescape")).hexdigest()


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else bytes(value).decode("utf-8", "surrogateescape")
