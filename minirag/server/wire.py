"""Apart. What crosses the wire: requests, replies, refusals in OpenAI's shape, and the checks that give them.

Nothing here knows a socket or a model. Every function that reads what a client sent raises `Refused`, never anything
else, whatever the bytes are.
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
    """One HTTP reply, and how it is sent: after `delay` seconds, the body one byte every `pace` seconds if that is
    not 0, and the connection reset after `cut` bytes of head and body, if that is a number."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = {}
    delay: float = 0.0
    pace: float = 0.0
    cut: int | None = None


class Refused(Exception):
    """A request that gets an error reply."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.reply = json_reply({"error": {"message": message, "type": kind, "param": param, "code": code}}, status)


def json_reply(value: Json, status: int = 200) -> Reply:
    return Reply(status, json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode())


def json_body(request: Request) -> Json:
    """The JSON object in a request; refused if it is anything else, or has a character that no text can hold."""
    try:
        value = json.loads(request.body.decode(), parse_constant=_no_constant)
        if b"\\u" in request.body:  # an escape may stand for half a character
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Refused(400, "The body of this request is not JSON; send one JSON object in UTF-8.") from None
    if not isinstance(value, dict):
        raise Refused(400, "The body of this request is not a JSON object; send one.")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


class Upload(NamedTuple):
    """The one file of a multipart form, and the form's other fields."""

    filename: str
    content: bytes
    fields: dict[str, str]


_BOUNDARY = re.compile(r'multipart/form-data\s*;.*?boundary=(?:"([^"]{1,200})"|([^\s";,]{1,200}))', re.IGNORECASE)
_NAME = re.compile(rb'[;\s]name="([^"\r\n]*)"')
_FILENAME = re.compile(rb'[;\s]filename="((?:[^"\\\r\n]|\\.)*)"')


def upload(request: Request) -> Upload:
    """The form in a multipart request; the bytes of its file are untouched, line ends included."""
    boundary = _BOUNDARY.match(request.headers.get("content-type", ""))
    if not boundary:
        raise Refused(400, "The body is not a form; send multipart/form-data with the fields 'file' and 'purpose'.")
    mark = b"\r\n--" + (boundary[1] or boundary[2]).encode("latin-1", "replace")
    filename, content, fields = "", None, {}
    for part in (b"\r\n" + request.body).split(mark)[1:]:
        head, blank, data = part.partition(b"\r\n\r\n")
        name = _NAME.search(head)
        if not blank or not name:
            continue
        if name[1] == b"file":
            named = _FILENAME.search(head)
            filename = named[1].decode("utf-8", "replace") if named else ""
            content = data
        else:
            fields[name[1].decode("utf-8", "replace")] = data.decode("utf-8", "replace")
    if content is None:
        raise Refused(400, "'file' is a required property")
    return Upload(filename, content, fields)


def string(body: Json, name: str, longest: int = 1 << 20) -> str:
    """A text that must be there."""
    value = optional_string(body, name, longest)
    if value is None:
        raise Refused(400, f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")
    return value


def optional_string(body: Json, name: str, longest: int = 1 << 20) -> str | None:
    """A text of 1 to `longest` characters, or None."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise wrong_type(name, "a string", value)
    if not value:
        message = f"Invalid '{name}': empty string. Expected a string with minimum length 1, but got an empty one."
        raise Refused(400, message, param=name, code="empty_string")
    check_length(value, name, longest)
    return value


def check_length(value: str, name: str, longest: int = 1 << 20) -> None:
    """Refuses a text of more characters."""
    if len(value) > longest:
        message = f"Invalid '{name}': string too long. Expected a string with maximum length {longest}."
        raise Refused(400, message, param=name, code="string_above_max_length")


def integer(body: Json, name: str, low: int, high: int) -> int | None:
    """A whole number from `low` to `high`, or None."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong_type(name, "an integer", value)
    _check_range(value, name, low, high, "integer")
    return value


def number(body: Json, name: str, low: float, high: float) -> float | None:
    """A number from `low` to `high`, or None."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise wrong_type(name, "a decimal", value)
    _check_range(value, name, low, high, "decimal")
    return value


def _check_range(value: float, name: str, low: float, high: float, kind: str) -> None:
    if low <= value <= high:
        return
    side, bound = ("below min", f">= {low}") if value < low else ("above max", f"<= {high}")
    raise Refused(
        400,
        f"Invalid '{name}': {kind} {side}imum value. Expected a value {bound}, but got {str(value)[:40]} instead.",
        param=name,
        code=f"{kind}_{side.replace(' ', '_')}_value",
    )


def wrong_type(name: str, expected: str, value: Any) -> Refused:
    """The refusal of a value that is not what `expected` says."""
    kinds = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "an integer"}
    got = "null" if value is None else kinds.get(type(value), "a decimal")
    return Refused(
        400,
        f"Invalid type for '{name}': expected {expected}, but got {got} instead.",
        param=name,
        code="invalid_type",
    )


def page(items: Sequence[Json], query: Mapping[str, str], most: int = 100, usual: int = 20) -> Json:
    """One page of `items` (in reply order): those behind the id `after`, at most `limit`.

    >>> page([{"id": "c"}, {"id": "b"}, {"id": "a"}], {"after": "c", "limit": "1"})
    {'object': 'list', 'data': [{'id': 'b'}], 'first_id': 'b', 'last_id': 'b', 'has_more': True}
    """
    given = query.get("limit", str(usual))
    if not re.fullmatch(r"[0-9]{1,6}", given) or not 1 <= int(given) <= most:
        raise Refused(
            400, f"Invalid 'limit': expected an integer from 1 to {most}.", param="limit", code="invalid_value"
        )
    start = 0
    if after := query.get("after"):
        start = next((i for i, item in enumerate(items, 1) if item["id"] == after), -1)
        if start < 0:
            raise Refused(400, "Invalid 'after': no such object in this list.", param="after", code="invalid_value")
    shown = list(items[start : start + int(given)])
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else "",
        "last_id": shown[-1]["id"] if shown else "",
        "has_more": start + len(shown) < len(items),
    }
