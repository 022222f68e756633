"""Apart. A hashed lexical embedding: which words a text has and how much they tell, as one unit vector.

Texts that share rare words have a high cosine. There is no training and no corpus: each text is embedded alone,
so a question and the passage that answers it, embedded years apart, still meet.

>>> question, answer, other = embed(["Who audits the company?", "PwC audits the company.", "Rain fell on the hills."])
>>> bool(question @ answer > 0.5 > 0.1 > question @ other)
True
"""

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from minirag.offline.lexicon import content_words, weight, words

DIMENSIONS = 4096
"""Length of a vector unless the caller asks for another: the most that common vector databases index."""


@lru_cache(maxsize=1 << 18)
def _place(feature: str) -> int:
    """64 fixed bits for a feature: the low ones choose its dimension, the highest its sign."""
    return int.from_bytes(hashlib.blake2b(feature.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _features(text: str) -> dict[str, float]:
    found = content_words(text) or words(text) or [text]
    return {word: (weight(word) if word.strip() else 1.0) * (1 + math.log(n)) for word, n in Counter(found).items()}


def embed(texts: Sequence[str], dimensions: int = DIMENSIONS) -> NDArray[np.float32]:
    """One row of unit length per text, float32 of shape (len(texts), dimensions)."""
    rows = np.zeros((len(texts), dimensions), np.float32)
    for row, text in zip(rows, texts, strict=True):
        for feature, value in _features(text).items():
            place = _place(feature)
            row[place % dimensions] += value if place >> 63 else -value
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows
