"""The questions of a run: written by a model from single chunks, or taken from a file.

Generated questions are spread evenly over the documents. Train and eval questions come from different blocks of
neighbouring pages, so that no page serves both.
"""

import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from minirag import prompts
from minirag.chunker import Chunk
from minirag.documents import decode_text
from minirag.errors import InputError, ServiceError, ServiceRefused
from minirag.models import Chat, Embedder, Store
from minirag.query import Window, excerpts
from minirag.retry import in_order
from minirag.text import counted, words

SPLITS = ("train", "eval")
TOKENS_PER_QUESTION = 64
MOST_PER_CALL = 8
"""Questions asked of one chunk: a page does not hold more, and the reply must fit the window."""
NEAR_DUPLICATE = 0.8
"""Share of common words (Jaccard) from which two questions count as the same."""
PAGE_GUESSED = "page guessed"
"""The flag of a question from a file: its page is that of the nearest chunk."""

PageKey = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Question:
    """A question of one split, and the chunk that it was written from or, for a question from a file, is nearest to."""

    id: str
    split: str
    text: str
    chunk_id: str
    page: int
    flags: tuple[str, ...] = ()


def doubts(question: Question) -> tuple[str, ...]:
    """Return the flags that speak against a question."""
    return tuple(flag for flag in question.flags if flag != PAGE_GUESSED)


def split_pages(pages: Sequence[PageKey], train: int, evaluation: int, seed: int = 0) -> dict[str, list[PageKey]]:
    """Divide pages between the splits in blocks of up to four neighbours, in proportion to the numbers of questions.

    >>> split_pages([("a.pdf", n) for n in range(1, 7)], 10, 10)
    {'train': [('a.pdf', 1), ('a.pdf', 3), ('a.pdf', 5)], 'eval': [('a.pdf', 2), ('a.pdf', 4), ('a.pdf', 6)]}
    """
    if not (train and evaluation):
        return {"train": list(pages) if train else [], "eval": list(pages) if evaluation else []}
    if len(pages) < 2:
        raise InputError(
            "The documents have only one page with text, but train and eval questions need different pages; "
            "add documents, or end the pages of a text with form feeds."
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


def make_questions(
    sources: Mapping[str, int | str],
    chunks: Sequence[Chunk],
    store: Store,
    embed: Embedder,
    chat: Chat,
    *,
    seed: int = 0,
    workers: int = 8,
    context_window: int | None = None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> list[Question]:
    """Return the questions of both splits, train first.

    `sources` has for each split the path of a question file, or a number of questions that `chat` writes from chunks of
    that split's pages. These are fewer where the documents hold no more different ones: none is near another, or from a
    page that a question in a file is about. Raises InputError if a split gets none, and ServiceError if the model
    cannot be reached.
    """
    # 1. Read the files; what their questions are about is guessed by the nearest chunk.
    files = {split: read_questions(Path(source)) for split, source in sources.items() if isinstance(source, str)}
    texts = [text for split in files for text in files[split]]
    nearest: dict[str, Chunk] = {}
    if texts:
        hits = store.search(embed.embed(texts, tags={"for": "questions"}), 1)
        nearest = {text: hit.chunk for text, [hit] in zip(texts, hits, strict=True)}

    # 2. Generate the others from the other pages.
    taken_pages = {(chunk.source, chunk.page) for chunk in nearest.values()}
    free = [chunk for chunk in chunks if (chunk.source, chunk.page) not in taken_pages]
    counts = {split: 0 if isinstance(source := sources.get(split, 0), str) else source for split in SPLITS}
    pages = list(dict.fromkeys((chunk.source, chunk.page) for chunk in free))
    split_of = split_pages(pages, counts["train"], counts["eval"], seed)
    asked = [frozenset(words(text)) for text in texts]
    window = Window(chat.tokenizer, context_window)

    def write(split: str) -> list[tuple[str, Chunk]]:
        own = set(split_of[split])
        candidates = [chunk for chunk in free if (chunk.source, chunk.page) in own]
        each = 2 if counts[split] <= len(candidates) else math.ceil(counts[split] / max(1, len(candidates))) + 1
        ask = partial(_ask, chat, window, split=split, count=min(MOST_PER_CALL, each))
        queue = _even_order(candidates, counts[split], seed)
        return _write(split, counts[split], queue, ask, asked, workers=workers, progress=progress)

    # with the Batch API, `in_order` asks for the questions of both splits before it waits for the first reply
    generated = dict(zip(SPLITS, in_order(write, SPLITS, 1), strict=True))
    pairs = {split: [(text, nearest[text]) for text in files.get(split, ())] or generated[split] for split in SPLITS}
    flags = {split: (PAGE_GUESSED,) if split in files else () for split in SPLITS}
    return [
        Question(f"{split[0]}{number:03d}", split, text, chunk.id, chunk.page, flags[split])
        for split in SPLITS
        for number, (text, chunk) in enumerate(pairs[split], 1)
    ]


def _write(
    split: str,
    count: int,
    queue: list[Chunk],
    ask: Callable[[Chunk], list[str] | Exception],
    asked: list[frozenset[str]],
    *,
    workers: int,
    progress: Callable[[int, int], None],
) -> list[tuple[str, Chunk]]:
    """Return `count` new questions with their chunks in the order of the document, or fewer if there are no more.

    The chunks in the queue are asked one after the other; `asked` has the words of all questions so far.
    """
    candidates = len(queue)
    written: list[tuple[int, Chunk, str]] = []  # each with its place among the questions of its chunk
    faults: list[str] = []
    while queue and (missing := count - sum(place == 0 for place, _, _ in written)):
        batch, queue = queue[:missing], queue[missing:]
        for chunk, texts in zip(batch, in_order(ask, batch, workers), strict=True):
            if isinstance(texts, Exception):
                faults.append(str(texts))
                continue
            place = 0
            for text in texts:
                if text.endswith(("?", "？", "؟")) and near_duplicate(words(text), asked) is None:
                    asked.append(frozenset(words(text)))
                    written.append((place, chunk, text))
                    place += 1
            progress(min(count, len(written)), count)
    if count and not written:
        why = f" ({len(faults)} requests gave none, the first because: {faults[0].rstrip('.')})" if faults else ""
        raise InputError(
            f"No {split} question could be written from the {counted(candidates, 'chunk')} on this split's pages{why}; "
            f"add documents, name another teacher, or a file with --{split}-questions."
        )
    # take the first question of each chunk, then the second of each, and so on
    chosen = sorted(written, key=lambda item: item[0])[:count]
    return [(text, chunk) for _, chunk, text in sorted(chosen, key=lambda item: (item[1].source, item[1].start))]


def _even_order(chunks: Sequence[Chunk], count: int, seed: int) -> list[Chunk]:
    """Return the longest chunk of `count` evenly spaced pages, then that of the other pages, then all other chunks."""
    by_page: dict[PageKey, list[Chunk]] = defaultdict(list)
    for chunk in chunks:
        by_page[chunk.source, chunk.page].append(chunk)
    longest = [max(group, key=lambda chunk: chunk.tokens) for group in by_page.values()]
    step = max(1.0, len(longest) / max(count, 1))
    first = [longest[int(i * step)] for i in range(min(count, len(longest)))]
    chosen, of_pages = set(first), set(longest)
    other_pages = [chunk for chunk in longest if chunk not in chosen]
    other_chunks = [chunk for chunk in chunks if chunk not in of_pages]
    dice = random.Random(seed)
    dice.shuffle(other_pages)
    dice.shuffle(other_chunks)
    return first + other_pages + other_chunks


def _ask(chat: Chat, window: Window, chunk: Chunk, split: str, count: int) -> list[str] | Exception:
    """Return the questions that the model writes from a chunk, or why it writes none, now and on a resume."""

    def build(context: Sequence[prompts.Excerpt]) -> list[prompts.Message]:
        return prompts.questions(context[0] if context else prompts.Excerpt(""), count)

    reply, schema = TOKENS_PER_QUESTION * (count + 1), prompts.QUESTIONS_SCHEMA
    room = window.require(build([]), reply, schema)
    units = window.units([prompts.Excerpt(chunk.text, chunk.page)], room - 24)
    messages = build(excerpts(units[: window.take(units, build, reply, schema)]))
    tags = {"split": split, "chunk": chunk.id}
    try:
        exchange = chat.complete(messages, stage="question", tags=tags, max_tokens=reply, schema=schema)
        texts = prompts.list_at(prompts.json_object(exchange.text), "questions")
    except (ValueError, ServiceError) as error:
        if isinstance(error, ServiceRefused):
            raise
        if isinstance(error, ServiceError) and error.transient and error.status != 500:
            raise  # it may pass; a 500 that stays is one chunk's, or the fifth in a row ends the run
        return error  # another chunk is asked instead
    return [" ".join(text.split()) for text in texts if isinstance(text, str)]


def near_duplicate(text_words: Iterable[str], others: Iterable[Iterable[str]]) -> int | None:
    """Return the position of the first of `others` that has nearly the same words (Jaccard); None if none has.

    >>> near_duplicate(["a", "b", "c", "d", "e"], [["a", "f"], ["a", "b", "c", "d"]])
    1
    """
    own = set(text_words)
    for place, other in enumerate(others):
        either = own.union(other)
        if not either or len(own.intersection(other)) / len(either) >= NEAR_DUPLICATE:
            return place
    return None


def read_questions(path: Path) -> list[str]:
    """Return the questions of a text file, one a line; blank lines are skipped. Raises InputError."""
    try:
        lines = decode_text(str(path), path.read_bytes()).splitlines()
    except OSError as error:
        raise InputError(f"Cannot read the question file {path}: {error.strerror}.") from None
    questions = [text for line in lines if (text := " ".join(line.replace("\0", " ").split()))]
    if not questions:
        raise InputError(f"The question file {path} holds no question; write one a line.")
    return questions
