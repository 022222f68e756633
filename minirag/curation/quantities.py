"""Row 1. The numbers that a text states, as values: "1,000.50", "€1.000,50" and "1000.5" are one number.

A scale word belongs to its number ("27 billion"), so 3 million and 30 million differ; a comma or a point that may
group digits or begin decimals is read both ways.
"""

import re
from collections.abc import Iterable
from decimal import Decimal
from itertools import permutations
from typing import NamedTuple

_SCALES = {
    **dict.fromkeys(("thousand", "tausend"), 3),
    **dict.fromkeys(("million", "millions", "millionen", "mio", "mn"), 6),
    **dict.fromkeys(("billion", "billions", "milliarde", "milliarden", "mrd", "bn"), 9),
    **dict.fromkeys(("trillion", "trillions", "billionen"), 12),
}
_QUANTITY = re.compile(rf"(?<![\w.])(\d[\d,.]*)(?:[\s-]*({'|'.join(_SCALES)})\b)?", re.IGNORECASE)
_LIST_MARK = re.compile(r"(?m)^\s*(?:\d{1,2}[.)]|[•●▪*–-])\s+")
_AFTERNOON = re.compile(r"(\d{1,2})(?:[:.]\d\d)? ?p\.?m\b", re.IGNORECASE)
_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_WORDS = {**{word: n for n, word in enumerate(_UNITS)}, **{word: 10 * n for n, word in enumerate(_TENS, 2)}}
_WRITTEN = re.compile(rf"\b(?:({'|'.join(_TENS)})[- ](?=\w))?({'|'.join(_WORDS)})\b", re.IGNORECASE)
_MONTHS = {
    name: number
    for names in (
        "january february march april may june july august september october november december",
        "januar februar märz april mai juni juli august september oktober november dezember",
    )
    for number, name in enumerate(names.split(), 1)
}
_MONTH = re.compile(rf"\b({'|'.join(_MONTHS)})\b", re.IGNORECASE)
MOST_DIGITS = 20
"""Of a number: longer runs are no numbers."""


class Quantity(NamedTuple):
    """A number as it is written: every value it may have, how many digits it shows, whether a scale word is with it."""

    text: str
    values: frozenset[Decimal]
    digits: int
    is_scaled: bool


def quantities(text: str) -> list[Quantity]:
    """The numbers written in digits, in order; marks of numbered lists are none.

    >>> [(q.text, sorted(map(str, q.values))) for q in quantities("1. About 27.0 billion, or 1,5 %")]
    [('27.0 billion', ['27000000000.0']), ('1,5', ['1.5'])]
    """
    found = []
    for match in _QUANTITY.finditer(_LIST_MARK.sub("", text)):
        written, scale = match[1].rstrip(".,"), _SCALES.get((match[2] or "").lower(), 0)
        digits = re.sub(r"\D", "", written).lstrip("0")
        if len(digits) <= MOST_DIGITS and written.isascii():
            values = frozenset(value * 10**scale for value in _readings(written))
            found.append(Quantity(match[0].rstrip(".,"), values, len(digits), bool(scale)))
    return found


def _readings(written: str) -> set[Decimal]:
    """The values that a number may have by either custom of writing."""
    marks = [mark for mark in written if mark in ",."]
    if not marks:
        return {Decimal(written)}
    whole, _, rest = written.rpartition(marks[-1])
    grouped = Decimal(re.sub(r"[,.]", "", written))
    decimal = Decimal(f"{re.sub(r'[,.]', '', whole)}.{rest or 0}")
    if marks.count(marks[-1]) > 1:
        return {grouped}
    return {grouped, decimal} if len(rest) == 3 and len(set(marks)) == 1 else {decimal}


def values(text: str) -> set[str]:
    """The values of the numbers in digits and in words, each in one way of writing.

    >>> sorted(values("In 2023 revenue was $26,974 million, 0.50 % less, in seven regions."))
    ['0.5', '2023', '26974000000', '7']
    """
    found = {max(q.values) for q in quantities(text)} | set(_in_words(text))
    return {f"{value.normalize():f}" for value in found}


def _in_words(text: str) -> Iterable[Decimal]:
    return (Decimal(_WORDS.get((m[1] or "").lower(), 0) + _WORDS[m[2].lower()]) for m in _WRITTEN.finditer(text))


def unsupported(text: str, source: str, asked: str = "") -> list[str]:
    """The numbers of `text` that neither `source` nor the question `asked` gives, in any form.

    Zero needs no support. A number may be rounded, be a sum, difference, ratio or percentage of others that `text`
    states, or be a month or an hour that the source spells out.

    >>> unsupported("About $27.0 billion, up 12 %.", "Revenue was $26,974 million.")
    ['12']
    >>> unsupported("$30 million", "$3 million")
    ['30 million']
    >>> unsupported("It rose 25 %, from 8 to 10.", "It was 8 in May and 10 in June.")
    []
    """
    known = [*quantities(source), *quantities(asked), *map(_plain, _spelt_out(f"{source}\n{asked}"))]
    stated = [quantity for quantity in quantities(text) if any(quantity.values)]
    given = [q for q in stated if any(_supports(other, q) for other in known)]
    return [q.text for q in stated if q not in given and not any(_equals(v, q) for v in _derived(given))]


def _plain(value: Decimal) -> Quantity:
    return Quantity(str(value), frozenset({value}), len(str(value)), False)


def _spelt_out(text: str) -> Iterable[Decimal]:
    """Numbers in words, months as numbers, hours of the afternoon as clocks show them."""
    yield from _in_words(text)
    yield from (Decimal(_MONTHS[m[1].lower()]) for m in _MONTH.finditer(text))
    yield from (Decimal(int(m[1]) % 12 + 12) for m in _AFTERNOON.finditer(text))


def _supports(known: Quantity, stated: Quantity) -> bool:
    """Whether one is the other, perhaps rounded; a table may have its scale above it."""
    shifts = (0, 3, 6, 9) if stated.is_scaled and not known.is_scaled else (0,)
    return any(_equals(value * 10**shift, stated) for value in known.values for shift in shifts)


def _equals(value: Decimal, stated: Quantity) -> bool:
    """Whether `value`, rounded to as many digits as are stated, is what is stated."""
    if value in stated.values:
        return True
    if stated.digits < 2 or not value:
        return False
    return value.quantize(Decimal(1).scaleb(value.adjusted() - stated.digits + 1)) in stated.values


def _derived(given: list[Quantity]) -> Iterable[Decimal]:
    """What two of the stated numbers make: sum, difference, ratio, percentage, change in per cent."""
    numbers = {max(q.values) for q in given[:12]}
    for a, b in permutations(numbers, 2):
        yield a + b
        yield abs(a - b)
        if b:
            yield from (a / b, 100 * a / b, 100 * abs(a - b) / b)
