"""Apart. A hashed lexical embedding: which words a text has and how much they tell, as one unit vector.

Texts that share rare words have a high cosine. Nothing is trained and no corpus is read: each text is embedded
alone, so a question and the passage that answers it still meet when they are embedded years apart.

>>> question, answer, other = embed(["Who audits the company?", "PwC audits the company.", "Rain fell on the hills."])
>>> bool(question @ answer > 0.2 > 0.1 > question @ other)
True
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from minirag.offline.lexicon import STOP_WORDS, weight, words

DIMENSIONS = 4096
"""Length of a vector unless the caller asks for another; with fewer, more words fall on the same number."""

_PAIR = 0.5
"""What two neighbouring words count beside the two alone: they add word order, and noise as all features do."""

_UNSAID = 4.0
"""Length of the part of a text that is no question which no other text shares, about that of 30 different words.

Without it a title of three words is closer to every question with one of them than the page that answers it."""


@lru_cache(maxsize=1 << 17)
def _feature(*pair: str) -> tuple[int, float]:
    """Where a word or pair of words goes, and its value there: signed, so that collisions cancel on average.

    The square root is taken because a shared feature counts in both texts: the product is its weight.
    """
    place = int.from_bytes(hashlib.blake2b(" ".join(pair).encode(), digest_size=8).digest(), "little")
    value = float(np.prod([weight(word) for word in pair])) ** (0.5 / len(pair))
    return place >> 1, (value if len(pair) == 1 else _PAIR * value) * (1 if place & 1 else -1)


def _said(found: list[str], dimensions: int) -> NDArray[np.float64]:
    """The sum of all features of the words `found`; a repeated one counts more, but never twice."""
    content = [word for word in found if word not in STOP_WORDS] or found
    counts = Counter[tuple[str, ...]](zip(content, strict=True))
    counts.update(pairwise(content))
    if not counts:
        return np.zeros(dimensions)
    features = [_feature(*pair) for pair in counts]
    places = [place % dimensions for place, _ in features]
    times = np.fromiter(counts.values(), float, len(counts))
    return np.bincount(places, [value for _, value in features] * (2 * times / (1 + times)), dimensions)


def _unsaid(found: list[str], dimensions: int) -> NDArray[np.float64]:
    """A vector of length `_UNSAID` that points nowhere near that of other words."""
    stream = hashlib.shake_128(" ".join(found).encode()).digest(dimensions // 8 + 1)
    signs = 2.0 * np.unpackbits(np.frombuffer(stream, np.uint8), count=dimensions) - 1
    return signs * (_UNSAID / dimensions**0.5)


def _vector(text: str, dimensions: int) -> NDArray[np.float64]:
    found = words(text)
    vector = _said(found, dimensions)
    if not (text.rstrip().endswith(("?", "？", "؟")) and vector.any()):
        vector += _unsaid(found, dimensions)
    return vector / np.linalg.norm(vector)


def embed(texts: Sequence[str], dimensions: int = DIMENSIONS) -> NDArray[np.float32]:
    """One row per text: float32 of shape (len(texts), dimensions), each of unit length.

    A row depends on its own text alone, and only on the text's words and on whether it ends as a question.
    All texts without a word, the empty one included, share one row. `dimensions` is at least 1.

    >>> embed(["Net income", "net  INCOME!", ""], 256).round(3)[:, :2].tolist()
    """
    rows = np.empty((len(texts), dimensions), np.float32)
    for i, text in enumerate(texts):
        rows[i] = _vector(text, dimensions)
    return rows
