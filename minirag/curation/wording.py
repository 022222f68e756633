"""Row 1. What a text says, as sets that can be compared: its content words and its names.

Words are compared by their first letters, so that "reduce" and "reduction" meet; CJK text word by character.
"""

import re
from collections.abc import Iterable

from minirag.sentences import sentence_spans

STEM = 5
"""Letters of a word that count."""
PROSE = 0.3
"""Share of capitalised words in a source from which capitals name nothing: German nouns, headlines, shouting."""

CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{CJK}]|[^\W{CJK}]+")
_LIST_MARK = re.compile(r"(?m)^\s*(?:\d{1,2}[.)]|[•●▪*–-])\s+")
_FUNCTION_WORDS = frozenset(
    """a about above after again against all also am an and any are as at be because been before being below between
    both but by can could did do does doing during each few for from further had has have having he her here hers him
    his how i if in include included includes including into is it its itself may me might more most must my no nor not
    of off on once only or other our ours out over own s same she should so some such t than that the their theirs them
    then there these they this those through to too under until up very was we were what when where which while who
    whom why will with within would you your yours""".split()
)


def words(text: str) -> list[str]:
    """All words in lower case, in order.

    >>> words("Tram 7 runs."), words("票价3元")
    (['tram', '7', 'runs'], ['票', '价', '3', '元'])
    """
    return _WORD.findall(text.casefold())


def content(text: str) -> set[str]:
    """The stems of the words that carry meaning; numbers are not among them.

    >>> sorted(content("The reduction of 30 fares was reduced."))
    ['fares', 'reduc']
    """
    return {w[:STEM] for w in words(text) if w not in _FUNCTION_WORDS and not w[0].isdigit()}


def names(text: str) -> set[str]:
    """The capitalised words that do not open a sentence.

    >>> sorted(names("The tram is run by Verkehrsverbund Nord. It opened in May."))
    ['May', 'Nord', 'Verkehrsverbund']
    """
    return {word for word in _inner_words(text) if _is_name(word)}


def unsupported_names(text: str, source: str) -> list[str]:
    """The names of `text` that `source` does not hold in any form.

    >>> unsupported_names("It is run by Nord and by Ostbahn.", "It is run by NORD since last year.")
    ['Ostbahn']
    """
    inner = _inner_words(source)
    if sum(map(_is_name, inner)) > PROSE * len(inner):
        return []
    known = {word[:4] for word in words(source)}
    return sorted(name for name in names(text) if name.casefold()[:4] not in known)


def _inner_words(text: str) -> list[str]:
    """The words of each sentence but the first, which has a capital anyway."""
    plain = _LIST_MARK.sub("", text)
    return [word for start, end in sentence_spans(plain) for word in re.findall(r"[^\W_]+", plain[start:end])[1:]]


def _is_name(word: str) -> bool:
    return len(word) > 1 and word[0].isupper()


def jaccard(one: Iterable[str], other: Iterable[str]) -> float:
    """What two sets have in common ÷ what both have; 1.0 for two empty ones.

    >>> jaccard(["a", "b"], ["b"])
    0.5
    """
    a, b = set(one), set(other)
    return len(a & b) / len(a | b) if a or b else 1.0
