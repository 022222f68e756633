"""Reads a judge's reply strictly: nothing is guessed, completed or repaired."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Reply = dict[str, Any] | list[Any]
TOKENS_PER_VERDICT = 56
_VERDICTS = {
    **{True: True, "true": True, "yes": True, "supported": True},  # 1 counts as True
    **{False: False, "false": False, "no": False, "unsupported": False},  # 0 counts as False
}


class NotJSON(ValueError):
    """The reply holds no complete JSON value; the message says why in one clause."""


def _reject_constant(name: str) -> None:
    raise NotJSON(f"the reply holds {name}, which is not JSON")


def _reject_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise NotJSON("the reply's JSON has one key twice")
    return dict(pairs)


_DECODER = json.JSONDecoder(parse_constant=_reject_constant, object_pairs_hook=_reject_repeated_keys)
_FENCED = re.compile(r"```\w*\s*([{\[])")
_BARE = re.compile(r"([{\[])")


def json_value(text: str) -> Reply:
    """Return the first JSON object or array of a reply: bare, in a code fence, or after some prose.

    Raises NotJSON for an empty reply, prose alone, JSON that is cut off, a repeated key, NaN and Infinity.

    >>> json_value('Sure!\\n```json\\n{"a": 1}\\n```')
    {'a': 1}
    """
    if not text.strip():
        raise NotJSON("the reply is empty")
    start = _FENCED.search(text) or _BARE.search(text)
    if start is None:
        raise NotJSON("the reply holds no JSON")
    try:
        value, _ = _DECODER.raw_decode(text, start.start(1))
    except json.JSONDecodeError as error:
        raise NotJSON(f"the reply's JSON breaks at character {error.pos}") from None
    except RecursionError:
        raise NotJSON("the reply's JSON is nested too deeply") from None
    assert isinstance(value, dict | list)
    return value


def list_at(reply: Reply, *keys: str) -> list[Any]:
    """Return the list under the first of `keys` that a reply has, or the reply itself. Raises NotJSON otherwise.

    >>> list_at({"questions": ["Who?"]}, "questions"), list_at(["Who?"], "questions")
    (['Who?'], ['Who?'])
    """
    value = next((reply[key] for key in keys if key in reply), reply) if isinstance(reply, dict) else reply
    if not isinstance(value, list):
        raise NotJSON(f"{keys[0]!r} is not a list")
    return value


class Verdict(NamedTuple):
    """What a judge says of one numbered statement or excerpt, and why."""

    positive: bool
    reason: str


def reply_tokens(verdicts: int) -> int:
    """Return the tokens to reserve for so many verdicts."""
    return TOKENS_PER_VERDICT * (verdicts + 1)


def read_verdicts(reply: Reply, texts: Sequence[str], key: str) -> list[Verdict]:
    """Return one verdict for each of `texts`, matched by its number, or by the text it quotes if it has no number.

    Reads our own form and ragas' (`statement`, `reason`, `verdict`). Raises ValueError naming what is missing,
    repeated or unclear.

    >>> reply = {"verdicts": [{"index": 2, "supported": "no"}, {"index": 1, "supported": 1}]}
    >>> read_verdicts(reply, ["It opened.", "It is blue."], "supported")
    [Verdict(positive=True, reason=''), Verdict(positive=False, reason='')]
    """
    is_single = isinstance(reply, dict) and len(texts) == 1 and not {"verdicts", "statements"} & set(reply)
    verdicts: dict[int, Verdict] = {}
    for item in [reply] if is_single else list_at(reply, "verdicts", "statements"):
        if not isinstance(item, dict):
            raise ValueError("'verdicts' is not a list of objects")
        number = _number(item, texts)
        if number in verdicts:
            raise ValueError(f"number {number} has two verdicts")
        value = item.get(key, item.get("verdict"))
        word = value.strip().lower() if isinstance(value, str) else value
        if not isinstance(word, int | str) or word not in _VERDICTS:
            raise ValueError(f"the verdict of number {number} is {value!r:.40}, neither true nor false")
        verdicts[number] = Verdict(_VERDICTS[word], str(item.get("reason") or ""))
    for number in range(1, len(texts) + 1):
        if number not in verdicts:
            raise ValueError(f"number {number} has no verdict ({len(verdicts)} verdicts where {len(texts)} are due)")
    return [verdict for _, verdict in sorted(verdicts.items())]


def _number(item: Mapping[str, Any], texts: Sequence[str]) -> int:
    """Return the number of the text that a verdict is about; a single text needs neither number nor quotation."""
    index, quoted = item.get("index"), item.get("statement")
    numbers = {" ".join(text.split()): number for number, text in enumerate(texts, 1)}
    if isinstance(quoted, str) and len(numbers) == len(texts):
        by_text = numbers.get(" ".join(quoted.split()))
        if None not in (index, by_text) and index != by_text:
            raise ValueError(f"the verdict of number {index!r:.40} quotes number {by_text}")
        index = by_text if index is None else index
    elif index is None and quoted is None and len(texts) == 1:
        index = 1
    if isinstance(index, bool) or not isinstance(index, int) or not 1 <= index <= len(texts):
        raise ValueError(f"a verdict has the number {index!r:.40}, but they go from 1 to {len(texts)}")
    return index
