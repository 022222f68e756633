"""The prose of an extracted text: whole sentences, each with the heading it stands under.

>>> prose("Water\\n\\nThe city buys its\\nwater. It costs $3.\\n\\n12")
[Sentence(text='The city buys its water.', heading='Water'), Sentence(text='It costs $3.', heading='Water')]
"""

import re
from typing import NamedTuple

from minirag.text import sentence_spans


class Sentence(NamedTuple):
    """A sentence of prose as one line, with the heading it stands under."""

    text: str
    heading: str = ""


_BULLET = re.compile(r"^(?:[•●▪◦‣∙*·–—-]|\(?[a-z\divx]{1,4}[.)]|(?:\d+\.){2,})\s+")
_FIGURE = re.compile(r"[$€£¥(%-]*\d[\d.,]*[)%]*|[$€£¥%—–()-]+")
ENDS = re.compile(r"[.!?。！？…:;][\"'”’»)\]」』》]*$")
_LETTER = re.compile(r"[^\W\d_]")
_LONGEST = 600


def prose(text: str) -> list[Sentence]:
    """Return the sentences of `text`: wrapped lines joined; headings, page numbers and rows of figures left out.

    A text of nothing but such fragments gives them all, so that only an empty text has no sentences.
    """
    sentences: list[Sentence] = []
    heading = ""
    blocks = [(_pieces(block), _is_row(block), bulleted) for block, bulleted in _blocks(text)]
    for pieces, is_row, bulleted in blocks:
        for i, piece in enumerate([] if is_row else pieces):
            if not bulleted and _is_heading(piece, alone=len(pieces) == 1, last=i == len(pieces) - 1):
                heading = piece.strip("# .")
            elif _LETTER.search(piece):
                sentences.append(Sentence(piece, heading))
    return sentences or [Sentence(piece) for pieces, _, _ in blocks for piece in pieces]


def _is_row(line: str) -> bool:
    """Return whether it is a row of a table or a page number: no letters, or two figures in five words, not ended."""
    tokens = line.split()
    figures = sum(1 for token in tokens if _FIGURE.fullmatch(token))
    return not _LETTER.search(line) or (figures * 5 >= len(tokens) * 2 and not ENDS.search(line))


def _is_heading(piece: str, *, alone: bool, last: bool) -> bool:
    """Return whether it is short and capitalised, and stands alone, trails a paragraph, or looks like a title."""
    if len(piece) > 100 or piece[0].islower():
        return False
    if last and not ENDS.search(piece):
        return alone or len(piece.split()) <= 8
    long = [word for word in piece.split() if len(word) > 3]
    return not alone and piece.endswith(".") and len(piece.split()) <= 6 and all(word[0].isupper() for word in long)


def _blocks(text: str) -> list[tuple[str, bool]]:
    """Return paragraphs, headings and rows, and whether each is bulleted; lines end where a word no longer fits."""
    lines = [" ".join(line.split()) for line in text.split("\n")]
    width = max(map(len, lines), default=0)
    blocks: list[tuple[str, bool]] = []
    wraps = False
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        bullet = _BULLET.match(line)
        row = bool(line) and _is_row(line) and not (wraps and len(blocks[-1][0]) >= 60)
        if wraps and blocks and not bullet and not row:
            last, bulleted = blocks[-1]
            blocks[-1] = (last.rstrip("‐") + line if re.search(r"\w[-‐]$", last) else f"{last} {line}", bulleted)
        elif line:
            blocks.append((line[bullet.end() :] if bullet else line, bullet is not None))
        first = following.split(" ", 1)[0]
        fits = len(line) + 1 + len(first) < 0.8 * width and not line.endswith((",", "-"))
        wraps = bool(line and following) and not row and not line.endswith(":") and (not fits or following[0].islower())
    return [(block, bulleted) for block, bulleted in blocks if block]


def _pieces(block: str) -> list[str]:
    """Return the sentences of a paragraph; what is too long to quote is cut at semicolons, then anywhere."""
    pieces: list[str] = []
    for start, end in sentence_spans(block):
        sentence = block[start:end].strip()
        for part in [sentence] if len(sentence) <= _LONGEST else re.split(r"(?<=;)\s+", sentence):
            pieces += [part[i : i + _LONGEST].strip() for i in range(0, len(part), _LONGEST)]
    return [piece for piece in pieces if piece]
