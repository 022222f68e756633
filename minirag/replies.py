"""Row 1. Reads the JSON object out of a model's reply, strictly: nothing is completed, nothing is guessed.

>>> json_object('Sure!\\n```json\\n{"a": 1}\\n```')
{'a': 1}
"""

import json
from typing import Any


class NotJSON(ValueError):
    """The reply holds no complete JSON object; the text says why in one clause."""


def _no_constant(name: str) -> Any:
    raise NotJSON(f"the reply holds {name}, which is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def json_object(text: str) -> dict[str, Any]:
    """The first complete JSON object of a reply: bare, in a code fence, or after some prose.

    Raises NotJSON where there is none: an empty reply, prose, an object that was cut off, NaN or Infinity.
    """
    if not text.strip():
        raise NotJSON("the reply is empty")
    start = text.find("{")
    if start < 0:
        raise NotJSON("the reply holds no JSON object")
    try:
        value, _ = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise NotJSON(f"the reply's JSON breaks at character {error.pos}") from None
    except RecursionError:
        raise NotJSON("the reply's JSON is nested too deeply") from None
    if not isinstance(value, dict):
        raise NotJSON("the reply's JSON is not an object")
    return value
