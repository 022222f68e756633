"""Row 3. Pages become chunks: slices of at most `size` tokens, counted exactly, cut where a reader would cut.

A cut falls on the end of a paragraph if one lies in the last quarter of the room, else of a sentence; only a
sentence that is larger than a chunk is cut between words, and a word that is, between tokens. A chunk never crosses
a page border, so its page is certain, and the chunks of a page cover all of it but white space larger than a chunk.
Neighbours share whole sentences, as many as `overlap` tokens hold; where no whole sentence fits they share nothing.

>>> from minirag.documents import Page
>>> text = "The city runs the trams. The state runs the trains. " * 2 + "Nobody runs the boats."
>>> for c in chunk([Page(7, "a.txt", text)], size=16, overlap=7):
...     print(c.id, c.start, c.end, c.tokens)
p7-e5b95870 0 52 14
p7-d17229ad 25 77 14
p7-afaf3782 77 126 11
"""

import hashlib
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, fields
from functools import partial
from itertools import chain, islice
from operator import attrgetter
from typing import Any

from minirag.documents import Page
from minirag.errors import InputError
from minirag.sentences import sentence_spans
from minirag.spread import IN_FLIGHT, spread
from minirag.text import Tokenizer, encoding

MIN_SIZE = 16
PAGES_PER_PART = 32

Span = tuple[int, int, int]
"""Start, end and tokens of a chunk in its page's text."""

# The vocabularies' patterns split a text here whatever stands further left or right: before a space that follows a
# word, between a line end and what follows it, before a CJK mark that follows a CJK letter, and, for text without any
# of these, before a digit or a mark that follows a Latin letter. ("/" may stay with the line end before it, and "'"
# with the letter.) So the counts of the two sides add up, and no text is encoded twice.
_JOINT = re.compile(
    r"(?<=\S)(?= )|(?<=\n)(?=[^\s/])|(?<=[ぁ-ゖァ-ヺ一-龥])(?=[。！？，、；：])|(?<=[A-Za-z])(?=[!-&(-@[-`{-~])"
)
_LAST_JOINT = re.compile(rf"(?s:.*)(?:{_JOINT.pattern})")
_UNBROKEN = 100
"""Characters after which a text is taken to have no joint."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A contiguous slice of one source's text: `text == source_text[start:end]`, in characters, all on one page.

    `tokens` is the exact count of `text` alone. `id` names page and content: the same text at the same place of
    the same source has the same id in every run.
    """

    id: str
    source: str
    page: int
    start: int
    end: int
    tokens: int
    text: str

    def to_json(self) -> dict[str, Any]:
        """The fields in order, as one line of `chunks.jsonl` holds them."""
        return dict(zip(_TYPES, _FIELDS(self), strict=True))

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> "Chunk":
        """The chunk that `to_json` gave. Raises TypeError or ValueError for anything else."""
        found = cls(**line)
        if [type(line[name]) for name in _TYPES] != list(_TYPES.values()):
            raise ValueError(f"the fields of a chunk have other types: {line!r:.80}")
        return found


_TYPES = {field.name: field.type for field in fields(Chunk)}
_FIELDS = attrgetter(*_TYPES)


def chunk(
    pages: Iterable[Page],
    *,
    size: int = 1024,
    overlap: int = 128,
    tokenizer: str = "o200k_base",
    executor: Executor | None = None,
    in_flight: int = IN_FLIGHT,
) -> list[Chunk]:
    """Cut `pages` into chunks of at most `size` tokens, neighbours sharing at most `overlap` of them.

    Offsets count in the source's text, which is the texts of its pages in order with nothing between them.
    Blank pages give no chunk. Each text is encoded about once, so this takes hardly longer than counting.

    With an `executor` (any of `concurrent.futures`) its workers, where minirag must be installed, cut 32 pages at a
    time, at most `in_flight` such parts at once; the chunks are the same.

    Raises InputError for a `size` below 16, an `overlap` above a half of it, or an unknown `tokenizer`; Unfinished if
    the executor fails.
    """
    if size < MIN_SIZE:
        raise InputError(f"The chunk size of {size} tokens is too small: take {MIN_SIZE} or more.")
    if not 0 <= overlap <= size // 2:
        raise InputError(f"A chunk overlap of {overlap} tokens does not suit a size of {size}: take 0 to {size // 2}.")
    if in_flight < 1:
        raise InputError(f"in_flight is {in_flight}; give at least 1.")
    encoding(tokenizer)  # is known
    cut = partial(_cut, size=size, overlap=overlap, tokenizer=tokenizer)
    parts = _parts(pages)
    done = map(cut, parts) if executor is None else spread(executor, cut, parts, in_flight)
    chunks: list[Chunk] = []
    ids: set[str] = set()
    offsets: dict[str, int] = {}
    for page, spans in chain.from_iterable(done):
        offset = offsets.get(page.source, 0)
        offsets[page.source] = offset + len(page.text)
        for start, end, tokens in spans:
            text = page.text[start:end]
            if not text.isspace():  # a blank chunk would answer nothing, and services refuse to embed it
                name = _name(page, offset + start, text, ids)
                chunks.append(Chunk(name, page.source, page.number, offset + start, offset + end, tokens, text))
    return chunks


def _parts(pages: Iterable[Page]) -> Iterator[list[Page]]:
    """The pages, as many at a time as are worth the way to another process."""
    rest = iter(pages)
    while part := list(islice(rest, PAGES_PER_PART)):
        yield part


def _cut(pages: Sequence[Page], size: int, overlap: int, tokenizer: str) -> list[tuple[Page, list[Span]]]:
    """Each page with the spans of its chunks."""
    counter = encoding(tokenizer)
    return [(page, list(_spans(page.text, counter, size, overlap))) for page in pages]


def _name(page: Page, start: int, text: str, taken: set[str]) -> str:
    """Eight digits of a hash tell the chunks of a page apart; more of them in the rare case that they do not."""
    digest = hashlib.sha256(f"{page.source}\0{start}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()
    digits = 8
    while (name := f"p{page.number}-{digest[:digits]}") in taken:
        digits += 1
    taken.add(name)
    return name


class _Counted:
    """A text that is encoded once, whose slices are counted exactly without encoding more than their edges again.

    Between two joints a slice has the tokens that the whole text has there; what it has before its first joint and
    behind its last is counted alone. `ends` are the whole text's tokens as `Tokenizer.ends` gives them. They are
    only nearly right where two surrogates make one character in it: then nothing adds up, and slices are encoded.
    """

    def __init__(self, text: str, tokenizer: Tokenizer) -> None:
        self.text = text
        self.tokenizer = tokenizer
        self.ends = tokenizer.ends(text).data  # a view, whose items are got much sooner than an array's
        self.adds_up = len(self.ends) > 0 and self.ends[-1] == len(text)
        self._head: tuple[int, int | None, int] = (-1, None, 0)

    def head(self, start: int) -> tuple[int | None, int]:
        """The first joint after `start` if one is near, and the tokens up to it. The last answer is kept."""
        if self._head[0] != start:
            first = self._joint_after(start)
            tokens = 0 if first is None else self.tokenizer.count(self.text[start:first])
            self._head = (start, first, tokens)
        return self._head[1:]

    def tokens(self, start: int, end: int) -> int:
        """The tokens of `text[start:end]`, exactly."""
        first, tokens = self.head(start)
        last = self._joint_before(end)
        if first is None or last is None or first > last or not self.adds_up:
            return self.tokenizer.count(self.text[start:end])
        if last < end:
            tokens += self.tokenizer.count(self.text[last:end])
        return tokens + self._before(last) - self._before(first)

    def fits(self, start: int, end: int, size: int) -> bool:
        """Whether `text[start:end]` has at most `size` tokens; every token of ASCII has a character or more."""
        if end - start <= size and self.text[start:end].isascii():
            return True
        return end <= self.reach(start, size) and self.tokens(start, end) <= size

    def past(self, start: int, tokens: int) -> int:
        """Which token of the text is the first that `tokens` tokens from `start` do not hold; or how many there are."""
        first, before = self.head(start)
        held = self._before(start) if first is None else self._before(first) - before
        return min(held + tokens, len(self.ends))

    def reach(self, start: int, tokens: int) -> int:
        """An offset that `tokens` tokens from `start` do not reach, but nearly."""
        past = self.past(start, tokens)
        if past == len(self.ends):
            return len(self.text)
        end = self.ends[past]
        return self._joint_after(end) or min(end + _UNBROKEN, len(self.text))

    def back(self, end: int, tokens: int) -> int:
        """An offset that `tokens` tokens before `end` do not reach, but nearly."""
        before = self._before(self._joint_before(end) or end) - tokens - 2
        if before < 0:
            return 0
        start = self.ends[before]
        return self._joint_before(start) or max(start - _UNBROKEN, 0)

    def _before(self, offset: int) -> int:
        """The tokens of the whole text up to `offset`."""
        return bisect_right(self.ends, offset)

    def _joint_after(self, offset: int) -> int | None:
        match = _JOINT.search(self.text, offset + 1, offset + _UNBROKEN)
        return match and match.start()

    def _joint_before(self, offset: int) -> int | None:
        """The last joint that is not after `offset`, if one is near."""
        match = _LAST_JOINT.match(self.text, max(offset - _UNBROKEN, 0) + 1, offset + 1)
        return match and match.end()


def _spans(text: str, tokenizer: Tokenizer, size: int, overlap: int) -> Iterator[Span]:
    """The (start, end, tokens) of a page's chunks."""
    counted = _Counted(text, tokenizer)
    if counted.adds_up and len(counted.ends) <= size:
        yield 0, len(text), len(counted.ends)
        return
    borders = [end for _, end in sentence_spans(counted.text)]
    start = end = 0
    while end < len(counted.text):
        start = _start(counted, borders, (start, end), size, overlap) if end else 0
        end, tokens = _end(counted, borders, start, end, size)
        yield start, end, tokens


def _start(counted: _Counted, borders: list[int], last: tuple[int, int], size: int, overlap: int) -> int:
    """Where the chunk after the `last` one starts: the next sentence must fit behind the shared ones."""
    end = last[1]
    following = borders[bisect_right(borders, end)]
    index = bisect_left(borders, end)
    if not overlap or borders[index] != end or not counted.fits(end, following, size):
        return end
    index = bisect_left(borders, max(last[0] + 1, counted.back(end, overlap)))
    while borders[index] < end and counted.tokens(borders[index], end) > overlap:
        index += 1
    while (start := borders[index]) < end and not counted.fits(start, following, size):
        index += 1
    return start


def _end(counted: _Counted, borders: list[int], start: int, done: int, size: int) -> tuple[int, int]:
    """Where a chunk ends that starts at `start` and must pass `done`; and its tokens."""
    lowest = bisect_right(borders, max(start, done))
    index = bisect_right(borders, counted.reach(start, size)) - 1
    while index >= lowest and (tokens := counted.tokens(start, borders[index])) > size:
        index -= 1
    if index < lowest:
        return _cut_sentence(counted, start, size)
    if borders[index] < len(counted.text):
        last = borders[index]
        quarter = counted.back(last, size // 4)
        for earlier in range(index, lowest - 1, -1):
            if borders[earlier] < quarter:
                break
            if _ends_paragraph(counted.text, borders[earlier]):
                if counted.tokens(borders[earlier], last) > size // 4:
                    break
                return borders[earlier], counted.tokens(start, borders[earlier])
    return borders[index], tokens


def _ends_paragraph(text: str, end: int) -> bool:
    before = text[max(0, end - 8) : end]
    return before[-2:].isspace() and before[len(before.rstrip()) :].count("\n") > 1


def _cut_sentence(counted: _Counted, start: int, size: int) -> tuple[int, int]:
    """Cut between words, or between tokens where even one word is too large."""
    text = counted.text
    end = counted.ends[counted.past(start, size) - 1]
    tokens = counted.tokens(start, end)
    if tokens != size:  # cut here, the text is split in another way
        end = start + counted.tokenizer.prefix(text[start : counted.reach(start, size)], size)
        tokens = counted.tokens(start, end)
    words = text[start:end].rsplit(None, 1)
    if len(words) == 2 and not text[end - 1].isspace() and not text[end : end + 1].isspace():
        end -= len(words[1])
        tokens = counted.tokens(start, end)
    while tokens > size:  # a space that now ends the text may be a token more
        end -= 1
        tokens = counted.tokens(start, end)
    return end, tokens
