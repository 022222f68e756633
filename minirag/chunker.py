"""Pages and their chunks: slices of at most `size` tokens, counted exactly, cut where a reader would cut.

A chunk ends with a paragraph if one ends in the last quarter of its tokens, else with a sentence. Only a sentence that
is larger than a chunk is cut between words, and only a word that is, between tokens. A chunk never crosses a page
border, and the chunks of a page cover its text. Neighbours share whole sentences, as many as fit the overlap.

>>> text = "The city runs the trams. The state runs the trains. " * 2 + "Nobody runs the boats."
>>> for c in chunk([Page(7, "a.txt", text)], size=16, overlap=7):
...     print(c.id, c.start, c.end, c.tokens)
p7-e5b95870 0 52 14
p7-d17229ad 25 77 14
p7-afaf3782 77 126 11
"""

import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import accumulate, pairwise

from minirag.errors import InputError
from minirag.text import encoding, sentence_spans

TOKENIZER = encoding("o200k_base")
MIN_SIZE = 16
LONGEST = 32
"""A chunk has at most this many characters per token of its size, so that counting takes a bounded time."""

# The vocabulary splits every text at a joint, whatever stands further left or right, so the tokens of the two sides
# add up: before white space other than a line end, between a line end and text, between a letter or digit and a mark.
# ("/" may belong to the line end before it, and "'" to the letter.)
_JOINT = re.compile(
    r"(?<=\S)(?=[^\S\r\n\x1c-\x1f])|(?<=\n)(?=[^\s/])|(?<=[A-Za-z0-9ぁ-ゖァ-ヺ一-龥])(?=[!-&(-/:-@[-`{-~。！？，、；：])"
)
_BLANK_LINE = re.compile(r"\n\s*\n\s*\Z")
_count_word = lru_cache(maxsize=4096)(TOKENIZER.count)


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its number in its source (from 1), the source as it was given, its cleaned text.

    `error` says why it has no text if it could not be read.
    """

    number: int
    source: str
    text: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A contiguous slice of one source's text: `text == source_text[start:end]`, in characters, all on one page.

    `tokens` is the exact count of `text`. `id` is the same in every run as long as source, place and text are.
    """

    id: str
    source: str
    page: int
    start: int
    end: int
    tokens: int
    text: str


def chunk(
    pages: Iterable[Page], *, size: int = 1024, overlap: int = 128, executor: Executor | None = None
) -> list[Chunk]:
    """Cut `pages` into chunks of at most `size` tokens of o200k_base, neighbours sharing at most `overlap` of them.

    Offsets count in the source's text, which is the texts of its pages in order with nothing between them.
    Blank pages give no chunk. The `map` of an `executor` of `concurrent.futures` cuts the pages, if one is passed.

    Raises InputError for a `size` below 16, or an `overlap` above a half of it.
    """
    if size < MIN_SIZE:
        raise InputError(f"The chunk size of {size} tokens is too small: take {MIN_SIZE} or more.")
    if not 0 <= overlap <= size // 2:
        raise InputError(f"A chunk overlap of {overlap} tokens does not suit a size of {size}: take 0 to {size // 2}.")
    pages = list(pages)
    cut = partial(_cut, size=size, overlap=overlap)
    spans_by_page = (executor.map if executor else map)(cut, [page.text for page in pages])
    chunks: list[Chunk] = []
    ids: set[str] = set()
    offsets: dict[str, int] = {}
    for page, spans in zip(pages, spans_by_page, strict=True):
        offset = offsets.get(page.source, 0)
        offsets[page.source] = offset + len(page.text)
        for start, end, tokens in spans:
            text = page.text[start:end]
            if text.isspace():  # a blank chunk would answer nothing, and services refuse to embed it
                continue
            key = f"{page.source}\0{offset + start}\0{text}".encode("utf-8", "surrogatepass")
            digest, digits = hashlib.sha256(key).hexdigest(), 8
            while (name := f"p{page.number}-{digest[:digits]}") in ids:
                digits += 1
            ids.add(name)
            chunks.append(Chunk(name, page.source, page.number, offset + start, offset + end, tokens, text))
    return chunks


def _cut(text: str, size: int, overlap: int) -> list[tuple[int, int, int]]:
    """Return the (start, end, tokens) of the chunks of a page's text."""
    borders = [end for _, end in sentence_spans(text)]
    counter = _Counter(text, borders)
    count = counter.count
    spans: list[tuple[int, int, int]] = []
    start = end = 0
    while end < len(text):
        after = bisect_right(borders, end)  # the place of the next border in `borders`

        # Start with whole sentences of the chunk before, as many as the overlap holds and leave room for the next one.
        shared = borders[bisect_right(borders, start) : after]
        start = end
        for border in reversed(shared[:-1]) if end in shared else ():
            if count(border, end) > overlap:
                break
            if count(border, borders[after]) <= size:
                start = border

        # End with the last sentence that fits, or with a paragraph that ends in the last quarter before that.
        reach = bisect_right(borders, start + LONGEST * size)
        first_too_far = bisect_right(borders, size, after, max(after, reach), key=partial(count, start))
        if first_too_far == after:  # not even one sentence fits: cut between words, or between tokens of a long word
            end = counter.token_border(start, size) or start + TOKENIZER.prefix(text[start:], size)
            end = min(end, borders[after])
            words = text[start:end].rsplit(None, 1)
            if len(words) == 2 and not text[end - 1].isspace() and not text[end : end + 1].isspace():
                end -= len(words[1])
            while count(start, end) > size:  # a space that now ends the text may be a token more
                end -= 1
        else:
            end = last = borders[first_too_far - 1]
            if last < len(text):
                fitting = reversed(borders[after:first_too_far])
                paragraph = next((b for b in fitting if _BLANK_LINE.search(text, max(0, b - 8), b)), last)
                if count(paragraph, last) <= size // 4:
                    end = paragraph
        spans.append((start, end, count(start, end)))
    return spans


class _Counter:
    """Counts the tokens of slices of a text exactly, encoding no more of a slice than its ends.

    The text is cut at a joint near each sentence border, and each piece is encoded once: `before[i]` is the number of
    tokens before `cuts[i]`.
    """

    def __init__(self, text: str, borders: Sequence[int]) -> None:
        self.text = text
        places = [*borders, *range(4000, len(text), 4000)]  # also in sentences without an end, such as tables
        joints = [_JOINT.search(text, place - 1, place + 200) for place in places]
        self.cuts = sorted({0, *[joint.start() for joint in joints if joint], len(text)})
        pieces = [text[start:end] for start, end in pairwise(self.cuts)]
        self.before = [0, *accumulate(map(len, map(TOKENIZER.encode, pieces)))]
        self.heads: dict[int, tuple[int, int]] = {}
        self.ends: dict[int, tuple[int, int]] = {}

    def count(self, start: int, end: int) -> int:
        """Return the tokens of `text[start:end]`: those between two cuts, corrected at both ends."""
        if start not in self.heads:
            self.heads[start] = self._head(start)
        joint, before = self.heads[start]
        if end not in self.ends:
            last = bisect_right(self.cuts, end) - 1
            if joint > self.cuts[last]:  # a long word: what lies before it is not encoded for it
                return TOKENIZER.count(self.text[start:end])
            tail = self.text[self.cuts[last] : end]  # mostly the space behind a sentence
            self.ends[end] = self.cuts[last], self.before[last] + _count_word(tail)
        cut, until = self.ends[end]
        return TOKENIZER.count(self.text[start:end]) if joint > cut else until - before

    def _head(self, start: int) -> tuple[int, int]:
        """Return the first joint behind `start`, and the tokens before `start` as counted from that joint back."""
        joint = _JOINT.search(self.text, start + 1, start + 4000)
        if joint is None:
            return len(self.text) + 1, 0
        place = bisect_right(self.cuts, start) - 1
        before, word = self.text[self.cuts[place] : joint.start()], self.text[start : joint.start()]
        own = _count_word(before) - _count_word(word)
        return joint.start(), self.before[place] + own

    def token_border(self, start: int, tokens: int) -> int | None:
        """Return where so many tokens from `start` end if a token of the page ends there too, else None."""
        # in a run such as "xxxx" several ends have as many tokens: ids of earlier runs depend on the choice of this one
        cut = self.cuts[bisect_right(self.cuts, start) - 1]
        joint = _JOINT.search(self.text, start + 1, start + 4000)
        if joint is None or start - cut > 5000:  # a very long word
            return None
        before = self.count(cut, joint.start()) - self.count(start, joint.start())
        ends = (cut + TOKENIZER.prefix(self.text[cut:], before + n) for n in (tokens, tokens - 1))
        return next((end for end in ends if self.count(start, end) == tokens), None)
