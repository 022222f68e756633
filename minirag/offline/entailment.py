"""How well a passage covers a statement, word by word: the score behind the judge's verdict, and what lowers it.

No parser, no learned vectors. A statement is aligned with the best window of neighbouring sentences; what the window
lacks lowers the score by a logistic model over four counts, and a number, name, negation or opposite that disagrees
divides it by ten. The text of an excerpt is only ever compared, never obeyed.

>>> passage = Passage(["Revenue of the Hopper unit rose to $5 million in 2021."])
>>> passage.judge("Revenue of the Hopper unit rose to $5,000,000 in 2021.").supported
True
>>> passage.judge("Revenue of the Hopper unit rose to $6 million in 2021.").reason
'number not found: $6 million'
"""

import math
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minirag.offline.lexicon import CJK, ENGLISH, STOP_WORDS, weight, words
from minirag.text import sentence_spans

# A logistic regression of BEGIN's replies (begin-wow) with both classes weighted alike, rounded; `scripts/quality`
# measures it. Disorder is the exception: -0.5 was chosen by hand because it helps on halueval-qa.
_BIAS, _MISSING, _UNCOVERED, _GRAMMAR, _DISORDER = 3.0, -1.8, -3.2, -0.4, -0.5

THRESHOLD = 0.5
"""A statement whose score is at least this follows from the excerpts."""

_PIECE = 40  # tokens: a table has no sentence ends, and one endless sentence would hold every number
_NEAR = 6  # tokens within which two neighbours of a statement must stand in the window
_FAULT = 0.1  # factor on the score where something disagrees

_TOKEN = re.compile(
    rf"""
      (?P<currency>[$€£¥]?) (?<![^\W{CJK}])(?<!\.) (?P<figure>\d+(?:,\d{{3}})*(?:\.\d+)?)
         (?:(?:st|nd|rd|th|s)\b|(?P<percent>\s?%))? (?:\s(?P<scale>percent|thousand|million|billion|trillion)\b)?
    | [{CJK}]+
    | [^\W_{CJK}]+(?:(?<=\b\w)\.(?=\w\b)\w)*(?:&\w+)?(?:['’]\w+)?
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SCALES = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
_NEGATIONS = frozenset("not no never neither nor none without".split())
_HEDGES = frozenset("may might could".split())
_OPPOSITES: dict[str, set[str]] = {}
for _pair in ENGLISH["opposites"].split(","):
    _left, _right = words(_pair)
    _OPPOSITES.setdefault(_left, set()).add(_right)
    _OPPOSITES.setdefault(_right, set()).add(_left)


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


class _Aligned(NamedTuple):
    """A token of a statement, what can stand for it anywhere in the excerpts, and where that stands in the window."""

    token: Token
    keys: list[str]
    places: list[int]


class Verdict(NamedTuple):
    """Whether a statement follows, at most twelve words why, and the score in [0, 1] behind it."""

    supported: bool
    reason: str
    score: float


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
        if match["figure"]:
            number = _number(match)
            tokens.append(Token(surface, f"#{number.value:.12g}", "number", number))
            continue
        # the first word of a sentence is a name only if a capitalised word follows it
        inner = i > 0 or any(m.group()[0].isupper() for m in matches[1:2])
        for key in filter(None, words(surface)):
            if key.isdecimal() and len(key) < 4:  # two, twelve
                tokens.append(Token(surface, f"#{int(key)}", "number", Number(float(key), 0.0, "")))
            else:
                kind = "grammar" if key in STOP_WORDS else "name" if surface[0].isupper() and inner else "content"
                tokens.append(Token(surface, key, kind))
    return tuple(tokens)


def _number(match: re.Match[str]) -> Number:
    figure, scale_word = match["figure"].replace(",", ""), (match["scale"] or "").lower()
    scale = _SCALES.get(scale_word, 1.0)
    slack = 0.5 * scale / 10 ** len(figure.partition(".")[2]) if scale > 1 else 0.0
    return Number(
        float(figure) * scale, slack, "%" if match["percent"] or scale_word == "percent" else match["currency"]
    )


def are_equal(stated: Number, printed: Number) -> bool:
    """Return whether the values are equal; a scaled figure may be rounded, or stand in a table headed by its scale."""
    if stated.unit and printed.unit and stated.unit != printed.unit:
        return False
    if stated.slack == 0:
        return abs(stated.value - printed.value) <= 1e-9 * stated.value
    scales = (1.0,) if printed.slack or printed.value < 100 else (1.0, *_SCALES.values())
    return any(abs(stated.value - printed.value * scale) <= stated.slack for scale in scales)


class Passage:
    """Excerpts, made ready to judge any number of statements."""

    def __init__(self, excerpts: Sequence[str]) -> None:
        self.pieces: list[tuple[Token, ...]] = []
        for excerpt in excerpts:
            for start, end in sentence_spans(excerpt):
                tokens = tokenise(excerpt[start:end])
                self.pieces += [tokens[i : i + _PIECE] for i in range(0, len(tokens), _PIECE)]
        self.places: dict[str, set[int]] = {}
        self.numbers: dict[str, set[Number]] = {}
        for i, piece in enumerate(self.pieces):
            for token in piece:
                self.places.setdefault(token.key, set()).add(i)
                if token.kind == "number":
                    self.numbers.setdefault(token.key, set()).add(token.number)

    def judge(self, statement: str) -> Verdict:
        """Return whether a statement follows from the excerpts together, and why.

        "question? answer" is judged by its answer alone, "question? yes" by its question, and "question? no" is the
        opposite of that.
        """
        match = re.match(r"(.+?)[?？]\s*(?=\S)", statement, re.DOTALL)
        question, answer = (match[1], statement[match.end() :]) if match else ("", statement)
        word = answer.strip(" .!。").lower()
        is_yes_or_no = bool(question) and word in {"yes", "no"}
        score, matching, differing = self._score(question if is_yes_or_no else answer)
        score = 1 - score if is_yes_or_no and word == "no" else score
        reason = f"matches: {matching}" if score >= THRESHOLD else differing
        return Verdict(score >= THRESHOLD, " ".join(reason.split()[:12]), score)

    def _score(self, statement: str) -> tuple[float, str, str]:
        """Return the score of a statement, how the best window starts, and what it lacks or contradicts."""
        stated = tokenise(statement)
        if not self.pieces or not stated:
            return 0.0, "", "nothing to compare"
        weights = np.array([1.0 if token.kind == "number" else weight(token.key) for token in stated])
        matches = [self._matches(token) for token in stated]
        window, covered = self._window(matches, weights)
        lacks = weights * (1 - covered)
        heaviest = int(lacks.argmax())
        places: dict[str, list[int]] = {}
        for i, token in enumerate(window):
            places.setdefault(token.key, []).append(i)
        aligned = [
            _Aligned(token, keys, [i for key in keys for i in places.get(key, ())])
            for token, keys in zip(stated, matches, strict=True)
        ]
        fault = _fault(aligned, window)
        log_odds = _log_odds(aligned, float(lacks.sum()), float(weights.sum()))
        score = (_FAULT if fault else 1.0) / (1 + math.exp(-max(-30.0, min(30.0, log_odds))))
        missing = stated[heaviest].text if lacks[heaviest] > 0.02 else "these words together"
        return score, " ".join(token.text for token in window[:8]), fault or f"not in the excerpts: {missing}"

    def _matches(self, token: Token) -> list[str]:
        """Return the keys of this passage that can stand for `token`."""
        if token.kind == "number":
            return [k for k, numbers in self.numbers.items() if any(are_equal(token.number, n) for n in numbers)]
        return [token.key] if token.key in self.places else []

    def _window(
        self, matches: list[list[str]], weights: NDArray[np.float64]
    ) -> tuple[list[Token], NDArray[np.float64]]:
        """Return the tokens of the neighbouring pieces that cover most, and for each stated token 1.0 if they do."""
        present = np.zeros((len(self.pieces), len(matches)))
        for column, keys in enumerate(matches):
            for key in keys:
                present[list(self.places[key]), column] = 1.0
        best, choice, covered_there = -1.0, slice(0, 1), present[0]
        covered = present
        for width in range(1, min(len(self.pieces), 3) + 1):
            if width > 1:
                covered = np.maximum(covered[:-1], present[width - 1 :])
            totals = covered @ weights - 0.02 * (width - 1) * weights.sum()
            top = int(totals.argmax())
            if totals[top] > best:
                best, choice, covered_there = float(totals[top]), slice(top, top + width), covered[top]
        return [token for piece in self.pieces[choice] for token in piece], covered_there


def _log_odds(stated: Sequence[_Aligned], lack: float, weight: float) -> float:
    """Return the log-odds that a statement follows; for a sentence of the window itself they are the bias alone."""
    grammar = {a.token.key for a in stated if a.token.kind == "grammar" and not a.places}
    heavy = [a.places for a in stated if a.token.kind != "grammar" and a.places]
    apart = sum(not any(0 < j - i <= _NEAR for i in one for j in other) for one, other in pairwise(heavy))
    disorder = apart / max(1, len(heavy) - 1)
    uncovered = lack / max(weight, 1e-9)
    return _BIAS + _MISSING * lack + _UNCOVERED * uncovered + _GRAMMAR * len(grammar) + _DISORDER * disorder


def _fault(stated: Sequence[_Aligned], window: Sequence[Token]) -> str:
    """Return the first disagreement between a statement and its window, in words; empty if there is none."""
    window_keys = {token.key for token in window}
    for token, keys, places in stated:
        if token.kind == "number" and not places:
            return f"number not found: {token.text}"
        if token.kind == "name" and not keys:
            return f"name not found: {token.text}"
        if not places and _OPPOSITES.get(token.key, set()) & window_keys:
            return f"opposite of the excerpt: {token.text}"
    tokens = [aligned.token for aligned in stated]
    for i, (token, _, places) in enumerate(stated):
        if token.kind == "grammar" or not places:
            continue
        if _follows(_NEGATIONS, tokens, i) not in {_follows(_NEGATIONS, window, place) for place in places}:
            return f"negation differs at: {token.text}"
        if not _follows(_HEDGES, tokens, i) and all(_follows(_HEDGES, window, place) for place in places):
            return f"only possible in the excerpt: {token.text}"
    return _replaced(stated, window)


def _replaced(stated: Sequence[_Aligned], window: Sequence[Token]) -> str:
    """Return a name, number or opposite that stands between the same two words as another one in the window."""
    heavy = [token for token in window if token.kind != "grammar"]
    rank = list(accumulate(token.kind != "grammar" for token in window))  # how many of `heavy` up to here
    words = [aligned for aligned in stated if aligned.token.kind != "grammar"]
    for before, (token, keys, _), after in zip(words, words[1:], words[2:], strict=False):
        opposites = _OPPOSITES.get(token.key, set())
        gaps = [(rank[i], rank[j] - 1) for i in before.places for j in after.places if 2 <= rank[j] - rank[i] <= 3]
        between = [other for start, end in gaps for other in heavy[start:end]]
        others = [o for o in between if o.key in opposites or o.kind == token.kind != "content"]
        if others and not any(other.key in keys for other in between):
            return f"{token.text} instead of {others[0].text}"
    return ""


def _follows(cues: frozenset[str], tokens: Sequence[Token], place: int) -> bool:
    """Return whether one of `cues` stands before this content word with only grammar between."""
    for token in reversed(tokens[max(0, place - 5) : place]):
        if token.key in cues:
            return True
        if token.kind != "grammar":
            return False
    return False
