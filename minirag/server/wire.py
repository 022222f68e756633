"""What crosses the wire: requests, replies, refusals in OpenAI's shape, and the checks of parameters.

Nothing here knows a socket or a model. A function that reads what a client sent raises `Refused` and nothing else.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Json = dict[str, Any]


class Request(NamedTuple):
    """One HTTP request. Header names are in lower case; `path` has no query."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        """The JSON object in its body."""
        value = parsed(self.body)
        if not isinstance(value, dict):
            raise Refused(400, "The body of this request is not a JSON object in UTF-8; send one.")
        return value


class Reply(NamedTuple):
    """One HTTP reply."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = {}


class Refused(Exception):
    """A request that gets an error reply."""

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        kind = "invalid_request_error" if status < 500 else "server_error"
        self.code, self.param = code, param
        self.reply = json_reply({"error": {"message": message, "type": kind, "param": param, "code": code}}, status)


def invalid(name: str, expected: str) -> Refused:
    """Return the refusal of a parameter that is not what `expected` says."""
    return Refused(400, f"Invalid '{name}': expected {expected}.", param=name, code="invalid_value")


def json_reply(value: Json, status: int = 200) -> Reply:
    """Return a reply with a JSON object."""
    return Reply(status, json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode())


def parsed(text: bytes) -> Any:
    """Return the JSON value of a text; None if it is not JSON in UTF-8."""
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # NaN and half a surrogate pair are not JSON
    except (ValueError, RecursionError):
        return None
    return value


def required(body: Json, name: str, kind: Any = str) -> Any:
    """Return a parameter of this type that must be there and not be empty."""
    if body.get(name) is None:
        raise Refused(400, f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")
    return optional(body, name, kind)


def optional(body: Json, name: str, kind: Any = str) -> Any:
    """Return a parameter of this type that is not empty, or None if it is not there."""
    value = body.get(name)
    if value is not None and (not isinstance(value, kind) or value in ("", [])):
        raise invalid(name, f"{getattr(kind, '__name__', kind)} that is not empty")
    return value


def number(body: Json, name: str, low: float, high: float = math.inf, kind: Any = int) -> Any:
    """Return a number from `low` to `high`, or None; an integer unless `kind` is `int | float`."""
    value = body.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high):
        bounds = f" of at least {low}" if high == math.inf else f" from {low} to {high}"
        raise invalid(name, f"{'an integer' if kind is int else 'a number'}{bounds}")
    return value


def page(items: Sequence[Json], query: Mapping[str, str]) -> Json:
    """Return one page of `items` (in reply order): those behind the id `after`, at most `limit` (20 by default).

    >>> page([{"id": "c"}, {"id": "b"}, {"id": "a"}], {"after": "c", "limit": "1"})
    {'object': 'list', 'data': [{'id': 'b'}], 'first_id': 'b', 'last_id': 'b', 'has_more': True}
    """
    limit, after = query.get("limit", "20"), query.get("after")
    if not re.fullmatch(r"[1-9][0-9]{0,3}", limit):
        raise invalid("limit", "a positive integer")
    start = next((i for i, item in enumerate(items, 1) if item["id"] == after), len(items)) if after else 0
    data = list(items[start : start + int(limit)])
    first_id, last_id = (data[0]["id"], data[-1]["id"]) if data else ("", "")
    has_more = start + len(data) < len(items)
    return {"object": "list", "data": data, "first_id": first_id, "last_id": last_id, "has_more": has_more}
