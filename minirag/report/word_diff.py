"""Row 8. What changed from one answer to another, word by word, Chinese, Japanese and Korean by character."""

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import chain, groupby

from minirag.report.markup import tag, text
from minirag.text import CJK

SHORT = 2
"""Up to so many words in common between two changes are shown as changed too: an odd "the" is no thread to follow."""
_TOKEN = re.compile(rf"(?:[{CJK}]|[^\W{CJK}]+|[^\w\s])\s*|\s+")
_ENDS = tuple(".!?。！？؟\n")

Tokens = tuple[str, ...]
Change = tuple[bool, Tokens, Tokens]
"""Whether both texts have it, and the tokens of the old and of the new text: words with the white space behind them."""


def word_diff(old: str, new: str) -> str:
    """Both texts in one, as HTML: what only `old` has in `<del>`, what only `new` has in `<ins>`.

    White space does not count as a change; where both have a word it is that of `new`. Sentences are compared first
    and the words of those that differ next, so that long texts take little time, repetitive ones too.

    >>> word_diff("Fares rose in May.", "Fares fell in May.")
    'Fares <del>rose </del><ins>fell </ins>in May.'
    """
    parts = []
    for same, gone, come in _spaced(_readable(_changes(_TOKEN.findall(old), _TOKEN.findall(new)))):
        if same:
            parts.append(text("".join(come)))
        else:
            parts += [tag("del", text("".join(gone)))] if any(gone) else []
            parts += [tag("ins", text("".join(come)))] if any(come) else []
    return "".join(parts)


def _changes(first: Sequence[str], second: Sequence[str]) -> Iterator[Change]:
    """What is the same and what is not, from start to end."""
    for same, old, new in _matched(_sentences(first), _sentences(second)):
        if same:
            yield same, old, new
        else:
            yield from _matched([(token,) for token in old], [(token,) for token in new])


def _sentences(tokens: Sequence[str]) -> list[Tokens]:
    """The tokens up to each mark that ends a sentence."""
    found: list[list[str]] = [[]]
    for token in tokens:
        found[-1].append(token)
        if token.startswith(_ENDS):
            found.append([])
    return [tuple(sentence) for sentence in found if sentence]


def _matched(first: Sequence[Tokens], second: Sequence[Tokens]) -> Iterator[Change]:
    """The same by difflib, which compares whole parts. Of 200 parts on, frequent ones are no anchors (`autojunk`)."""
    old, new = ([tuple(token.strip() for token in part) for part in parts] for parts in (first, second))
    for kind, i1, i2, j1, j2 in SequenceMatcher(None, old, new).get_opcodes():
        yield kind == "equal", tuple(chain(*first[i1:i2])), tuple(chain(*second[j1:j2]))


def _readable(changes: Iterator[Change]) -> list[Change]:
    """The same with neighbours of one kind made one, and with what is short between two changes made part of them."""
    runs = _merged(list(changes))
    inner = range(1, len(runs) - 1)
    return _merged(
        [(same and not (i in inner and len(new) <= SHORT), old, new) for i, (same, old, new) in enumerate(runs)]
    )


def _merged(changes: Sequence[Change]) -> list[Change]:
    merged = []
    for same, run in groupby(changes, key=lambda change: change[0]):
        parts = list(run)
        merged.append((same, tuple(chain(*(old for _, old, _ in parts))), tuple(chain(*(new for _, _, new in parts)))))
    return merged


def _spaced(changes: Sequence[Change]) -> Iterator[Change]:
    """The same, with white space that differs before a change made part of it, so that no two words run together."""
    before: tuple[Tokens, Tokens] = (), ()
    for number, (same, old, new) in enumerate(changes):
        if not same:
            yield same, before[0] + old, before[1] + new
        elif old[-1] != new[-1] and number < len(changes) - 1:
            bare = new[-1].rstrip()
            before = (old[-1].removeprefix(bare),), (new[-1].removeprefix(bare),)
            yield same, old, (*new[:-1], bare)
        else:
            before = (), ()
            yield same, old, new
