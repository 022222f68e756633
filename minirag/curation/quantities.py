"""What a text is about: its words that carry meaning, and its numbers, compared by value.

"1,000.50", "€1.000,50" and "1000.5" are one number.

A scale word belongs to its number ("27 billion"), so 3 million and 30 million differ. A comma or point that may
either group digits or start the decimals is read both ways.
"""

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import permutations
from typing import NamedTuple

from minirag.text import words

_SCALES = {
    **dict.fromkeys(("thousand", "tausend"), 3),
    **dict.fromkeys(("million", "millions", "millionen", "mio", "mn"), 6),
    **dict.fromkeys(("billion", "billions", "milliarde", "milliarden", "mrd", "bn"), 9),
    **dict.fromkeys(("trillion", "trillions", "billionen"), 12),
}
_QUANTITY = re.compile(rf"(?<![\w.])([0-9][0-9,.]*)(?:[\s-]*({'|'.join(_SCALES)})\b)?", re.IGNORECASE)
LIST_MARK = re.compile(r"(?m)^\s*(?:\d{1,2}[.)]|[•●▪*–-])\s+")
_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_WORDS = {**{word: n for n, word in enumerate(_UNITS)}, **{word: 10 * n for n, word in enumerate(_TENS, 2)}}
_IN_WORDS = re.compile(rf"\b(?:({'|'.join(_TENS)})[- ](?=\w))?({'|'.join(_WORDS)})\b", re.IGNORECASE)
MAX_DIGITS = 20
"""Longer runs of digits are not numbers but codes."""


class Quantity(NamedTuple):
    """A number as written, with every value it may have."""

    text: str
    values: frozenset[Decimal]
    digits: int
    is_scaled: bool


def quantities(text: str, *, in_words: bool = False) -> list[Quantity]:
    """Return the numbers written in digits, or `in_words` too, in order, except those that number a list.

    >>> [(q.text, sorted(map(str, q.values))) for q in quantities("1. About 27.0 billion, or 1,5 %")]
    [('27.0 billion', ['27000000000.0']), ('1,5', ['1.5'])]
    """
    if in_words:
        text = _IN_WORDS.sub(lambda m: str(_WORDS.get((m[1] or "").lower(), 0) + _WORDS[m[2].lower()]), text)
    numbers = []
    for match in _QUANTITY.finditer(LIST_MARK.sub("", text)):
        written, scale = match[1].rstrip(".,"), _SCALES.get((match[2] or "").lower(), 0)
        digits = len(re.sub("[,.]", "", written).lstrip("0"))
        if digits <= MAX_DIGITS:
            values = frozenset(value * 10**scale for value in _readings(written))
            numbers.append(Quantity(match[0].rstrip(".,"), values, digits, bool(scale)))
    return numbers


def _readings(written: str) -> set[Decimal]:
    """Return the values a number has if its last comma or point groups digits, and if it starts the decimals."""
    marks = [mark for mark in written if mark in ",."]
    if not marks:
        return {Decimal(written)}
    whole, _, rest = written.rpartition(marks[-1])
    grouped = Decimal(re.sub("[,.]", "", written))
    decimal = Decimal(f"{re.sub('[,.]', '', whole)}.{rest or 0}")
    if marks.count(marks[-1]) > 1:
        return {grouped}
    return {grouped, decimal} if len(rest) == 3 and len(set(marks)) == 1 else {decimal}


def values(text: str) -> set[str]:
    """Return the values of all numbers, in digits and in words, in a canonical spelling.

    >>> sorted(values("In 2023 revenue was $26,974 million, 0.50 % less, in seven regions."))
    ['0.5', '2023', '26974000000', '7']
    """
    return {f"{max(quantity.values).normalize():f}" for quantity in quantities(text, in_words=True)}


def unsupported(text: str, source: str) -> list[str]:
    """Return the numbers in `text` that `source` does not support.

    Zero needs no support. A number may be rounded, or be a sum, difference, ratio or percentage of two supported
    numbers in `text`.

    >>> unsupported("About $27.0 billion, up 12 %.", "Revenue was $26,974 million.")
    ['12']
    >>> unsupported("It rose 25 %, from 8 to 10.", "It was 8 in May and 10 in June.")
    []
    """
    sources = quantities(source, in_words=True)
    numbers = [quantity for quantity in quantities(text) if any(quantity.values)]
    supported = [number for number in numbers if any(_supports(one, number) for one in sources)]
    derived = list(_derived(supported))
    return [n.text for n in numbers if n not in supported and not any(_equals(value, n) for value in derived)]


def _supports(source: Quantity, stated: Quantity) -> bool:
    """Return True if both are one number, perhaps rounded; the scale of a table may stand above it."""
    shifts = (0, 3, 6, 9) if stated.is_scaled and not source.is_scaled else (0,)
    return any(_equals(value * 10**shift, stated) for value in source.values for shift in shifts)


def _equals(value: Decimal, stated: Quantity) -> bool:
    """Return True if `value`, rounded to the digits stated, is the number stated."""
    if value in stated.values:
        return True
    if stated.digits < 2 or not value:
        return False
    return value.quantize(Decimal(1).scaleb(value.adjusted() - stated.digits + 1)) in stated.values


def _derived(supported: Iterable[Quantity]) -> Iterator[Decimal]:
    """Yield sum, difference, ratio, percentage and change in per cent of each two of the first twelve numbers."""
    numbers = {max(q.values) for q in list(supported)[:12]}
    for a, b in permutations(numbers, 2):
        yield from (a + b, abs(a - b))
        if b:
            yield from (a / b, 100 * a / b, 100 * abs(a - b) / b)


_FUNCTION_WORDS = frozenset(
    """a about above after again against all also am an and any are as at be because been before being below between
    both but by can could did do does doing during each few for from further had has have having he her here hers him
    his how i if in include included includes including into is it its itself may me might more most must my no nor not
    of off on once only or other our ours out over own s same she should so some such t than that the their theirs them
    then there these they this those through to too under until up very was we were what when where which while who
    whom why will with within would you your yours""".split()
)


def content(text: str) -> set[str]:
    """Return the first five letters of the words that carry meaning, so that "reduced" and "reduction" meet.

    >>> sorted(content("The reduction of 30 fares was reduced."))
    ['fares', 'reduc']
    """
    return {word[:5] for word in words(text) if word not in _FUNCTION_WORDS and not word[0].isdigit()}
