"""Row 5. Question → answer: retrieve, fill the window, draft, then refine with what did not fit.

The first request holds as much retrieved text as the window allows; what is left goes into refine requests,
each with the answer so far, until all of it has been read. Nothing is given twice, and no request is larger
than the window, its reserved reply included.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minirag import prompts
from minirag.chunker import Chunk
from minirag.errors import ServiceError
from minirag.message_log import Exchange
from minirag.models import Chat, Embedder
from minirag.prompts import Message
from minirag.vector_store import Hit, Store
from minirag.window import SMALLEST_EXCERPT, Passage, Unit, Window, excerpts

REPLY_TOKENS = 256
BYTES_PER_TOKEN = 6
"""Of text that a model writes, at most: unknown vocabularies are counted in bytes."""


@dataclass(frozen=True, slots=True)
class Draft:
    """One reply in the refine loop: its text, the excerpts it was given, and the exchange behind it."""

    text: str
    excerpts: tuple[prompts.Excerpt, ...]
    exchange: Exchange


@dataclass(frozen=True, slots=True)
class Answer:
    """The final text for a question, with its ordered drafts and the chunks that were retrieved for it."""

    question: str
    text: str
    drafts: tuple[Draft, ...]
    hits: tuple[Hit, ...]

    @property
    def contexts(self) -> list[str]:
        """The retrieved text, best chunk first."""
        return [hit.chunk.text for hit in self.hits]

    @property
    def cut_off(self) -> bool:
        """Whether the text ends where the reply's limit was, and not where the model would have ended it."""
        return self.drafts[-1].exchange.finish_reason == "length"


class QueryEngine:
    """Answers questions from a store with a chat model.

    `top_k` chunks are retrieved; `context_window` is the largest request in tokens, of which `reply_tokens` are
    reserved for the reply (None: no cap); `system` is what the model is told of its task. Raises WindowTooSmall before
    anything is sent.
    """

    def __init__(
        self,
        store: Store,
        chat: Chat,
        embed: Embedder,
        *,
        top_k: int = 2,
        context_window: int | None = 2048,
        reply_tokens: int = REPLY_TOKENS,
        system: str = prompts.ANSWER_SYSTEM,
    ) -> None:
        self.store = store
        self.chat = chat
        self.embed = embed
        self.top_k = top_k
        self.reply_tokens = reply_tokens
        self.system = system
        self.window = Window(chat.tokenizer, context_window)

    def query(
        self,
        question: str,
        *,
        vector: NDArray[np.float32] | None = None,
        where: Callable[[Chunk], bool] | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Answer `question` from the chunks nearest to it, among those that `where` allows.

        `vector` is the question's embedding where the caller has it already; `tags` go into the log.
        """
        if vector is None:
            vector = self.embed.embed([question])[0]
        hits = self.store.search(vector, self.top_k, where=where)[0]
        drafts = self.read(question, hits, tags or {})
        return Answer(question, drafts[-1].text, tuple(drafts), tuple(hits))

    def read(self, question: str, hits: Sequence[Hit], tags: Mapping[str, Any]) -> list[Draft]:
        """Draft and refine over `hits`; the last draft's text is the answer."""
        units = self._units(question, hits)
        first = self.window.take(units, lambda given: prompts.draft(question, given, self.system), self.reply_tokens)
        if first < len(units):
            # a refine request holds the answer as well: it must fit at its longest before the draft is paid for
            self.window.require(prompts.refine(question, "", [], self.system), self._reply_and_answer)
        drafts = [
            self._ask("draft", prompts.draft(question, excerpts(units[:first]), self.system), units[:first], tags, 1)
        ]
        rest = units[first:]
        while rest:
            answer = drafts[-1].text

            def build(given: Sequence[prompts.Excerpt], answer: str = answer) -> list[Message]:
                return prompts.refine(question, answer, given, self.system)

            count = self.window.take(rest, build, self.reply_tokens)
            if count == 0:  # only a model that writes more than it was allowed to gets here: this answer fails alone
                raise ServiceError(
                    "The answer so far leaves no room in the window to refine it; raise --context-window."
                )
            draft = self._ask("refine", build(excerpts(rest[:count])), rest[:count], tags, len(drafts) + 1)
            # a model that has nothing to add may reply with nothing: the answer stands
            drafts.append(draft if draft.text else Draft(answer, draft.excerpts, draft.exchange))
            rest = rest[count:]
        return drafts

    def _ask(
        self, stage: str, messages: list[Message], given: Sequence[Unit], tags: Mapping[str, Any], number: int
    ) -> Draft:
        chunks = list(dict.fromkeys(unit.source for unit in given))
        exchange = self.chat.complete(
            messages, stage=stage, tags={**tags, "draft": number, "chunks": chunks}, max_tokens=self.reply_tokens
        )
        return Draft(exchange.text.strip(), tuple(excerpts(given)), exchange)

    def _units(self, question: str, hits: Sequence[Hit]) -> list[Unit]:
        """The retrieved text in order of rank, in units that fit any request; overlaps between chunks only once."""
        room = self.window.require(prompts.draft(question, [], self.system), self.reply_tokens)
        refining = self.window.room(prompts.refine(question, "", [], self.system), self._reply_and_answer)
        passages = [Passage(part, hit.chunk.page, hit.chunk.id) for hit in hits for part in _unseen(hit.chunk, hits)]
        return self.window.units(passages, min(room, max(refining, SMALLEST_EXCERPT)) - SMALLEST_EXCERPT // 2)

    @property
    def _reply_and_answer(self) -> int:
        """Tokens of a refine request's reply and of the longest answer it may hold, as this window counts them."""
        longest = self.reply_tokens if self.window.tokenizer.exact else BYTES_PER_TOKEN * self.reply_tokens
        return self.reply_tokens + longest


def _unseen(chunk: Chunk, hits: Sequence[Hit]) -> list[str]:
    """The parts of a chunk that no better-ranked hit holds already."""
    parts = [(chunk.start, chunk.end)]
    for hit in hits:
        if hit.chunk is chunk:
            break
        if hit.chunk.source == chunk.source:
            start, end = hit.chunk.start, hit.chunk.end
            cut = [((a, min(b, start)), (max(a, end), b)) for a, b in parts]
            parts = [part for pair in cut for part in pair if part[0] < part[1]]
    return [chunk.text[a - chunk.start : b - chunk.start] for a, b in parts]
