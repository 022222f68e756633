"""Reads a judge's reply strictly: nothing is guessed, completed or repaired."""

import json
from typing import Any, NamedTuple

Reply = dict[str, Any]
TOKENS_PER_VERDICT = 56
_VERDICTS = {True: True, "true": True, "yes": True, False: False, "false": False, "no": False}  # 1 == True, 0 == False


class NotJSON(ValueError):
    """The reply is not the JSON object that was asked for; the message says why in one clause."""


def json_object(text: str) -> Reply:
    """Return the first JSON object of a reply: bare, in a code fence, or after some prose.

    Raises NotJSON for an empty reply, prose alone and JSON that is cut off.

    >>> json_object('Sure!\\n```json\\n{"a": 1}\\n```')
    {'a': 1}
    """
    if not text.strip():
        raise NotJSON("the reply is empty")
    start = text.find("{")
    if start < 0:
        raise NotJSON("the reply holds no JSON")
    try:
        value, _ = json.JSONDecoder().raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise NotJSON(f"the reply's JSON breaks at character {error.pos}") from None
    except RecursionError:
        raise NotJSON("the reply's JSON is nested too deeply") from None
    return dict(value)


def list_at(reply: Reply, key: str) -> list[Any]:
    """Return the list under `key` of a reply. Raises NotJSON if there is none."""
    value = reply.get(key)
    if not isinstance(value, list):
        raise NotJSON(f"{key!r} is not a list")
    return value


class Verdict(NamedTuple):
    """What a judge says of one numbered statement or excerpt, and why."""

    positive: bool
    reason: str


def reply_tokens(verdicts: int) -> int:
    """Return the tokens to reserve for so many verdicts."""
    return TOKENS_PER_VERDICT * (verdicts + 1)


def read_verdicts(reply: Reply, key: str, count: int) -> list[Verdict]:
    """Return the verdicts on statements or excerpts 1 to `count`, in this order; true or false stands under `key`.

    Raises ValueError naming what is missing, repeated or unclear.

    >>> reply = {"verdicts": [{"index": 2, "supported": "no"}, {"index": 1, "supported": 1}]}
    >>> read_verdicts(reply, "supported", 2)
    [Verdict(positive=True, reason=''), Verdict(positive=False, reason='')]
    """
    verdicts: dict[int, Verdict] = {}
    for item in list_at(reply, "verdicts"):
        if not isinstance(item, dict):
            raise ValueError("'verdicts' is not a list of objects")
        number, value = item.get("index"), item.get(key)
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= count:
            raise ValueError(f"a verdict has the number {number!r:.40}, but they go from 1 to {count}")
        if number in verdicts:
            raise ValueError(f"number {number} has two verdicts")
        word = value.strip().lower() if isinstance(value, str) else value
        if not isinstance(word, int | str) or word not in _VERDICTS:
            raise ValueError(f"the verdict of number {number} is {value!r:.40}, neither true nor false")
        verdicts[number] = Verdict(_VERDICTS[word], str(item.get("reason") or ""))
    for number in range(1, count + 1):
        if number not in verdicts:
            raise ValueError(f"number {number} has no verdict ({len(verdicts)} verdicts where {count} are due)")
    return [verdict for _, verdict in sorted(verdicts.items())]
