"""The passages that were given for questions, each once: a question names them by page and points here."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from minirag.chunker import Chunk
from minirag.markup import tag, text
from minirag.report.layout import section
from minirag.report.results import Results
from minirag.report.retrieval import given

CHARACTERS = 300_000
"""Of all passages together: beyond that each is cut to its share, so that the report stays small enough to send."""


def link(chunk: Chunk) -> str:
    """A passage by its page, pointing at its text."""
    return tag("a", text(f"page {chunk.page}"), href=f"#passage-{chunk.id}")


def passages(results: Results) -> str:
    """Every passage that was given for an eval question, in the order of the documents."""
    given_for: Counter[str] = Counter()
    chunks: dict[str, Chunk] = {}
    for question in results.questions:
        answer = given(results, question.id)
        for hit in answer.hits if answer else ():
            chunks[hit.chunk.id] = hit.chunk
            given_for[hit.chunk.id] += 1
    if not chunks:
        return ""
    most = _most({id: len(chunk.text) for id, chunk in chunks.items()})
    ordered = sorted(chunks.values(), key=lambda chunk: (chunk.source, chunk.start))
    return section("Passages", *(_passage(chunk, given_for[chunk.id], most) for chunk in ordered))


def _most(lengths: Mapping[str, int]) -> int:
    """Characters that each may have: what the short ones leave, the long ones share."""
    left, most = CHARACTERS, CHARACTERS
    for rest, length in zip(range(len(lengths), 0, -1), sorted(lengths.values()), strict=True):
        most = left // rest
        if length > most:
            return most
        left -= length
    return max(lengths.values())


def _passage(chunk: Chunk, times: int, most: int) -> str:
    left_out = len(chunk.text) - most
    more = tag("p", text(f"… and {left_out:,} characters: chunks.jsonl, {chunk.id}"), class_="soft")
    asked = "1 question" if times == 1 else f"{times} questions"
    name = f"{Path(chunk.source).name}, page {chunk.page}, given for {asked}"
    quoted = tag("blockquote", text(chunk.text[:most]), id=f"passage-{chunk.id}", dir="auto")
    return tag("details", tag("summary", text(name)), quoted, more if left_out > 0 else "")
