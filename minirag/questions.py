"""Row 5. The questions: written by a model from single chunks, or taken from a file.

Generated questions are spread evenly over the document. Train and eval questions come from different blocks of
neighbouring pages, so that no page serves both.
"""

import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from minirag import prompts
from minirag.chunker import Chunk
from minirag.curation.similar import Similar
from minirag.errors import InputError, ServiceError, ServiceRefused
from minirag.models import Chat
from minirag.prompts import Message
from minirag.query import Passage, Window, excerpts
from minirag.replies import NotJSON, json_value, listed
from minirag.retry import in_order
from minirag.text import words
from minirag.vector_store import Store

SPLITS = ("train", "eval")
TOKENS_PER_QUESTION = 64
MOST_PER_CALL = 8
"""Questions asked of one chunk: more than that a page does not give, and their replies fill the window."""
NEAR_DUPLICATE = 0.8
"""Share of words in common (Jaccard) from which two questions count as one."""
PAGE_GUESSED = "page guessed"
"""The flag of a question that did not come from a page: the nearest one stands for it."""
ACCEPTED = "accepted in review"
"""The flag of a question that a person accepted; it outweighs all others."""

PageKey = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Question:
    """A question, the split it belongs to, and the chunk that it was written from (or is guessed to ask about)."""

    id: str
    split: str
    text: str
    chunk_id: str | None = None
    page: int | None = None
    flags: tuple[str, ...] = ()


def doubts(question: Question) -> tuple[str, ...]:
    """Return the flags that speak against a question; none if a person accepted it.

    >>> doubts(Question("e001", "eval", "Why?", flags=("page guessed", "not stand-alone: “it”")))
    ('not stand-alone: “it”',)
    """
    return () if ACCEPTED in question.flags else tuple(flag for flag in question.flags if flag != PAGE_GUESSED)


def split_pages(pages: Sequence[PageKey], train: int, evaluation: int, seed: int = 0) -> dict[str, list[PageKey]]:
    """Divide pages between the splits in blocks of up to four neighbours, in proportion to the questions asked for.

    >>> split_pages([("a.pdf", n) for n in range(1, 7)], 10, 10)
    {'train': [('a.pdf', 1), ('a.pdf', 3), ('a.pdf', 5)], 'eval': [('a.pdf', 2), ('a.pdf', 4), ('a.pdf', 6)]}
    """
    if not (train and evaluation):
        return {"train": list(pages) if train else [], "eval": list(pages) if evaluation else []}
    if len(pages) < 2:
        raise InputError(
            "The documents have only one page with text, but train and eval questions need different pages; "
            "add documents, end the pages of a text with form feeds, or give a file of questions."
        )
    size = min(4, max(1, len(pages) // 20))
    blocks = [pages[i : i + size] for i in range(0, len(pages), size)]
    share = min(max(evaluation / (train + evaluation), 1 / len(blocks)), 1 - 1 / len(blocks))
    shift = seed % len(blocks)
    split: dict[str, list[PageKey]] = {"train": [], "eval": []}
    for number, block in enumerate(blocks, shift):
        evaluated = math.floor((number + 1) * share + 1e-9) > math.floor(number * share + 1e-9)
        split["eval" if evaluated else "train"].extend(block)
    return split


def generate(
    chunks: Sequence[Chunk],
    chat: Chat,
    counts: Mapping[str, int],
    *,
    seed: int = 0,
    workers: int = 8,
    context_window: int | None = None,
    taken: Iterable[str] = (),
    progress: Callable[[int, int], None] = lambda *_: None,
) -> list[Question]:
    """Exactly `counts[split]` questions for each split, written by `chat` from chunks of that split's pages.

    `taken` are questions that exist already: nothing near them is written again. Raises InputError where the
    documents do not hold enough different questions, and ServiceError where the model cannot be reached.
    """
    pages = list(dict.fromkeys((chunk.source, chunk.page) for chunk in chunks if chunk.text.strip()))
    split = split_pages(pages, counts.get("train", 0), counts.get("eval", 0), seed)
    known = Similar(NEAR_DUPLICATE, map(words, taken))
    writer = _Writer(chat, Window(chat.tokenizer, context_window), workers, known, progress, sum(counts.values()))

    def written(name: str) -> list[Question]:
        own, count = set(split[name]), counts.get(name, 0)
        candidates = [chunk for chunk in chunks if (chunk.source, chunk.page) in own and chunk.text.strip()]
        return writer.write(name, count, _even_order(candidates, count, seed))

    return [question for questions in in_order(written, SPLITS, 1) for question in questions]


def _even_order(chunks: Sequence[Chunk], count: int, seed: int) -> list[Chunk]:
    """The chunks, `count` evenly spaced pages first (their longest chunk each), then all others in random order."""
    by_page: dict[PageKey, list[Chunk]] = defaultdict(list)
    for chunk in chunks:
        by_page[chunk.source, chunk.page].append(chunk)
    longest = [max(group, key=lambda chunk: chunk.tokens) for group in by_page.values()]
    step = max(1.0, len(longest) / max(count, 1))
    first = [longest[int(i * step)] for i in range(min(count, len(longest)))]
    chosen = set(map(id, first))
    pages_left = [chunk for chunk in longest if id(chunk) not in chosen]
    chosen.update(map(id, pages_left))
    others = [chunk for chunk in chunks if id(chunk) not in chosen]
    dice = random.Random(seed)
    dice.shuffle(pages_left)
    dice.shuffle(others)
    return first + pages_left + others


@dataclass
class _Writer:
    """Asks for questions chunk by chunk and keeps those that are new."""

    chat: Chat
    window: Window
    workers: int
    known: Similar
    progress: Callable[[int, int], None]
    total: int
    written: int = 0
    faults: list[str] = field(default_factory=list)

    def write(self, split: str, count: int, chunks: Sequence[Chunk]) -> list[Question]:
        """`count` questions for `split`: one of each chunk while chunks last, then a second of each, and so on."""
        accepted: list[tuple[Chunk, str]] = []
        spare: list[tuple[int, Chunk, str]] = []
        each = min(MOST_PER_CALL, 2 if count <= len(chunks) else math.ceil(count / max(1, len(chunks))) + 1)
        queue = list(chunks)
        while len(accepted) < count and queue:
            batch, queue = queue[: count - len(accepted)], queue[count - len(accepted) :]
            for chunk, texts in zip(
                batch, in_order(lambda c: self._ask(c, each, split), batch, self.workers), strict=True
            ):
                new = [(chunk, text) for text in texts if self._is_new(text)]
                accepted += new[:1]
                spare += [(rank, *pair) for rank, pair in enumerate(new[1:])]
                self.progress(self.written + len(accepted), self.total)
        spare.sort(key=lambda item: item[0])  # as many of one chunk as of the next
        accepted += [(chunk, text) for _, chunk, text in spare[: count - len(accepted)]]
        if len(accepted) < count:
            raise InputError(
                f"Only {len(accepted)} different {split} questions could be written where {count} were asked for "
                f"({len(chunks)} chunks on this split's pages); "
                f"ask for fewer with --{split}-questions, or add documents{self._why()}."
            )
        self.written += count
        accepted.sort(key=lambda pair: (pair[0].source, pair[0].start))
        return [
            Question(f"{split[0]}{number:03d}", split, text, chunk.id, chunk.page)
            for number, (chunk, text) in enumerate(accepted, 1)
        ]

    def _ask(self, chunk: Chunk, count: int, split: str) -> list[str]:
        reply = TOKENS_PER_QUESTION * count + TOKENS_PER_QUESTION

        def build(given: Sequence[prompts.Excerpt]) -> list[Message]:
            return prompts.questions(given[0] if given else prompts.Excerpt(""), count)

        room = self.window.require(build([]), reply, prompts.QUESTIONS_SCHEMA)
        units = self.window.units([Passage(chunk.text, chunk.page)], room - 24)
        fitting = self.window.take(units, build, reply, prompts.QUESTIONS_SCHEMA)
        try:
            exchange = self.chat.complete(
                build(excerpts(units[:fitting])),
                stage="question",
                tags={"split": split, "chunk": chunk.id},
                max_tokens=reply,
                schema=prompts.QUESTIONS_SCHEMA,
            )
            texts = listed(json_value(exchange.text), "questions")
        except (NotJSON, ServiceError) as error:
            if isinstance(error, ServiceRefused) or getattr(error, "transient", False):
                raise
            self.faults.append(str(error))
            return []  # this chunk gives none, now and on a resume: another one is asked instead
        return [" ".join(text.split()) for text in texts if isinstance(text, str)]

    def _why(self) -> str:
        return (
            f" ({len(self.faults)} requests gave none, the first because: {self.faults[0].rstrip('.')})"
            if self.faults
            else ""
        )

    def _is_new(self, text: str) -> bool:
        """Whether `text` is a question that nobody has asked yet; if so it is known from now on."""
        if not text.endswith(("?", "？", "؟")) or self.known.first(words(text)) is not None:
            return False
        self.known.add(words(text))
        return True


def read_questions(path: Path, split: str) -> list[Question]:
    """The questions of a text file, one a line, as they stand; blank lines are skipped. Raises InputError."""
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise InputError(f"The question file {path} is no ordinary file; save the questions in one.")
        lines = path.read_bytes().decode("utf-8-sig").splitlines()
    except FileNotFoundError:
        raise InputError(f"There is no question file {path}.") from None
    except (OSError, ValueError) as error:
        raise InputError(
            f"Cannot read the question file {path}: {getattr(error, 'strerror', 'it is no UTF-8 text')}."
        ) from None
    texts = [" ".join(line.replace("\0", " ").split()) for line in lines]
    texts = [text for text in texts if text]
    if not texts:
        raise InputError(f"The question file {path} holds no question; write one a line.")
    return [Question(f"{split[0]}{number:03d}", split, text) for number, text in enumerate(texts, 1)]


def guess_pages(questions: Sequence[Question], store: Store, vectors: NDArray[np.float32]) -> list[Question]:
    """The questions with the nearest chunk as their likely source, flagged `page guessed`.

    `vectors` has one row a question. Questions that know their chunk come back as they are.
    """
    nearest = store.search(vectors, 1) if len(questions) else []
    return [
        question
        if question.chunk_id is not None
        else replace(
            question, chunk_id=hits[0].chunk.id, page=hits[0].chunk.page, flags=(*question.flags, PAGE_GUESSED)
        )
        for question, hits in zip(questions, nearest, strict=True)
    ]
