"""Row 6. The files of the Batch API: requests in, one a line and in any number of files; replies and errors out."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from minirag.batch.passes import Noted
from minirag.message_log import Exchange
from minirag.replies import no_constant

LINES, BYTES, INPUTS = 50_000, 200_000_000, 50_000
"""Of one file, at most: requests, bytes, texts to embed."""
PATHS = {"chat.completions": "/v1/chat/completions", "embeddings": "/v1/embeddings"}
"""The address of each endpoint, as a file names it."""


class Result(NamedTuple):
    """What became of one request: a status with the reply's body, or an `error` of the batch where it was not sent."""

    custom_id: str
    status: int | None
    body: Any
    error: Mapping[str, Any] | None


def request_line(exchange: Exchange) -> bytes:
    """A request as a line of an input file, found again by the exchange's id.

    >>> request_line(Exchange("embed", "embeddings", "s", {"model": "m"}, None, id="a1"))
    b'{"custom_id":"a1","method":"POST","url":"/v1/embeddings","body":{"model":"m"}}\\n'
    """
    line = {"custom_id": exchange.id, "method": "POST", "url": PATHS[exchange.endpoint], "body": exchange.request}
    text = json.dumps(line, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def portions(
    noted: Iterable[Noted], lines: int = LINES, size: int = BYTES, inputs: int = INPUTS
) -> Iterator[list[Noted]]:
    """Requests in portions that one file may hold: of one endpoint and model, within its limits, in their order."""
    groups: dict[tuple[str, str, bool], list[Noted]] = {}
    for each in noted:
        groups.setdefault((each.exchange.endpoint, each.exchange.model, each.keep), []).append(each)
    for group in groups.values():
        portion: list[Noted] = []
        used_bytes = used_inputs = 0
        for each in group:
            own_bytes, own_inputs = len(request_line(each.exchange)), len(each.exchange.request.get("input", ()))
            is_full = len(portion) == lines or used_bytes + own_bytes > size or used_inputs + own_inputs > inputs
            if portion and is_full:
                yield portion
                portion, used_bytes, used_inputs = [], 0, 0
            portion.append(each)
            used_bytes += own_bytes
            used_inputs += own_inputs
        yield portion


def results(content: bytes) -> tuple[list[Result], int]:
    """What the lines of an output or error file say, and how many of them say nothing that can be read.

    >>> results(b'{"custom_id":"a","response":{"status_code":200,"body":{}},"error":null}\\n{"custom_id":')
    ([Result(custom_id='a', status=200, body={}, error=None)], 1)
    """
    found, unreadable = [], 0
    for row in content.split(b"\n"):
        if not row.strip():
            continue
        try:
            line = json.loads(row, parse_constant=no_constant)
            response, error = line.get("response"), line.get("error")
            sent = response if isinstance(response, dict) else {}
            status = sent.get("status_code")
            if not isinstance(line["custom_id"], str) or not isinstance(status, int | None):
                raise ValueError("no custom_id, or a status that is none")
            found.append(
                Result(line["custom_id"], status, sent.get("body"), error if isinstance(error, dict) else None)
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            unreadable += 1
    return found, unreadable
