"""Apart. The input file of a batch, checked line by line as the real service does before it begins.

>>> row = b'{"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {"model": "m"}}'
>>> read_lines(row, "/v1/embeddings")
([Line(custom_id='a', body={'model': 'm'})], [])
"""

import json
from typing import NamedTuple

from minirag.server.wire import Json

MOST_LINES = 50_000
MOST_BYTES = 200_000_000
MOST_INPUTS = 50_000
"""Texts to embed in one file, over all its lines."""
MOST_ERRORS = 100


class Line(NamedTuple):
    """One request of a batch."""

    custom_id: str
    body: Json


class _Bad(Exception):
    """A line that is no request: code, message, the parameter at fault."""


def read_lines(content: bytes, endpoint: str) -> tuple[list[Line], list[Json]]:
    """The requests of a file for `endpoint`, and the errors for which its batch fails, at most a hundred."""
    rows = content.splitlines()
    lines: list[Line] = []
    errors: list[Json] = []
    if len(rows) > MOST_LINES or len(content) > MOST_BYTES:
        errors.append(_error("file_too_large", f"A batch has at most {MOST_LINES} lines and {MOST_BYTES} bytes."))
        return lines, errors
    seen: set[str] = set()
    for number, row in enumerate(rows, 1):
        try:
            line = _line(row, endpoint)
            if line.custom_id in seen:
                raise _Bad("duplicate_custom_id", f"The custom_id '{line.custom_id[:64]}' is used twice.", "custom_id")
            if lines and line.body["model"] != lines[0].body["model"]:
                raise _Bad("mismatched_model", "All requests in a batch must have the same model.", "body.model")
        except _Bad as bad:
            code, message, param = bad.args
            errors.append(_error(code, message, param, number))
            continue
        seen.add(line.custom_id)
        lines.append(line)
    inputs = sum(len(line.body.get("input", ())) for line in lines if isinstance(line.body.get("input"), list))
    if inputs > MOST_INPUTS:
        errors.append(_error("too_many_inputs", f"A batch has at most {MOST_INPUTS} texts to embed."))
    if not rows:
        errors.append(_error("empty_file", "The input file is empty."))
    return lines, errors[:MOST_ERRORS]


def _line(row: bytes, endpoint: str) -> Line:
    try:
        value = json.loads(row)
    except ValueError:
        raise _Bad("invalid_json_line", "This line is not parseable as valid JSON.", None) from None
    if not isinstance(value, dict) or not isinstance(value.get("custom_id"), str) or not value["custom_id"]:
        raise _Bad("missing_required_parameter", "Missing required parameter: 'custom_id'.", "custom_id")
    if value.get("method") != "POST":
        raise _Bad("invalid_method", "Invalid HTTP method. Supported methods are: POST.", "method")
    if value.get("url") != endpoint:
        raise _Bad("invalid_url", f"Invalid URL. Must match the batch's endpoint {endpoint}.", "url")
    body = value.get("body")
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        raise _Bad("missing_required_parameter", "Missing required parameter: 'model'.", "body.model")
    return Line(value["custom_id"], body)


def _error(code: str, message: str, param: str | None = None, line: int | None = None) -> Json:
    return {"code": code, "message": message, "param": param, "line": line}
