"""Finds texts that (nearly) repeat an earlier one, without comparing each with all others."""

import hashlib
import zlib
from collections.abc import Hashable
from functools import cache
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from minirag.curation.quantities import values
from minirag.text import words

Key = TypeVar("Key", bound=Hashable)
NEAR = 0.8
BANDS, ROWS = 8, 8
"""64 hashes; texts are compared if all 8 of one band agree: 98.9 % of those with 0.9 in common, 17 % at 0.6."""
MAX_COMPARED = 8
"""Earlier texts compared per band; the lines of a file made from a template would all be compared otherwise."""


class NearDuplicates(Generic[Key]):
    """Remembers texts by a key, in over 2 kB each; `add` returns the key of the earliest text that is nearly the same.

    Nearly the same means: the same numbers, and a Jaccard similarity of their word pairs of at least `NEAR`, estimated
    by MinHash (Broder 1997).

    >>> texts = NearDuplicates()
    >>> texts.add(1, "The fare is 3 euros."), texts.add(2, "the fare is 3 Euros"), texts.add(3, "The fare is 4 euros.")
    (None, 1, None)
    """

    def __init__(self) -> None:
        self._keys: list[Key] = []
        self._numbers: list[bytes] = []
        self._hashes: list[bytes] = []
        self._bands: dict[bytes, tuple[int, ...]] = {}  # tuples of one: smaller than lists

    def add(self, key: Key, text: str) -> Key | None:
        """Remember `text` under `key`; return the key of the earliest text that is nearly the same, None if none is."""
        numbers = hashlib.sha256(" ".join(sorted(values(text))).encode()).digest()[:8]
        hashes = _min_hashes(words(text))
        bands = [bytes([band]) + row.tobytes() for band, row in enumerate(hashes)]
        similar = sorted({place for band in bands for place in self._bands.get(band, ())})
        near = next((self._keys[place] for place in similar if self._is_near(place, numbers, hashes)), None)
        for band in bands:
            places = self._bands.get(band, ())
            if len(places) < MAX_COMPARED:
                self._bands[band] = (*places, len(self._keys))
        self._keys.append(key)
        self._numbers.append(numbers)
        self._hashes.append(hashes.tobytes())
        return near

    def _is_near(self, place: int, numbers: bytes, hashes: NDArray[np.uint32]) -> bool:
        agreeing = np.frombuffer(self._hashes[place], np.uint32) == hashes.ravel()
        return self._numbers[place] == numbers and bool(agreeing.mean() >= NEAR)


def _min_hashes(text: list[str]) -> NDArray[np.uint32]:
    """Return the minimum of each hash function over the word pairs, of shape (BANDS, ROWS)."""
    pairs = zip(["", *text], [*text, ""], strict=True)
    codes = np.array([zlib.crc32(f"{a} {b}".encode("utf-8", "surrogatepass")) for a, b in pairs], np.uint64)
    hashed = (codes[:, None] * _multipliers()) >> np.uint64(32)  # the overflow of the product mixes the bits
    return np.asarray(hashed.min(axis=0), np.uint32).reshape(BANDS, ROWS)


@cache  # made at first use: loading numpy.random would slow down all other commands
def _multipliers() -> NDArray[np.uint64]:
    """Return an odd number for each hash function, the same in every process."""
    return np.random.default_rng(0).integers(1, 1 << 63, BANDS * ROWS, dtype=np.uint64) | np.uint64(1)
