"""What crosses the wire: requests, replies, refusals in OpenAI's shape, and the checks that give them.

Nothing here knows a socket or a model. Whatever a client sent, a function that reads it raises `Refused` or nothing.
"""

import json
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


def json_body(request: Request) -> Json:
    """Return the JSON object of a request."""
    value = parsed(request.body)
    if not isinstance(value, dict):
        raise Refused(400, "The body of this request is not a JSON object in UTF-8; send one.")
    return value


def parsed(text: bytes) -> Any:
    """Return the JSON value of a text; None if it is not JSON in UTF-8, or has half a surrogate pair."""
    try:
        value = json.loads(text.decode(), parse_constant=_refuse_constant)
        if b"\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


class Upload(NamedTuple):
    """The one file of a multipart form, and the form's other fields."""

    filename: str
    content: bytes
    fields: dict[str, str]


_BOUNDARY = re.compile(r'multipart/form-data\s*;.*?boundary=(?:"([^"]{1,200})"|([^\s";,]{1,200}))', re.IGNORECASE)
_NAME = re.compile(rb'[;\s]name="([^"\r\n]*)"')
_FILENAME = re.compile(rb'[;\s]filename="((?:[^"\\\r\n]|\\.)*)"')


def upload(request: Request) -> Upload:
    """Return the form of a multipart request; the bytes of its file are untouched, line ends included."""
    boundary = _BOUNDARY.match(request.headers.get("content-type", ""))
    if not boundary:
        raise Refused(400, "The body is not a form; send multipart/form-data with the fields 'file' and 'purpose'.")
    mark = b"\r\n--" + (boundary[1] or boundary[2]).encode("latin-1", "replace")
    filename, content, fields = "", None, {}
    for part in (b"\r\n" + request.body).split(mark)[1:]:
        head, _, data = part.partition(b"\r\n\r\n")
        name, file = _NAME.search(head), _FILENAME.search(head)
        if name and name[1] == b"file":
            filename, content = file[1].decode("utf-8", "replace") if file else "", data
        elif name:
            fields[name[1].decode("utf-8", "replace")] = data.decode("utf-8", "replace")
    if content is None:
        raise Refused(400, "'file' is a required property")
    return Upload(filename, content, fields)


def required(body: Json, name: str) -> Any:
    """Return a parameter that must be there."""
    if body.get(name) is None:
        raise Refused(400, f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")
    return body[name]


def string(body: Json, name: str) -> str:
    """Return a text that must be there."""
    required(body, name)
    return str(optional_string(body, name))


def optional_string(body: Json, name: str) -> str | None:
    """Return a text, or None."""
    value = body.get(name)
    if value is not None and (not isinstance(value, str) or not value):
        raise invalid(name, "a string that is not empty")
    return value


def integer(body: Json, name: str, low: int, high: int) -> int | None:
    """Return a whole number from `low` to `high`, or None."""
    value = body.get(name)
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    if value is not None and not (is_integer and low <= value <= high):
        raise invalid(name, f"an integer from {low} to {high}")
    return value


def number(body: Json, name: str, low: float, high: float) -> float | None:
    """Return a number from `low` to `high`, or None."""
    value = body.get(name)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and not (is_number and low <= value <= high):
        raise invalid(name, f"a number from {low} to {high}")
    return value


def metadata(body: Json) -> dict[str, str] | None:
    """Return what a client wants to find its job or batch by: texts by name."""
    value = body.get("metadata")
    if value is not None and not (isinstance(value, dict) and all(isinstance(text, str) for text in value.values())):
        raise invalid("metadata", "an object of strings")
    return value


def page(items: Sequence[Json], query: Mapping[str, str], most: int = 100, usual: int = 20) -> Json:
    """Return one page of `items` (in reply order): those behind the id `after`, at most `limit`.

    >>> page([{"id": "c"}, {"id": "b"}, {"id": "a"}], {"after": "c", "limit": "1"})
    {'object': 'list', 'data': [{'id': 'b'}], 'first_id': 'b', 'last_id': 'b', 'has_more': True}
    """
    limit = query.get("limit", str(usual))
    if not re.fullmatch(r"[0-9]{1,6}", limit) or not 1 <= int(limit) <= most:
        raise invalid("limit", f"an integer from 1 to {most}")
    start = 0
    if after := query.get("after"):
        start = next((i for i, item in enumerate(items, 1) if item["id"] == after), -1)
        if start < 0:
            raise invalid("after", "the id of an object in this list")
    shown = list(items[start : start + int(limit)])
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else "",
        "last_id": shown[-1]["id"] if shown else "",
        "has_more": start + len(shown) < len(items),
    }
