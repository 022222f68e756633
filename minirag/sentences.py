"""Row 1. Where sentences end, in Latin and CJK text, as spans that tile the text.

>>> [text[a:b] for text in ["Dr. Lee paid $3.5 million. Why? 他来了。真的！"] for a, b in sentence_spans(text)]
['Dr. Lee paid $3.5 million. ', 'Why? ', '他来了。', '真的！']
"""

import re
from collections.abc import Iterator

_LATIN = r"""(?<![.!?…]{2}) [.!?…]*+ ["'”’»›)\]]*+ \s+"""  # needs a space: 3.5 and example.com go on
_CJK = r"[。！？｡]* [」』”’）》】]* \s*"  # needs none
_LINE = r"""
    [ \t]*+ \n \s*                                             # a blank line
    | (?= [ \t]*+ (?: [•●▪◦‣∙] | [*–-][ ] | [#]{1,6}[ ] | \d{1,2}[.)][ ] ) )  # a list item or a heading
"""
_BORDERS = {
    mark: re.compile(rf"{re.escape(mark)} (?: {rest} )", re.VERBOSE)
    for marks, rest in ((".!?…", _LATIN), ("。！？｡", _CJK), ("\n", _LINE))
    for mark in marks
}
"""What ends a sentence, by the mark that it begins with: one mark is found ten times as fast as one of nine."""
_WORD = re.compile(r"\w*")
_BEFORE_NAMES = frozenset("mr mrs ms dr prof st messrs gov hon rev gen col lt sgt rep sen capt vs cf bzw hr fr".split())
_BEFORE_NUMBERS = frozenset("no nos nr fig figs sec secs art vol pp ch para approx abs".split())
_ANYWHERE = frozenset(
    "jr sr inc ltd co corp etc al dept est eds usw jan feb mar apr jun jul aug sep sept oct nov dec".split()
)
_SHORTENED = _BEFORE_NAMES | _BEFORE_NUMBERS | _ANYWHERE
_UNSHORTENED = 1 + max(map(len, _SHORTENED))
"""Letters of a word that is longer than all of these."""
_OPENERS = frozenset(
    "the this these those that a an in on at as it its we our he his she her they their there if when while for from "
    "but and however no such any all each see der die das ein eine es er sie wir im".split()
)
"""With a capital letter these begin a sentence rather than go on after "Inc." or "J."."""
_MONTHS = frozenset("Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split())


def _goes_on(text: str, stop: int, after: int) -> bool:
    """Whether the full stop at `stop` ends no sentence: an abbreviation, an initial, a list number, an ordinal."""
    if stop >= _UNSHORTENED and text[stop - _UNSHORTENED : stop].isalpha():
        return False  # as most do
    words = text[max(0, stop - 12) : stop].rsplit(None, 1)
    word = words[-1].lstrip("([{\"'“„‘«").lower() if words else ""
    if len(word) > 1 and word not in _SHORTENED and not word.isdigit() and word[-2] != ".":
        return False
    following = _WORD.match(text, after).group()  # type: ignore[union-attr]  # it matches nothing, too
    if word.isdigit():
        before = text[max(0, stop - 8) : stop].rpartition("\n")
        starts_line = before[2].strip() == word and (before[1] == "\n" or stop <= 8)
        return following in _MONTHS or (len(word) <= 2 and starts_line)
    if word in _BEFORE_NUMBERS:
        return following[:1].isdigit()
    return word in _BEFORE_NAMES or following.lower() not in _OPENERS


def _borders(text: str) -> Iterator[tuple[int, int]]:
    """Where sentences may end, from the mark to what follows; none begins inside of another."""
    found = [match.span() for mark, border in _BORDERS.items() if mark in text for match in border.finditer(text)]
    last = 0
    for stop, after in sorted(found):
        if stop >= last:
            yield stop, after
            last = after


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """The sentences of `text` as (start, end) character offsets.

    The spans are in order, never empty, and tile the text: white space after a sentence belongs to it, so
    joining all slices gives `text` back. An empty text has none. List items and headings stand alone. Where an
    abbreviation may end a sentence or not ("Inc. The", "Inc. Annual"), the next word decides.
    """
    spans: list[tuple[int, int]] = []
    length = len(text)
    start, first = 0, length - len(text.lstrip())  # white space before the first sentence belongs to it
    for stop, after in _borders(text):
        if after <= first or after == length:
            continue
        mark, following = text[stop], text[after]
        if mark in ".!?…" and (
            following.islower() or following in ".,;:)" or (mark == "." and _goes_on(text, stop, after))
        ):
            continue
        spans.append((start, after))
        start = after
    if start < length:
        spans.append((start, length))
    return spans
