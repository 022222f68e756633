"""Row 1. Where sentences end, in Latin and CJK text, as spans that tile the text.

>>> [text[a:b] for text in ["Dr. Lee paid $3.5 million. Why? 他来了。真的！"] for a, b in sentence_spans(text)]
['Dr. Lee paid $3.5 million. ', 'Why? ', '他来了。', '真的！']
"""

import re

_BORDER = re.compile(
    r"""
      [.!?…]+["'”’»)\]]*(?=\s)           # a full stop needs a space after it: 3.5 and example.com do not end
    | [。！？｡]+[」』”’）》]*              # CJK marks need none
    | \n[ \t]*\n                          # a blank line
    | \n(?=[ \t]*[•●▪◦‣∙][ \t]*)          # a bullet starts a new one
    """,
    re.VERBOSE,
)
_SPACE = re.compile(r"\s*")
_LAST_WORD = re.compile(r"([^\W\d_]+(?:\.[^\W\d_]+)*)$")
_ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof sr jr st vs etc inc ltd co corp no nos fig figs sec secs art vol pp ed eds al cf approx dept "
    "est gov hon rev gen col lt sgt rep sen jan feb mar apr jun jul aug sep sept oct nov dec e.g i.e u.s u.k ph.d "
    "bzw z.b d.h nr usw".split()
)


def _ends(text: str, match: re.Match[str], after: int) -> bool:
    """Whether a border candidate is one: not an abbreviation, an initial, or a stop before a small letter."""
    if not match.group().startswith("."):
        return True
    if after < len(text) and text[after].islower():
        return False
    word = _LAST_WORD.search(text, max(0, match.start() - 24), match.start())
    return word is None or not (len(word.group()) == 1 or word.group().lower() in _ABBREVIATIONS)


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """The sentences of `text` as (start, end) character offsets.

    The spans are in order, never empty, and tile the text: white space after a sentence belongs to it, so
    joining all slices gives `text` back. An empty text has none.
    """
    spans: list[tuple[int, int]] = []
    start = 0
    for match in _BORDER.finditer(text):
        space = _SPACE.match(text, match.end())
        after = space.end() if space else match.end()
        if after > start and _ends(text, match, after) and text[start:after].strip():
            spans.append((start, after))
            start = after
    if start < len(text):
        if spans and not text[start:].strip():
            spans[-1] = (spans[-1][0], len(text))
        else:
            spans.append((start, len(text)))
    return spans
