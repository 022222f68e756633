"""The passages that were given for questions, each once: a question names them by page and points here."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from minirag.chunker import Chunk
from minirag.report.layout import section
from minirag.report.markup import tag, text
from minirag.report.results import Results
from minirag.report.retrieval import given

SHORTEST = 200
"""Bytes of a passage that are shown however little room there is."""


def link(chunk: Chunk) -> str:
    """A passage by its page, pointing at its text."""
    return tag("a", text(f"page {chunk.page}"), href=f"#passage-{chunk.id}")


def passages(results: Results, room: int) -> str:
    """Every passage that was given for an eval question, in the order of the documents, in about `room` bytes.

    Where there are more, the long ones are cut to one length, and each says what is left out.
    """
    given_for: Counter[str] = Counter()
    chunks: dict[str, Chunk] = {}
    for question in results.questions:
        answer = given(results, question.id)
        for hit in answer.hits if answer else ():
            chunks[hit.chunk.id] = hit.chunk
            given_for[hit.chunk.id] += 1
    if not chunks:
        return ""
    most = max(SHORTEST, _most([_size(chunk.text) for chunk in chunks.values()], room))
    ordered = sorted(chunks.values(), key=lambda chunk: (chunk.source, chunk.start))
    return section("Passages", *(_passage(chunk, given_for[chunk.id], most) for chunk in ordered))


def _size(content: str) -> int:
    return len(text(content).encode())


def _most(sizes: Sequence[int], room: int) -> int:
    """What each may have of the room: what the short ones leave, the long ones share.

    >>> _most([10, 50, 90], 90), _most([10, 20], 90)
    (40, 20)
    """
    for number, size in enumerate(sorted(sizes)):
        most = room // (len(sizes) - number)
        if size > most:
            return most
        room -= size
    return max(sizes)


def _passage(chunk: Chunk, times: int, most: int) -> str:
    size = _size(chunk.text)
    kept = len(chunk.text) if size <= most else len(chunk.text) * most // size
    more = tag("p", text(f"… and {len(chunk.text) - kept:,} characters: chunks.jsonl, {chunk.id}"), class_="soft")
    asked = "1 question" if times == 1 else f"{times} questions"
    name = f"{Path(chunk.source).name}, page {chunk.page}, given for {asked}"
    quoted = tag("blockquote", text(chunk.text[:kept]), id=f"passage-{chunk.id}", dir="auto")
    return tag("details", tag("summary", text(name)), quoted, more if kept < len(chunk.text) else "")
