"""Row 6. Where in the contexts a statement has its support: the sentence that shares most of its words, if any."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from minirag.sentences import sentence_spans

SHARE = 0.6
"""Share of a statement's words from which a sentence is shown as its support."""
_WORD = re.compile(r"[^\W_]+")
_CJK = re.compile(r"[぀-ヿ㐀-鿿가-힯]")


class Span(NamedTuple):
    """Characters `start` to `end` of context number `context` (from 0)."""

    context: int
    start: int
    end: int


def supporting_span(statement: str, contexts: Sequence[str]) -> Span | None:
    """The sentence of `contexts` that holds the largest share of the statement's words; None below `SHARE`.

    >>> supporting_span("The tram opened in 1987.", ["It rained.", "Long ago. The tram opened in April 1987."])
    Span(context=1, start=10, end=40)
    """
    asked = _words(statement)
    best, found = SHARE, None
    for number, context in enumerate(contexts):
        for start, end in sentence_spans(context):
            share = len(asked & _words(context[start:end])) / len(asked) if asked else 0.0
            if share > best or (found is None and share == best):
                best, found = share, Span(number, start, start + len(context[start:end].rstrip()))
    return found


def likely_sentences(statement: str, contexts: Sequence[str], most: int = 4) -> list[str]:
    """The sentences of `contexts` that share most words with a statement, at most so many, in their order.

    >>> likely_sentences("The tram opened in 1987.", ["It rained. The tram is red. It opened in 1987."], 2)
    ['The tram is red.', 'It opened in 1987.']
    """
    asked = _words(statement)
    spans = [(number, start, end) for number, text in enumerate(contexts) for start, end in sentence_spans(text)]
    texts = {span: contexts[span[0]][span[1] : span[2]].strip() for span in spans}
    nearest = sorted(spans, key=lambda span: -len(asked & _words(texts[span])))[:most]
    return [texts[span] for span in sorted(nearest)]


def _words(text: str) -> set[str]:
    """Words of a text, and single characters of scripts that do not part words by spaces."""
    lower = text.casefold()
    return {word for word in _WORD.findall(lower) if not _CJK.search(word)} | set(_CJK.findall(lower))
