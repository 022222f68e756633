"""The names in a text: capitalised words that do not open a sentence."""

import re

from minirag.sentences import sentence_spans
from minirag.text import words

PROSE = 0.3
"""Share of capitalised words in a source from which capitals name nothing: German nouns, headlines, shouting."""

_LIST_MARK = re.compile(r"(?m)^\s*(?:\d{1,2}[.)]|[•●▪*–-])\s+")


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
