"""Row 1. Reads the JSON out of a model's reply, strictly: nothing is completed, nothing is guessed.

>>> json_value('Sure!\\n```json\\n{"a": 1}\\n```')
{'a': 1}
"""

import json
import re
from typing import Any


class NotJSON(ValueError):
    """The reply holds no complete JSON value; the text says why in one clause."""


def no_constant(name: str) -> Any:
    """For `parse_constant` of the json module: NaN and Infinity are not JSON."""
    raise NotJSON(f"the reply holds {name}, which is not JSON")


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise NotJSON("the reply's JSON has one key twice")
    return value


_DECODER = json.JSONDecoder(parse_constant=no_constant, object_pairs_hook=_no_doubles)
_FENCE = re.compile(r"```\w*\s*(?=[{\[])")
_START = re.compile(r"[{\[]")


def json_value(text: str) -> dict[str, Any] | list[Any]:
    """The JSON object or array of a reply: bare, in a code fence, or after some prose.

    Only the first one is looked at, and all of it must be there. Raises NotJSON for an empty reply, for prose, for
    what was cut off, for NaN and Infinity.
    """
    if not text.strip():
        raise NotJSON("the reply is empty")
    start = _FENCE.search(text) or _START.search(text)
    if start is None:
        raise NotJSON("the reply holds no JSON")
    try:
        value, _ = _DECODER.raw_decode(text, _START.search(text, start.start()).start())  # type: ignore[union-attr]
    except json.JSONDecodeError as error:
        raise NotJSON(f"the reply's JSON breaks at character {error.pos}") from None
    except RecursionError:
        raise NotJSON("the reply's JSON is nested too deeply") from None
    assert isinstance(value, dict | list)
    return value


def strict_json(text: str) -> Any:
    """The one JSON value that `text` is. Raises NotJSON where it is anything more or less.

    >>> strict_json('{"a": [1]}')
    {'a': [1]}
    """
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise NotJSON(f"the JSON breaks at character {error.pos} ({error.msg})") from None
    except RecursionError:
        raise NotJSON("the JSON is nested too deeply") from None
    except ValueError as error:
        raise error if isinstance(error, NotJSON) else NotJSON("the JSON holds a number that is too long") from None


def listed(reply: dict[str, Any] | list[Any], *keys: str) -> list[Any]:
    """The list of a reply: under the first of `keys` that is there, or the reply itself; ValueError if there is none.

    >>> listed({"questions": ["Who?"]}, "questions"), listed(["Who?"], "questions")
    (['Who?'], ['Who?'])
    """
    value = reply
    if isinstance(reply, dict):
        value = next((reply[key] for key in keys if key in reply), reply)
    if not isinstance(value, list):
        raise NotJSON(f"{keys[0]!r} is not a list")
    return value
