"""Row 2. Finds texts that were seen before, word for word or nearly, among any number of them in constant memory.

Nearly means: the same numbers, and word pairs in common ÷ word pairs of both (Jaccard) of `NEAR` or more, estimated
by MinHash (Broder 1997). What was seen lies in a temporary database on disk, which goes with the object.

>>> seen = NearDuplicates()
>>> seen.add(1, "The fare is 3 euros."), seen.add(2, "the fare is 3 Euros"), seen.add(3, "The fare is 4 euros.")
(None, 1, None)
"""

import hashlib
import sqlite3
import zlib
from functools import cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from minirag.curation.quantities import values
from minirag.text import words

NEAR = 0.8
BANDS, ROWS = 8, 8
"""64 hashes; two texts are compared where all 8 of one band agree: 98.9 % of those with 0.9 in common, 17 % at 0.6."""
MOST_COMPARED = 8
"""Earlier texts that one band may ask for: files made from a template would compare each line with all others."""


class _OnDisk:
    """A temporary database with these tables, for one thread."""

    def __init__(self, *tables: str) -> None:
        # an empty name is a private file that SQLite deletes; nothing in it must survive a crash
        self._database = sqlite3.connect("", isolation_level=None)
        for statement in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", *tables, "BEGIN"):
            self._database.execute(statement)

    def close(self) -> None:
        """Give the disk space back."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class FirstSeen(_OnDisk):
    """Remembers what each text was first seen with.

    >>> first = FirstSeen()
    >>> first.add("Who?", 1, "Ann."), first.add("Who?", 2, "Bob.")
    (None, (1, 'Ann.'))
    """

    def __init__(self) -> None:
        super().__init__("CREATE TABLE first (key BLOB PRIMARY KEY, number INTEGER, value TEXT) WITHOUT ROWID")

    def add(self, text: str, number: int, value: str) -> tuple[int, str] | None:
        """The number and value that `text` was first seen with; None if it is seen now for the first time."""
        key = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        found = self._database.execute("SELECT number, value FROM first WHERE key = ?", (key,)).fetchone()
        if found is None:
            self._database.execute("INSERT INTO first VALUES (?, ?, ?)", (key, number, value))
        return None if found is None else (int(found[0]), str(found[1]))


class NearDuplicates(_OnDisk):
    """Remembers numbered texts; `add` names the earliest that is (nearly) the same, or None."""

    def __init__(self) -> None:
        super().__init__(
            "CREATE TABLE sketch (number INTEGER PRIMARY KEY, figures BLOB, hashes BLOB)",
            "CREATE TABLE band (key BLOB, number INTEGER, PRIMARY KEY (key, number)) WITHOUT ROWID",
        )

    def add(self, number: int, text: str) -> int | None:
        """Remember `text` as `number`; the earliest number whose text is nearly the same, or None."""
        figures = hashlib.sha256(" ".join(sorted(values(text))).encode()).digest()[:8]
        hashes = _min_hashes(words(text))
        keys = [bytes([band]) + hashes[band].tobytes() for band in range(BANDS)]
        found = {
            earlier
            for key in keys
            for (earlier,) in self._database.execute(
                "SELECT number FROM band WHERE key = ? ORDER BY number LIMIT ?", (key, MOST_COMPARED)
            )
        }
        near = next((earlier for earlier in sorted(found) if self._is_near(earlier, figures, hashes)), None)
        self._database.execute("INSERT INTO sketch VALUES (?, ?, ?)", (number, figures, hashes.tobytes()))
        self._database.executemany("INSERT OR IGNORE INTO band VALUES (?, ?)", [(key, number) for key in keys])
        return near

    def _is_near(self, number: int, figures: bytes, hashes: NDArray[np.uint32]) -> bool:
        query = "SELECT figures, hashes FROM sketch WHERE number = ?"
        its_figures, its_hashes = self._database.execute(query, (number,)).fetchone()
        agreeing = np.frombuffer(its_hashes, np.uint32) == hashes.ravel()
        return bool(its_figures == figures and agreeing.mean() >= NEAR)


def _min_hashes(text: list[str]) -> NDArray[np.uint32]:
    """The smallest of each hash over the word pairs, uint32 of shape (BANDS, ROWS)."""
    pairs = zip(["", *text], [*text, ""], strict=True)
    codes = np.array([zlib.crc32(f"{a} {b}".encode("utf-8", "surrogatepass")) for a, b in pairs], np.uint64)
    hashed = (codes[:, None] * _multipliers()) >> np.uint64(32)  # multiplication wraps around, which is what mixes
    return np.asarray(hashed.min(axis=0), np.uint32).reshape(BANDS, ROWS)


@cache  # at the first use, as most commands have none and are spared the loading of numpy.random
def _multipliers() -> NDArray[np.uint64]:
    """One odd number for each hash, the same in every process."""
    return np.random.default_rng(0).integers(1, 1 << 63, BANDS * ROWS, dtype=np.uint64) | np.uint64(1)
