"""Row 3. Pages become chunks: slices of at most `size` tokens, counted exactly, cut where a reader would cut.

A cut falls on the end of a paragraph if one lies in the last quarter of the room, else of a sentence; only a
sentence that is larger than a chunk is cut between words, and a word that is, between tokens. A chunk never crosses
a page border, so its page is certain, and the chunks of a page cover all of it. Neighbours share whole sentences,
as many as `overlap` tokens hold; where no whole sentence fits they share nothing.

>>> from minirag.documents import Page
>>> text = "The city runs the trams. The state runs the trains. " * 2 + "Nobody runs the boats."
>>> for c in chunk([Page(7, "a.txt", text)], size=16, overlap=7): print(c.id, c.start, c.end, c.tokens)
"""

import hashlib
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from minirag.documents import Page
from minirag.errors import InputError
from minirag.sentences import sentence_spans
from minirag.tokens import Tokenizer, encoding

MIN_SIZE = 16

# The vocabularies' patterns split a text here whatever stands further left or right: before a space that follows a
# word, between a line end and what follows it, and before a CJK mark that follows a CJK letter. ("/" may stay with
# the line end before it.) So the counts of the two sides add up, and no text is encoded twice.
_JOINT = re.compile(r"(?<=\S)(?= )|(?<=\n)(?=[^\s/])|(?<=[ぁ-ゖァ-ヺ一-龥])(?=[。！？，、；：])")
_STRIDE = 160
"""Characters to skip before the next joint is looked for: few calls, and little to count again near a cut."""
_UNBROKEN = 2000
"""Characters after which a text without a joint is split anyway, and counted only roughly."""


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
        return asdict(self)


def chunk(
    pages: Iterable[Page], *, size: int = 1024, overlap: int = 128, tokenizer: str = "o200k_base"
) -> list[Chunk]:
    """Cut `pages` into chunks of at most `size` tokens, neighbours sharing at most `overlap` of them.

    Offsets count in the source's text, which is the texts of its pages in order with nothing between them.
    Blank pages give no chunk. Each text is encoded about once, so this takes hardly longer than counting.

    Raises InputError for a `size` below 16, an `overlap` above a half of it, or an unknown `tokenizer`.
    """
    if size < MIN_SIZE:
        raise InputError(f"The chunk size of {size} tokens is too small: take {MIN_SIZE} or more.")
    if not 0 <= overlap <= size // 2:
        raise InputError(f"A chunk overlap of {overlap} tokens does not suit a size of {size}: take 0 to {size // 2}.")
    counter = encoding(tokenizer)
    chunks: list[Chunk] = []
    ids: set[str] = set()
    offsets: dict[str, int] = {}
    for page in pages:
        offset = offsets.get(page.source, 0)
        offsets[page.source] = offset + len(page.text)
        if page.text.strip():
            for start, end, tokens in _spans(_Counted(page.text, counter), size, overlap):
                text = page.text[start:end]
                name = _name(page, offset + start, text, ids)
                chunks.append(Chunk(name, page.source, page.number, offset + start, offset + end, tokens, text))
    return chunks


def _name(page: Page, start: int, text: str, taken: set[str]) -> str:
    """Eight digits of a hash tell the chunks of a page apart; more of them in the rare case that they do not."""
    digest = hashlib.sha256(f"{page.source}\0{start}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()
    name = next(f"p{page.number}-{digest[:n]}" for n in range(8, 65) if f"p{page.number}-{digest[:n]}" not in taken)
    taken.add(name)
    return name


class _Counted:
    """A text whose slices can be counted exactly without encoding them again, but for a little at both ends.

    `joints` are offsets where counts add up, the ends of the text included, and `totals` the tokens before each.
    `rough` counts the joints so far that were forced into a text without any, where they need not add up.
    """

    def __init__(self, text: str, tokenizer: Tokenizer) -> None:
        self.text = text
        self.tokenizer = tokenizer
        self.joints, self.totals, self.rough = [0], [0], [0]
        while (at := self.joints[-1]) < len(text):
            match = _JOINT.search(text, at + _STRIDE, at + _UNBROKEN)
            end = match.start() if match else min(at + _UNBROKEN, len(text))
            self.joints.append(end)
            self.totals.append(self.totals[-1] + tokenizer.count(text[at:end]))
            self.rough.append(self.rough[-1] + (match is None and end < len(text)))
        self._head = (0, 0, 0)  # start, the first joint after it, the tokens between

    def tokens(self, start: int, end: int) -> int:
        """The tokens of `text[start:end]`, exactly."""
        first = bisect_left(self.joints, start + 1)
        last = bisect_right(self.joints, end) - 1
        if first > last or self.rough[max(first - 1, 0)] != self.rough[last]:
            return self.tokenizer.count(self.text[start:end])
        if self._head[:2] != (start, first):
            self._head = (start, first, self.tokenizer.count(self.text[start : self.joints[first]]))
        tail = self.text[self.joints[last] : end]
        return self._head[2] + self.totals[last] - self.totals[first] + (self.tokenizer.count(tail) if tail else 0)

    def reach(self, start: int, tokens: int) -> int:
        """About where `tokens` tokens from `start` end."""
        before = bisect_right(self.joints, start) - 1
        return self.joints[min(bisect_right(self.totals, self.totals[before] + tokens), len(self.joints) - 1)]
