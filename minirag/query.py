"""Question → answer: retrieve chunks, fill the window, draft, then refine with what did not fit.

`Window` is the token budget of one request, kept by counting before anything is sent: text is split into units
(sentences, or pieces of long ones), and a request takes as many as fit beside its instructions and the reserved reply.
What did not fit the first request goes into refine requests, each with the answer so far. No text is sent twice.
"""

import json
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minirag import prompts
from minirag.chunker import Chunk
from minirag.errors import EMPTY, ServiceError, WindowTooSmall
from minirag.message_log import Exchange
from minirag.models import Chat, Embedder, Hit, Store
from minirag.prompts import Excerpt, Message
from minirag.text import Tokenizer, is_cut, sentence_spans

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
            needed = self.size - room + SMALLEST_EXCERPT
            text = f"A window of {self.size} tokens is too small: this prompt and its reply need at least {needed}"
            vocabulary = f", or give its vocabulary as --tokenizer FILE (counted so far: {self.tokenizer.label})"
            raise WindowTooSmall(f"{text}; raise --context-window{'' if self.tokenizer.exact else vocabulary}.")
        return room

    def units(self, passages: Sequence[Excerpt], limit: int) -> list[Unit]:
        """Split passages into sentences, and sentences of more than `limit` tokens into pieces; nothing is left out."""
        limit = max(4, limit - 8)  # a unit alone is fenced, and tokens may merge differently at its borders
        return [
            Unit(number, page, piece)
            for number, (text, page) in enumerate(passages)
            for start, end in sentence_spans(text)
            for piece in self._pieces(text[start:end], limit)
        ]

    def _pieces(self, text: str, limit: int) -> list[str]:
        """Cut a text of more than `limit` tokens into pieces that have no more in any vocabulary, at spaces if any."""
        pieces, size = [], limit // 4  # no character has more than 4 tokens
        # the rest of a very long text is cut uncounted: counting it again for each piece would take minutes
        while len(text) > size and (len(text) > 8 * limit or self.tokenizer.count(text) > limit):
            cut = text.rfind(" ", 1, size) + 1 or size
            pieces.append(text[:cut])
            text = text[cut:]
        return [*pieces, text]

    def take(
        self,
        units: Sequence[Unit],
        build: Callable[[Sequence[Excerpt]], list[Message]],
        reply: int,
        schema: Mapping[str, Any] | None = None,
    ) -> int:
        """Return how many of the first `units` fit the prompt that `build` makes of their excerpts; 0 if none does."""
        return largest(len(units), lambda n: self.room(build(excerpts(units[:n])), reply, schema) >= 0)


def largest(high: int, fits: Callable[[int], bool]) -> int:
    """Return the largest n ≤ high that fits, or 0: the whole if it does, else by bisection."""
    if high == 0 or fits(high):
        return high
    return high - bisect_left(range(high), True, lo=1, key=lambda left_out: fits(high - left_out))


@dataclass(frozen=True, slots=True)
class Draft:
    """One reply in the refine loop, the excerpts it was given, and its exchange."""

    text: str
    excerpts: tuple[Excerpt, ...]
    exchange: Exchange


@dataclass(frozen=True, slots=True)
class Answer:
    """The final text for a question, its drafts in order, and the chunks that were retrieved, best first."""

    question: str
    text: str
    drafts: tuple[Draft, ...]
    hits: tuple[Hit, ...]

    @property
    def contexts(self) -> list[str]:
        """The text of the retrieved chunks, best first."""
        return [hit.chunk.text for hit in self.hits]

    @property
    def cut_off(self) -> bool:
        """True if the reply limit ended the text."""
        return self.drafts[-1].exchange.finish_reason == "length"

    @property
    def prompt_cut(self) -> bool:
        """True if the service has cut one of the prompts, so that the model never saw all excerpts."""
        return any(is_cut(draft.exchange.request["messages"], draft.exchange.usage) for draft in self.drafts)

    def to_json(self, question_id: str, arm: str) -> dict[str, Any]:
        """Return the answer as `answers.jsonl` holds it; `prompt_cut` is there only where it is true."""
        contexts = [hit.chunk.id for hit in self.hits]
        fields = {"question_id": question_id, "arm": arm, "text": self.text, "contexts": contexts}
        return {**fields, "drafts": len(self.drafts), **({"prompt_cut": True} if self.prompt_cut else {})}


@dataclass
class QueryEngine:
    """Answers questions from a store with a chat model.

    `top_k` chunks are retrieved; no request is larger than `context_window` tokens, of which `reply_tokens` are
    reserved for the reply; `context_window=None` sets no limit. `system` is the system prompt.
    """

    store: Store
    chat: Chat
    embed: Embedder
    _: KW_ONLY
    top_k: int = 2
    context_window: int | None = 2048
    reply_tokens: int = 256
    system: str = prompts.ANSWER_SYSTEM

    def query(
        self,
        question: str,
        *,
        vector: NDArray[np.float32] | None = None,
        where: Callable[[Chunk], bool] | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Answer `question` from the chunks nearest to it, among those for which `where` is true.

        `vector` is the embedding of the question, if it is there already; `tags` go into the log. Raises
        WindowTooSmall before anything is sent to the chat model, and ServiceError.
        """
        window = Window(self.chat.tokenizer, self.context_window)
        drafts: list[Draft] = []

        def build(context: Sequence[Excerpt]) -> list[Message]:
            if not drafts:
                return prompts.draft(question, context, self.system)
            return prompts.refine(question, drafts[-1].text, context, self.system)

        # 1. retrieve chunks
        if vector is None:
            vector = self.embed.embed([question])[0]
        hits = self.store.search(vector, self.top_k, where=where)[0]

        # 2. split their text; a refine request also holds the answer so far: it needs room for two replies
        empty_refine, reserved = prompts.refine(question, "", [], self.system), 2 * self.reply_tokens
        room = window.require(build([]), self.reply_tokens)
        room = min(room, max(window.room(empty_refine, reserved), SMALLEST_EXCERPT))
        parts = [(hit.chunk, text) for hit in hits for text in _unseen(hit.chunk, hits)]
        units = window.units([Excerpt(text, chunk.page) for chunk, text in parts], room - SMALLEST_EXCERPT // 2)

        # 3. show the model as much as fits, again and again until it has seen everything
        excess = 0  # tokens that an upper bound counts of the answer beyond what the service says it has
        while units or not drafts:
            count = window.take(units, build, self.reply_tokens - excess)
            if not drafts and count < len(units):
                window.require(empty_refine, reserved)  # before the draft is paid for
            if drafts and count == 0:  # the model wrote more than it was allowed to
                raise ServiceError("The answer leaves no room in the window to refine it; raise --context-window.")
            context = excerpts(units[:count])
            chunks = list(dict.fromkeys(parts[unit.passage][0].id for unit in units[:count]))
            units = units[count:]
            try:
                exchange = self.chat.complete(
                    build(context),
                    stage="refine" if drafts else "draft",
                    tags={**(tags or {}), "draft": len(drafts) + 1, "chunks": chunks},
                    max_tokens=self.reply_tokens,
                )
            except ServiceError as error:
                if drafts and error.code == EMPTY:  # a model with nothing to add may reply with nothing
                    continue
                raise
            text = exchange.text.strip()
            drafts.append(Draft(text or (drafts[-1].text if drafts else ""), tuple(context), exchange))
            written = exchange.usage.get("completion_tokens")
            if text and isinstance(written, int) and written and not window.tokenizer.exact:
                excess = max(0, window.tokenizer.count(text) - written)
        return Answer(question, drafts[-1].text, tuple(drafts), tuple(hits))


def _unseen(chunk: Chunk, hits: Sequence[Hit]) -> list[str]:
    """Return the parts of a chunk that no better-ranked hit holds already."""
    parts = [(chunk.start, chunk.end)]
    for hit in hits:
        if hit.chunk is chunk:
            break
        if hit.chunk.source == chunk.source:
            start, end = hit.chunk.start, hit.chunk.end
            cut = [((a, min(b, start)), (max(a, end), b)) for a, b in parts]
            parts = [part for pair in cut for part in pair if part[0] < part[1]]
    return [chunk.text[a - chunk.start : b - chunk.start] for a, b in parts]
