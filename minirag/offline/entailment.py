"""How well a passage covers a statement, word by word: the score behind the judge's verdict, and what lowers it.

No parser, no learned vectors. A statement is aligned with the best window of neighbouring sentences; what the window
lacks lowers the score by a logistic model over five counts, and a number, name, negation or opposite that disagrees
divides it by ten. The text of an excerpt is only ever compared, never obeyed.

>>> passage = Passage(["Revenue of the Hopper unit rose to $5 million in 2021."])
>>> passage.judge("Revenue of the Hopper unit rose to $5,000,000 in 2021.").fault
''
>>> passage.judge("Revenue of the Hopper unit rose to $6 million in 2021.").fault
'number not found: $6 million'
"""

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minirag.offline.lexicon import weight, words
from minirag.offline.tokens import NEGATIONS, Number, Token, are_equal, tokenise
from minirag.text import sentence_spans

COEFFICIENTS = {"bias": 3.0, "missing": -1.8, "uncovered": -3.2, "grammar": -0.4, "speaker": -2.5, "disorder": -0.5}
"""A logistic regression of BEGIN's replies (begin-wow) with both classes weighted alike, rounded; `scripts/quality`
measures it. Disorder is the exception: -0.5 was chosen by hand because it helps on halueval-qa."""

_PIECE = 40  # tokens: a table has no sentence ends, and one endless sentence would hold every number
_NEAR = 6  # tokens within which two neighbours of a statement must stand in the window
_ELSEWHERE = 0.5  # credit for a word that stands in the excerpts, but outside the window
_KIN = 0.7  # credit for a word that only begins the same: America, American
_ASKED = 0.25  # weight of the question's words in a statement "question? answer"
_FAULT = 0.1  # factor on the score where something disagrees

_HEDGES = frozenset("may might could".split())
_SPEAKERS = frozenset("i me my mine myself you your we our".split())
_OPPOSITES: dict[str, set[str]] = {}
for _pair in (
    "increase decrease,rise fall,grow shrink,grow decline,increase decline,high low,higher lower,more less,more few,"
    "gain loss,before after,above below,first last,large small,include exclude,allow prohibit,win lose,open close,"
    "start end,begin finish,accept reject,buy sell,strong weak,positive negative,maximum minimum,early late,up down,"
    "with without,always never,favorable unfavorable,true false,same different"
).split(","):
    _left, _right = words(_pair)
    _OPPOSITES.setdefault(_left, set()).add(_right)
    _OPPOSITES.setdefault(_right, set()).add(_left)


class Judgement(NamedTuple):
    """The score in [0, 1]; what disagrees; the heaviest word not found; how the best window starts; the counts."""

    score: float
    fault: str
    missing: str
    window: str
    counts: dict[str, float]


class Passage:
    """Excerpts, made ready to judge any number of statements."""

    def __init__(self, excerpts: Sequence[str]) -> None:
        self.pieces: list[tuple[Token, ...]] = []
        self.owners: list[int] = []
        self.quotes: set[str] = set()
        for owner, excerpt in enumerate(excerpts):
            for start, end in sentence_spans(excerpt):
                tokens = tokenise(excerpt[start:end])
                self.quotes.add(_wording(tokens))
                self.pieces += [tokens[i : i + _PIECE] for i in range(0, len(tokens), _PIECE)]
            self.owners += [owner] * (len(self.pieces) - len(self.owners))
        self.places: dict[str, set[int]] = {}
        self.numbers: dict[str, set[Number]] = {}
        self.kin: dict[str, set[str]] = {}
        for i, piece in enumerate(self.pieces):
            for token in piece:
                self.places.setdefault(token.key, set()).add(i)
                if token.kind == "number":
                    self.numbers.setdefault(token.key, set()).add(token.number)
                elif len(token.key) >= 5:
                    self.kin.setdefault(token.key[:5], set()).add(token.key)

    def _matches(self, token: Token) -> tuple[list[str], float]:
        """Return the keys of this passage that can stand for `token`, and the credit they give."""
        if token.kind == "number":
            near = self.numbers if token.number.slack else self.numbers.keys() & {token.key}
            return [key for key in near if any(are_equal(token.number, number) for number in self.numbers[key])], 1.0
        if token.key in self.places:
            return [token.key], 1.0
        if token.kind == "grammar" or len(token.key) < 5:
            return [], 0.0
        kin = self.kin.get(token.key[:5], ())
        return [key for key in kin if 0.6 < len(key) / len(token.key) < 1.7], _KIN

    def judge(self, statement: str) -> Judgement:
        """Score one statement; "question? answer" is judged by its answer, its question only guides the alignment."""
        question, answer = split_question(statement)
        stated = tokenise(answer)
        tokens = (*(t for t in tokenise(question) if t.kind != "grammar"), *stated)
        if not self.pieces or not stated:
            return Judgement(0.0, "nothing to compare", "", "", dict.fromkeys(COEFFICIENTS, 0.0))
        shares = np.array([_ASKED] * (len(tokens) - len(stated)) + [1.0] * len(stated))
        weights = shares * np.array([_weight(token) for token in tokens])
        matches = [self._matches(token) for token in tokens]
        begin, end, credit = self._window(matches, weights)
        window = tuple(token for piece in self.pieces[begin:end] for token in piece)
        places: dict[str, list[int]] = {}
        for i, token in enumerate(window):
            places.setdefault(token.key, []).append(i)
        spots = [[i for key in keys for i in places.get(key, ())] for keys, _ in matches]
        lacks = weights * (1 - credit)
        own = slice(len(tokens) - len(stated), None)
        counts = _counts(tokens[own], spots[own], lacks, weights)
        quoted = _wording(stated) in self.quotes
        fault = "" if quoted else _fault(tokens[own], spots[own], [keys for keys, _ in matches[own]], window, places)
        z = sum(COEFFICIENTS[name] * value for name, value in counts.items())
        heaviest = int(lacks.argmax())
        return Judgement(
            score=(_FAULT if fault else 1.0) / (1 + math.exp(-max(-30.0, min(30.0, z)))),
            fault=fault,
            missing=tokens[heaviest].text if lacks[heaviest] > 0.02 else "",
            window=" ".join(token.text for token in window[:8]),
            counts=counts,
        )

    def _window(
        self, matches: list[tuple[list[str], float]], weights: NDArray[np.float64]
    ) -> tuple[int, int, NDArray[np.float64]]:
        """Return the run of neighbouring pieces that covers most, as (begin, end), and each token's credit there."""
        present = np.zeros((len(self.pieces), len(matches)))
        for column, (keys, credit) in enumerate(matches):
            for key in keys:
                present[list(self.places[key]), column] = credit
        elsewhere = _ELSEWHERE * present.max(axis=0)
        best, choice = -1.0, (0, 1)
        covered = present
        for width in range(1, max(3, len(matches) // _PIECE + 2) + 1):
            if width > 1:
                covered = np.maximum(covered[:-1], present[width - 1 :])
            if not len(covered):
                break
            totals = covered @ weights - 0.02 * (width - 1) * weights.sum()
            top = int(totals.argmax())
            while self.owners[top] != self.owners[top + width - 1] and totals[top] > -1:
                totals[top] = -2
                top = int(totals.argmax())
            if totals[top] > best:
                best, choice, credit_there = float(totals[top]), (top, top + width), covered[top]
        return *choice, np.maximum(credit_there, elsewhere)


def split_question(statement: str) -> tuple[str, str]:
    """Split a statement written "question? answer"; the question is empty where there is none."""
    match = re.match(r"(.+?[?？])\s*(?=\S)", statement, re.DOTALL)
    return (match.group(1), statement[match.end() :]) if match else ("", statement)


def _wording(tokens: Sequence[Token]) -> str:
    return " ".join(token.text.casefold() for token in tokens)


def _weight(token: Token) -> float:
    return 1.0 if token.kind == "number" else weight(token.key)


def _counts(
    stated: Sequence[Token], spots: list[list[int]], lacks: NDArray[np.float64], weights: NDArray[np.float64]
) -> dict[str, float]:
    """Return what the logistic model reads: each is 0 for a sentence of the window itself, the bias aside."""
    grammar = {t.key for t, spot in zip(stated, spots, strict=True) if t.kind == "grammar" and not spot}
    heavy = [spot for t, spot in zip(stated, spots, strict=True) if t.kind != "grammar" and spot]
    apart = sum(not any(0 < j - i <= _NEAR for i in x for j in y) for x, y in pairwise(heavy))
    return {
        "bias": 1.0,
        "missing": float(lacks.sum()),
        "uncovered": float(lacks.sum() / max(weights.sum(), 1e-9)),
        "grammar": float(len(grammar - _SPEAKERS)),
        "speaker": float(len(grammar & _SPEAKERS)),
        "disorder": apart / max(1, len(heavy) - 1),
    }


def _fault(
    stated: Sequence[Token],
    spots: list[list[int]],
    keys: list[list[str]],
    window: Sequence[Token],
    places: dict[str, list[int]],
) -> str:
    """Return the first disagreement between a statement and its window, in words; empty if there is none."""
    for token, spot, anywhere in zip(stated, spots, keys, strict=True):
        if token.kind == "number" and not spot:
            return f"number not found: {token.text}"
        if token.kind == "name" and not anywhere:
            return f"name not found: {token.text}"
        if not spot and _OPPOSITES.get(token.key, set()) & places.keys():
            return f"opposite of the excerpt: {token.text}"
    for i, (token, spot) in enumerate(zip(stated, spots, strict=True)):
        if token.kind == "grammar" or not spot:
            continue
        if _follows(NEGATIONS, stated, i) not in {_follows(NEGATIONS, window, place) for place in spot}:
            return f"negation differs at: {token.text}"
        if not _follows(_HEDGES, stated, i) and all(_follows(_HEDGES, window, place) for place in spot):
            return f"only possible in the excerpt: {token.text}"
    return _replaced([(t, set(k), spot) for t, k, spot in zip(stated, keys, spots, strict=True)], window)


def _replaced(stated: list[tuple[Token, set[str], list[int]]], window: Sequence[Token]) -> str:
    """Return a name, number or opposite that stands between the same two words as another one in the window."""
    heavy = [i for i, token in enumerate(window) if token.kind != "grammar"]
    rank = {place: i for i, place in enumerate(heavy)}
    heavy_stated = [
        (token, keys, [i for i in spot if i in rank]) for token, keys, spot in stated if token.kind != "grammar"
    ]
    for (_, _, before), (token, keys, _), (_, _, after) in zip(
        heavy_stated, heavy_stated[1:], heavy_stated[2:], strict=False
    ):
        opposites = _OPPOSITES.get(token.key, set())
        if token.kind == "content" and not opposites:
            continue
        gaps = [(rank[i] + 1, rank[j]) for i in before for j in after if 2 <= rank[j] - rank[i] <= 3]
        inside = [[window[heavy[place]] for place in range(*gap)] for gap in gaps]
        others = [o for gap in inside for o in gap if o.key in opposites or o.kind == token.kind != "content"]
        if others and not any(other.key in keys for gap in inside for other in gap):
            return f"{token.text} instead of {others[0].text}"
    return ""


def _follows(cues: frozenset[str], tokens: Sequence[Token], place: int) -> bool:
    """Return whether one of `cues` stands before this content word with only grammar between."""
    for token in reversed(tokens[max(0, place - 5) : place]):
        if token.key in cues and not token.text[0].isupper():  # a capital stands in a title, or opens
            return True
        if token.kind != "grammar":
            return False
    return False
