"""Row 1. Finds the sets that have much in common with another, among thousands, without comparing it with each.

Two sets whose Jaccard similarity is at least `least` share one of the first words of both, in any order that is the
same for all, and the more alike they must be the fewer first words there are (prefix filtering: Chaudhuri, Ganti and
Kaushik 2006); and where the first that they share stands far back, too few are left to share (Xiao et al. 2008). So a
set is kept under those words only. Rare words come first; which they are is counted anew whenever there are twice as
many sets.

>>> seen = Similar(0.5, [["who", "runs", "the", "tram"], ["who", "runs", "the", "ferry"]])
>>> seen.first(["who", "runs", "a", "ferry"]), seen.first(["when", "does", "the", "ferry", "leave"])
(1, None)
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable

from minirag.text import jaccard

_NOTHING = ""
"""What the empty set is kept under: it is like itself only."""
_ROUNDING = 1e-9


class Similar:
    """Sets of words, numbered from 0 as they are added. Every answer is that of comparing with all of them.

    `sets` are added at once.
    """

    def __init__(self, least: float, sets: Iterable[Iterable[str]] = ()) -> None:
        self._least = least
        self._sets: list[frozenset[str]] = []
        self._kept: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        self._counts: Counter[str] = Counter()
        self._full = 1
        for words in sets:
            self.add(words)

    def add(self, words: Iterable[str]) -> None:
        """Remember a set under the next number."""
        self._sets.append(frozenset(words))
        if len(self._sets) < self._full:
            self._keep(len(self._sets) - 1)
            return
        self._counts = Counter(word for items in self._sets for word in items)
        self._kept.clear()
        for number in range(len(self._sets)):
            self._keep(number)
        self._full = 2 * len(self._sets)

    def _keep(self, number: int) -> None:
        for word, rest in self._first_words(self._sets[number]):
            self._kept[word].append((number, rest))

    def first(self, words: Iterable[str]) -> int | None:
        """The smallest number of a set whose similarity with this one is at least `least`; None if there is none."""
        items = frozenset(words)
        near = {
            number
            for word, rest in self._first_words(items)
            for number, its_rest in self._kept.get(word, ())
            if self._may_be_near(min(rest, its_rest), len(items) + len(self._sets[number]))
        }
        return next((number for number in sorted(near) if jaccard(items, self._sets[number]) >= self._least), None)

    def _may_be_near(self, common: int, both: int) -> bool:
        """Whether two sets of so many words together are near if they have so many in common, as they have at most."""
        return common >= self._least * (both - common) - _ROUNDING

    def _first_words(self, items: frozenset[str]) -> list[tuple[str, int]]:
        """Each with the number of words from it on."""
        common = math.ceil(self._least * len(items) - _ROUNDING)  # at least so many are in both
        ordered = sorted(items, key=lambda word: (self._counts[word], word))[: len(items) - common + 1]
        return [(word, len(items) - place) for place, word in enumerate(ordered)] or [(_NOTHING, 0)]
