"""Row 1. Where two versions of a file differ: by line, and by field where the lines are JSON.

>>> [str(d) for d in differences("a.jsonl", b'{"n":1,"v":[1,2]}', b'{"n":1,"v":[1,3]}')]
['a.jsonl line 1, v[1]: 2 before, 3 now']
"""

import json
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, NamedTuple

SHOWN = 60
_MISSING = object()


class Difference(NamedTuple):
    """One place where two versions of `file` differ: its line from 1, the field or byte there, and both values."""

    file: str
    line: int
    place: str
    before: str
    now: str

    def __str__(self) -> str:
        line = f" line {self.line}" if self.line else ""
        return f"{self.file}{line}, {self.place}: {self.before} before, {self.now} now"


def differences(file: str, before: bytes, now: bytes) -> Iterator[Difference]:
    """Every field of JSON, and the first byte of every line that is no JSON, in which two versions of a file differ."""
    if before == now:
        return
    found = False
    if file.endswith(".json"):
        for place, old, new in changed_fields(_json(before), _json(now)):
            found = True
            yield Difference(file, 0, place or "all of it", old, new)
    if not found:
        for number, (old_line, new_line) in enumerate(zip_longest(before.split(b"\n"), now.split(b"\n")), 1):
            if old_line != new_line:
                yield from _of_line(file, number, old_line, new_line)


def _of_line(file: str, number: int, before: bytes | None, now: bytes | None) -> Iterator[Difference]:
    if before is None or now is None:
        yield Difference(
            file, number, "the line", *("nothing" if line is None else _shown(line) for line in (before, now))
        )
        return
    found = list(changed_fields(_json(before), _json(now))) if file.endswith(".jsonl") else []
    if found:
        yield from (Difference(file, number, place or "all of it", old, new) for place, old, new in found)
        return
    byte = next((i for i, (a, b) in enumerate(zip(before, now, strict=False)) if a != b), min(len(before), len(now)))
    yield Difference(file, number, f"byte {byte + 1}", _shown(before[byte:]), _shown(now[byte:]))


def changed_fields(before: Any, now: Any, place: str = "") -> Iterator[tuple[str, str, str]]:
    """The places in which two JSON values differ, and both values there, shortened.

    >>> list(changed_fields({"a": {"b": 1}}, {"a": {"b": 2}, "c": None}))
    [('a.b', '1', '2'), ('c', 'nothing', 'null')]
    """
    if isinstance(before, dict) and isinstance(now, dict):
        for key in dict.fromkeys((*before, *now)):
            yield from changed_fields(
                before.get(key, _MISSING), now.get(key, _MISSING), f"{place}.{key}" if place else key
            )
    elif isinstance(before, list) and isinstance(now, list):
        for number, (old, new) in enumerate(zip_longest(before, now, fillvalue=_MISSING)):
            yield from changed_fields(old, new, f"{place}[{number}]")
    elif before != now or type(before) is not type(now):
        yield place, _shown(before), _shown(now)


def _json(data: bytes) -> Any:
    """The value that `data` spells out; `data` itself where it is no JSON."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return data


def _shown(value: Any) -> str:
    if value is _MISSING:
        return "nothing"
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
