"""Apart. Ways to spoil a good reply: each changes the JSON of a chat or embeddings reply in place.

>>> reply = {"choices": [{"message": {"content": '{"needed": [1, 2]}'}, "finish_reason": "stop"}]}
>>> WAYS["fewer items"](reply)
>>> reply["choices"][0]["message"]["content"]
'{"needed": [1]}'
"""

import base64
import json
import re
import struct
from collections.abc import Callable, Mapping
from typing import Any

from minirag.server.wire import Json


def _no_choices(reply: Json) -> None:
    reply["choices"] = []


def _cut(reply: Json) -> None:
    _rewrite(reply, lambda content: content[: len(content) // 2])


def _cut_at_the_limit(reply: Json) -> None:
    _cut(reply)
    reply["choices"][0]["finish_reason"] = "length"


def _empty(reply: Json) -> None:
    _rewrite(reply, lambda _: "")


def _prose(reply: Json) -> None:
    _rewrite(reply, lambda _: "Most of this is supported, I would say, though not everything.")


def _nan(reply: Json) -> None:
    """The first value that is no text."""
    _rewrite(reply, lambda content: re.sub(r"(?<=[:\[] )(true|false|-?\d+(\.\d+)?)", "NaN", content, count=1))


def _doubled_key(reply: Json) -> None:
    _rewrite(reply, lambda content: re.sub(r'^\{\s*("\w+")', r"{\1: [], \1", content))


def _fewer_items(reply: Json) -> None:
    _rewrite_list(reply, lambda items: items[:-1])


def _more_items(reply: Json) -> None:
    _rewrite_list(reply, lambda items: items + items[-1:])


def _reordered(reply: Json) -> None:
    """Vectors in another order, each with its own index still."""
    reply["data"].reverse()


def _missing_vector(reply: Json) -> None:
    reply["data"].pop()


def _no_vectors(reply: Json) -> None:
    reply["data"] = []


def _nan_vector(reply: Json) -> None:
    first = reply["data"][0]
    if isinstance(first["embedding"], str):
        packed = base64.b64decode(first["embedding"])
        first["embedding"] = base64.b64encode(struct.pack("<f", float("nan")) + packed[4:]).decode()
    else:
        first["embedding"][0] = float("nan")


_CHAT: Mapping[str, Callable[[Json], None]] = {
    "no choices": _no_choices,
    "cut": _cut,
    "cut at the limit": _cut_at_the_limit,
    "empty": _empty,
    "prose": _prose,
    "nan": _nan,
    "doubled key": _doubled_key,
    "fewer items": _fewer_items,
    "more items": _more_items,
}
_EMBEDDINGS: Mapping[str, Callable[[Json], None]] = {
    "reordered": _reordered,
    "missing vector": _missing_vector,
    "no vectors": _no_vectors,
    "nan vector": _nan_vector,
}
WAYS = {**_CHAT, **_EMBEDDINGS}
"""By name."""


def path_of(way: str) -> str:
    """How the path of a request ends whose reply can be spoiled in this way."""
    return "/chat/completions" if way in _CHAT else "/embeddings"


def _rewrite(reply: Json, change: Callable[[str], str]) -> None:
    message = reply["choices"][0]["message"]
    message["content"] = change(message["content"])


def _rewrite_list(reply: Json, change: Callable[[list[Any]], list[Any]]) -> None:
    """Change the first list in a reply whose content is a JSON object; others stay as they are."""

    def rewritten(content: str) -> str:
        try:
            value = json.loads(content)
        except ValueError:
            return content
        for name, items in value.items() if isinstance(value, dict) else ():
            if isinstance(items, list):
                return json.dumps({**value, name: change(items)}, ensure_ascii=False)
        return content

    _rewrite(reply, rewritten)
