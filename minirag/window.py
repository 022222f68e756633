"""The window: the token budget of one request, kept by counting before anything is sent.

Text on its way into a prompt is split into units, which are sentences or pieces of long ones. A request takes as many
as fit beside its instructions and the tokens reserved for the reply.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

from minirag.errors import WindowTooSmall
from minirag.prompts import Excerpt, Message
from minirag.text import BYTES, Tokenizer, sentence_spans

SMALLEST_EXCERPT = 32
"""Tokens of context below which a request is not worth sending."""
RETRY_TOKENS = 80
"""Tokens kept free in a request with a schema: a retry that names the fault of the first reply is longer."""


class Unit(NamedTuple):
    """A sentence, or a piece of a long one: the smallest part of passage number `passage` that is sent whole."""

    passage: int
    page: int | None
    text: str


def excerpts(units: Sequence[Unit]) -> list[Excerpt]:
    """Join neighbouring units of the same passage.

    >>> excerpts([Unit(0, 7, "One. "), Unit(0, 7, "Two."), Unit(1, 9, "Three.")])
    [Excerpt(text='One. Two.', page=7), Excerpt(text='Three.', page=9)]
    """
    groups = groupby(units, key=lambda unit: (unit.passage, unit.page))
    joined = (("".join(unit.text for unit in group).strip(), page) for (_, page), group in groups)
    return [Excerpt(text, page) for text, page in joined if text]


@dataclass(frozen=True)
class Window:
    """The token budget of one request: prompt + reserved reply ≤ `size`, as `tokenizer` counts; None: no limit."""

    tokenizer: Tokenizer
    size: int | None = None

    def room(self, messages: Sequence[Message], reply: int, schema: Mapping[str, Any] | None = None) -> int:
        """Return the tokens left beside a prompt, its schema and `reply` reserved tokens; negative if it is too large.

        How many tokens a service adds for a schema is not documented; the schema's own text is an upper bound so far.
        """
        if self.size is None:
            return 1 << 40
        extra = 0 if schema is None else self.tokenizer.count(json.dumps(schema)) + RETRY_TOKENS
        return self.size - reply - extra - self.tokenizer.count_messages(messages)

    def require(self, messages: Sequence[Message], reply: int, schema: Mapping[str, Any] | None = None) -> int:
        """Return the room beside a prompt without context. Raise WindowTooSmall if no useful excerpt fits there."""
        room = self.room(messages, reply, schema)
        if self.size is not None and room < SMALLEST_EXCERPT:
            hint = ", or name the model's vocabulary with --tokenizer (bytes are counted so far)"
            raise WindowTooSmall(
                f"A window of {self.size} tokens is too small: this prompt and its reply need at least "
                f"{self.size - room + SMALLEST_EXCERPT}; raise --context-window"
                f"{hint if self.tokenizer.name == BYTES else ''}."
            )
        return room

    def units(self, passages: Sequence[Excerpt], limit: int) -> list[Unit]:
        """Split passages into sentences, and sentences of more than `limit` tokens into pieces; nothing is left out."""
        limit = max(1, limit - 8)  # a unit alone is fenced, and tokens may merge differently at its borders
        return [
            Unit(number, page, piece)
            for number, (text, page) in enumerate(passages)
            for start, end in sentence_spans(text)
            for piece in self._pieces(text[start:end], limit)
        ]

    def _pieces(self, text: str, limit: int) -> list[str]:
        pieces = []
        while len(text) > limit // 4 and self.tokenizer.count(text) > limit:  # a character has at most 4 tokens
            cut = self._prefix(text[: 8 * limit], limit)  # more would not fit, and takes long to count repeatedly
            pieces.append(text[:cut])
            text = text[cut:]
        return [*pieces, text]

    def _prefix(self, text: str, limit: int) -> int:
        """Return how many characters fit in `limit` tokens, up to a space if there is one; at least one."""
        cut = largest(len(text) - 1, lambda n: self.tokenizer.count(text[:n]) <= limit) or 1
        return text.rfind(" ", 1, cut) + 1 or cut

    def take(
        self,
        units: Sequence[Unit],
        build: Callable[[Sequence[Excerpt]], list[Message]],
        reply: int,
        schema: Mapping[str, Any] | None = None,
    ) -> int:
        """Return how many of the first `units` fit the prompt that `build` makes of their excerpts; 0 if none does."""

        def fits(count: int) -> bool:
            return self.room(build(excerpts(units[:count])), reply, schema) >= 0

        return largest(len(units), fits)


def largest(high: int, fits: Callable[[int], bool]) -> int:
    """Return the largest n ≤ high that fits, or 0: the whole if it does, else by bisection."""
    if high > 0 and fits(high):
        return high
    low, high = 0, high - 1
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low
