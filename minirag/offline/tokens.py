"""The words, names and numbers of a sentence, as the judge compares them."""

import re
from functools import lru_cache
from typing import NamedTuple

from minirag.offline.lexicon import STOP_WORDS, words

_TOKEN = re.compile(
    r"""
      (?P<number>[$€£¥]?(?<![^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])(?<!\.)\d+(?:,\d{3})*(?:\.\d+)?(?:(?:st|nd|rd|th|s)\b|\s?%)?
         (?:\s(?:percent|thousand|million|billion|trillion)\b)?)
    | (?P<cjk>[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+)
    | (?P<word>[^\W_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+(?:(?<=\b\w)\.(?=\w\b)\w)*(?:&\w+)?(?:['’]\w+)?)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_FIGURE = re.compile(r"\d[\d,]*(?:\.\d+)?")
_PERCENT = re.compile(r"%|percent", re.IGNORECASE)
_SCALES = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
NEGATIONS = frozenset("not no never neither nor none without 不 没 沒 未 無 无 非".split())


class Number(NamedTuple):
    """A figure with its scale multiplied in, half a unit of its last digit where it is scaled, and its unit."""

    value: float
    slack: float
    unit: str


class Token(NamedTuple):
    """One word or number: as it stands, as it is compared, its kind (content, name, number, grammar)."""

    text: str
    key: str
    kind: str
    number: Number = Number(0.0, 0.0, "")


@lru_cache(maxsize=1 << 15)
def _keys(text: str) -> tuple[str, ...]:
    return tuple(filter(None, words(text)))


@lru_cache(maxsize=1 << 14)
def _number(text: str) -> Number:
    figures = _FIGURE.search(text)
    figure = figures.group().replace(",", "") if figures else "0"
    scale = next((size for name, size in _SCALES.items() if name in text.lower()), 1.0)
    unit = "%" if _PERCENT.search(text) else text[0] if text[0] in "$€£¥" else ""
    slack = 0.5 * scale / 10 ** len(figure.partition(".")[2]) if scale > 1 else 0.0
    return Number(float(figure) * scale, slack, unit)


@lru_cache(maxsize=1 << 13)  # the chunks of a document are judged again and again
def tokenise(text: str) -> tuple[Token, ...]:
    """Return the words, names and numbers of one sentence in order.

    >>> [(token.key, token.kind) for token in tokenise("The Hague paid $5 million.")]
    [('the', 'grammar'), ('hagu', 'name'), ('pay', 'content'), ('#5000000', 'number')]
    """
    tokens: list[Token] = []
    matches = list(_TOKEN.finditer(text))
    for i, match in enumerate(matches):
        surface = match.group()
        if match.lastgroup == "number":
            number = _number(surface)
            tokens.append(Token(surface, f"#{number.value:.12g}", "number", number))
            continue
        # the first word of a sentence is a name only if it has inner capitals, or a capitalised word follows it
        inner = i > 0 or not surface[1:].islower() or any(m.group()[0].isupper() for m in matches[1:2])
        for key in _keys(surface):
            if key.isdecimal() and len(key) < 4:  # two, twelve
                tokens.append(Token(surface, f"#{int(key)}", "number", Number(float(key), 0.0, "")))
            else:
                kind = "grammar" if key in STOP_WORDS else "name" if surface[0].isupper() and inner else "content"
                tokens.append(Token(surface, key, kind))
        if match.lastgroup == "cjk":
            tokens.extend(Token(c, c, "grammar") for c in surface if c in NEGATIONS)
    return tuple(tokens)


def are_equal(stated: Number, printed: Number) -> bool:
    """Return whether the values are equal; a scaled figure may be rounded, or stand in a table headed by its scale."""
    if stated.unit and printed.unit and stated.unit != printed.unit:
        return False
    if stated.slack == 0:
        return abs(stated.value - printed.value) <= 1e-9 * stated.value
    scales = (1.0,) if printed.slack or printed.value < 100 else (1.0, *_SCALES.values())
    return any(abs(stated.value - printed.value * scale) <= stated.slack for scale in scales)
