"""Row 4. The token budget of one request: prompt + reserved reply ≤ size, counted before anything is sent.

Text that must fit is first cut into `Unit`s (sentences, or pieces of a sentence that is too long); then each
request takes as many of them as it can hold.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

from minirag.errors import WindowTooSmall
from minirag.prompts import Excerpt, Message
from minirag.sentences import sentence_spans
from minirag.text import BYTES, Tokenizer, encoding

SMALLEST_EXCERPT = 32
"""Tokens of context below which a request is not worth sending."""

ASKING_AGAIN = 80
"""Tokens kept free in a request with a schema: naming the fault of an unusable reply makes it longer."""


class Passage(NamedTuple):
    """Text on its way into a prompt: its page, and the id of the chunk it is from, where they are known."""

    text: str
    page: int | None = None
    source: str = ""


class Unit(NamedTuple):
    """The smallest piece of context that is handed out whole; units of one `passage` are its text in order."""

    passage: int
    page: int | None
    text: str
    source: str = ""


def excerpts(units: Sequence[Unit]) -> list[Excerpt]:
    """Neighbouring units of one passage joined again.

    >>> excerpts([Unit(0, 7, "One. "), Unit(0, 7, "Two."), Unit(1, 9, "Three.")])
    [Excerpt(text='One. Two.', page=7), Excerpt(text='Three.', page=9)]
    """
    groups = groupby(units, key=lambda unit: (unit.passage, unit.page))
    joined = (("".join(unit.text for unit in group).strip(), page) for (_, page), group in groups)
    return [Excerpt(text, page) for text, page in joined if text]


@dataclass(frozen=True)
class Window:
    """A window of `size` tokens as `tokenizer` counts them; `size=None` holds everything."""

    tokenizer: Tokenizer
    size: int | None = None

    def room(self, messages: Sequence[Message], reply: int, schema: Mapping[str, Any] | None = None) -> int:
        """Tokens left over beside a prompt, its reply schema and `reply` reserved tokens; negative if too small."""
        if self.size is None:
            return 1 << 40
        # what a service adds for a schema is not documented: its own text is more than any was seen to add
        extra = 0 if schema is None else self.tokenizer.count(json.dumps(schema)) + ASKING_AGAIN
        return self.size - reply - extra - self.tokenizer.count_messages(messages)

    def require(self, messages: Sequence[Message], reply: int, schema: Mapping[str, Any] | None = None) -> int:
        """The room beside a prompt without context; WindowTooSmall where no useful excerpt fits."""
        room = self.room(messages, reply, schema)
        if room < SMALLEST_EXCERPT and self.size is not None:
            needed = self.size - room + SMALLEST_EXCERPT
            counted = self.tokenizer.name != BYTES
            hint = "" if counted else ", or name the model's vocabulary with --tokenizer (bytes are counted so far)"
            raise WindowTooSmall(
                f"A window of {self.size} tokens is too small: this prompt and its reply need at least {needed}; "
                f"raise --context-window{hint}."
            )
        return room

    def check(self, messages: Sequence[Message], reply: int, schema: Mapping[str, Any] | None = None) -> None:
        """Raise WindowTooSmall as `require` does; nothing is counted where the bytes, which are more, fit."""
        if Window(encoding(BYTES), self.size).room(messages, reply, schema) < SMALLEST_EXCERPT:
            self.require(messages, reply, schema)

    def units(self, passages: Sequence[Passage], limit: int) -> list[Unit]:
        """The sentences of `passages`, none longer than `limit` tokens; their texts tile the passages."""
        limit = max(1, limit - 8)  # a unit alone is fenced, and tokens may merge differently at its borders
        return [
            Unit(number, page, piece, source)
            for number, (text, page, source) in enumerate(passages)
            for start, end in sentence_spans(text)
            for piece in self._pieces(text[start:end], limit)
        ]

    def _pieces(self, text: str, limit: int) -> list[str]:
        pieces = []
        while len(text) > limit // 4 and self.tokenizer.count(text) > limit:  # a character has at most 4 tokens
            cut = self._prefix(text[: 8 * limit], limit)  # more would not fit, and is long to count again and again
            pieces.append(text[:cut])
            text = text[cut:]
        return [*pieces, text]

    def _prefix(self, text: str, limit: int) -> int:
        """Characters of `text` that `limit` tokens hold, up to behind a space if there is one; at least one."""
        cut = _largest(len(text) - 1, lambda n: self.tokenizer.count(text[:n]) <= limit) or 1
        return text.rfind(" ", 1, cut) + 1 or cut

    def take(
        self,
        units: Sequence[Unit],
        build: Callable[[Sequence[Excerpt]], list[Message]],
        reply: int,
        schema: Mapping[str, Any] | None = None,
    ) -> int:
        """How many of the first `units` fit the prompt that `build` makes of them; 0 where not even one does."""
        if not units or self.room(build(excerpts(units)), reply, schema) >= 0:
            return len(units)
        return _largest(len(units) - 1, lambda n: self.room(build(excerpts(units[:n])), reply, schema) >= 0)


def _largest(high: int, fits: Callable[[int], bool]) -> int:
    """The largest n ≤ high for which `fits` holds, or 0, where it holds up to some n and then no more."""
    low = 0
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle):
            low = middle
        else:
            high = middle - 1
    return low
