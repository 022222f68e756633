"""Which examples are worth training on: each gets the reason why it is not, or none.

The rules read the texts alone, so they judge the log of a run and any chat file alike. No model is asked: whether an
example was rightly dropped can be checked by reading it.
"""

import hashlib
import zlib
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from minirag.curation.answers import ADDS, abstains, classify, reference, unsupported_names
from minirag.curation.quantities import unsupported, values
from minirag.curation.templates import Parts, parts
from minirag.text import words
from minirag.training import Example

MAX_PAGE_SHARE = 0.2
"""Of all examples, for one page; in a document of few pages, twice each page's even share."""


def curate(examples: Sequence[Example]) -> list[Example]:
    """Return the examples with `dropped`, `detail` and `refine` filled in, by the first rule that applies.

    Reasons: `refusal`, `refers to the context`, `repeats`, `paraphrase`, `loses facts`, `unsupported number`,
    `unsupported name`, `near-duplicate`, `too much of one page`. Examples that are dropped already stay as they are.
    """
    prompts = [parts(example.messages[:-1]) for example in examples]
    curated = [e if e.dropped else _by_itself(e, p) for e, p in zip(examples, prompts, strict=True)]
    for rule in (_inherited, _duplicates, _crowded_pages):
        for number, reason, detail in list(rule(curated, prompts)):
            curated[number] = replace(curated[number], dropped=reason, detail=detail)
    return curated


def _by_itself(example: Example, prompt: Parts) -> Example:
    """Apply the rules for which the other examples do not matter."""
    reply, kind = example.reply, None
    if prompt.existing is not None:
        kind = classify(prompt.existing, reply, prompt.question, prompt.context)
    source = f"{prompt.context}\n{prompt.existing or ''}"
    reason = detail = ""
    if abstains(reply):
        reason = "refusal"
    elif mention := reference(reply, prompt.context):
        reason, detail = "refers to the context", mention
    elif kind not in (None, ADDS):
        reason = str(kind)
    elif prompt.context and (numbers := unsupported(reply, source, prompt.question)):
        reason, detail = "unsupported number", ", ".join(numbers)
    elif prompt.context and (names := unsupported_names(reply, f"{source}\n{prompt.question}")):
        reason, detail = "unsupported name", ", ".join(names)
    return replace(example, dropped=reason, detail=detail, refine=kind)


Drops = Iterator[tuple[int, str, str]]
"""(number of an example, reason, detail)"""


def _inherited(examples: Sequence[Example], prompts: Sequence[Parts]) -> Drops:
    """Drop refine steps whose earlier answer, anywhere along the chain, holds what its excerpts do not."""
    bad = {tuple(words(e.reply)): e for e in examples if e.dropped.startswith("unsupported")}
    for number, (example, prompt) in enumerate(zip(examples, prompts, strict=True)):
        if not example.dropped and prompt.existing is not None:
            earlier = bad.get(tuple(words(prompt.existing)))
            if earlier is not None:
                bad[tuple(words(example.reply))] = earlier
                yield number, earlier.dropped, f"{earlier.detail}, in the answer that it refines"


def _duplicates(examples: Sequence[Example], prompts: Sequence[Parts]) -> Drops:
    """Drop repetitions of question and reply; the rest of the prompt is the same for all questions about a page."""
    earlier, numbers = NearDuplicates(), []
    for number, (example, prompt) in enumerate(zip(examples, prompts, strict=True)):
        if not example.dropped:
            kind = "" if prompt.existing is None else "refine "  # a refine step does not repeat its draft
            first = earlier.add(f"{kind}{prompt.question}\n{example.reply}")
            numbers.append(number)
            if first is not None:
                yield number, "near-duplicate", f"of example {numbers[first]}"


def _crowded_pages(examples: Sequence[Example], _: Sequence[Parts]) -> Drops:
    """Drop the last examples of a page that has too many."""
    pages = [(number, e.page) for number, e in enumerate(examples) if not e.dropped and e.page is not None]
    counts = Counter(page for _, page in pages)
    limit = max(MAX_PAGE_SHARE, 2 / len(counts)) * len(pages) if len(counts) > 1 else len(pages)
    taken: Counter[Hashable] = Counter()
    for number, page in pages:
        taken[page] += 1
        if taken[page] > limit:
            yield number, "too much of one page", f"{counts[page]} of {len(pages)} examples"


# -- near-duplicates ---------------------------------------------------------------------------------------

NEAR = 0.8
BANDS, ROWS = 8, 8
"""64 hashes; texts are compared if all 8 of one band agree: 98.9 % of those with 0.9 in common, 17 % at 0.6."""


class NearDuplicates:
    """Finds texts that nearly repeat an earlier one without comparing each with all others; keeps over 2 kB of each.

    Nearly the same means: the same numbers, and a Jaccard similarity of their word pairs of at least `NEAR`, estimated
    by MinHash (Broder 1997).

    >>> texts = NearDuplicates()
    >>> texts.add("The fare is 3 euros."), texts.add("the fare is 3 Euros"), texts.add("The fare is 4 euros.")
    (None, 0, None)
    """

    def __init__(self) -> None:
        self._hashes: list[bytes] = []
        self._bands: dict[bytes, int] = {}  # numbers, band and hashes in it → the first text with these

    def add(self, text: str) -> int | None:
        """Remember a text; return how many were added before the first that is nearly the same, None if none is."""
        numbers = hashlib.sha256(" ".join(sorted(values(text))).encode()).digest()[:8]
        hashes = _min_hashes(words(text))
        place = len(self._hashes)
        similar = {
            self._bands.setdefault(numbers + bytes([band]) + row.tobytes(), place) for band, row in enumerate(hashes)
        }
        self._hashes.append(hashes.tobytes())
        for other in sorted(similar - {place}):
            if np.mean(np.frombuffer(self._hashes[other], np.uint32) == hashes.ravel()) >= NEAR:
                return other
        return None


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
