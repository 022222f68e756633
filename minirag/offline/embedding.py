"""A hashed lexical embedding: which words a text has and how rare they are, as one unit vector.

Texts that share rare words have a high cosine. Nothing is trained and no corpus is read: each text is embedded
alone, so a question and the passage that answers it still meet when they are embedded years apart.

>>> question, answer, other = embed(["Who audits the company?", "PwC audits the company.", "Rain fell on the hills."])
>>> bool(question @ answer > 0.2 > 0.1 > question @ other)
True
"""

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from minirag.offline.lexicon import STOP_WORDS, weight, words

DIMENSIONS = 4096
"""Length of a vector unless the caller asks for another; with fewer, more words fall on the same number."""

_PAIR = 0.5  # what two neighbouring words count beside the two alone: they add word order
_OWN_LENGTH, _TITLE = 4.0, 12
"""A text that is not a question gets a part of this length that it shares with no other; shorter texts have less of it.

Without it a title of ten words would be closer to any question with two of them than the page that answers it."""


@lru_cache(maxsize=1 << 17)
def _feature(*pair: str) -> tuple[bytes, float]:
    """Return 16 fixed bytes that say where a word or a pair of words goes, and what it counts there."""
    value = math.prod(map(weight, pair)) ** (0.5 / len(pair))  # a root, because a shared feature counts in both texts
    return hashlib.blake2b(" ".join(pair).encode(), digest_size=16).digest(), value if len(pair) == 1 else _PAIR * value


def embed(texts: Sequence[str], dimensions: int = DIMENSIONS) -> NDArray[np.float32]:
    """Return one row per text: float32 of shape (len(texts), dimensions), each of unit length.

    A row depends on its own text's words in order, and on whether it ends with a question mark. All texts without a
    word share one row.
    """
    rows = np.empty((len(texts), dimensions), np.float32)
    for i, text in enumerate(texts):
        all_words = words(text)
        content = [word for word in all_words if word not in STOP_WORDS] or all_words

        # The features of all words. A repeated one counts more, but never twice as much; each goes to four places,
        # with a sign each, so that two features seldom meet in more than one.
        counts = Counter[tuple[str, ...]]([(word,) for word in content])
        counts.update(pairwise(content))
        features = [_feature(*pair) for pair in counts]
        codes = np.frombuffer(b"".join(code for code, _ in features), "<u4").reshape(-1, 4)
        times = np.array(list(counts.values()), float)
        values = np.array([value for _, value in features]) * 2 * times / (1 + times)
        signed = np.where(codes & 1, 0.5, -0.5) * values[:, None]
        vector = np.bincount(((codes >> 1) % dimensions).ravel(), signed.ravel(), dimensions).astype(float)

        # A unit vector that points elsewhere for any other words.
        stream = hashlib.shake_128(" ".join(content).encode()).digest(dimensions // 8 + 1)
        bits = np.unpackbits(np.frombuffer(stream, np.uint8), count=dimensions)
        own = np.where(bits, 1.0, -1.0) / math.sqrt(dimensions)
        if not text.rstrip().endswith(("?", "？", "؟")):
            vector += _OWN_LENGTH * min(1.0, len(content) / _TITLE) * own
        if not vector.any():  # a text without a word, or all of few dimensions cancel
            vector = own
        rows[i] = vector / np.linalg.norm(vector)
    return rows
