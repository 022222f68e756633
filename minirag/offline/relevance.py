"""Apart. Which sentences and excerpts have to do with a question, told by the weight of the words they share.

>>> needed(["The tram opened in 1987.", "It rained a lot."], "When did the tram open?")
[1]
"""

from collections.abc import Sequence
from math import fsum

from minirag.offline.lexicon import content_words, weight
from minirag.sentences import sentence_spans

SHARE = 0.4
"""Share of the weight of a question's words from which a sentence has to do with it."""


def needed(sentences: Sequence[str], question: str) -> list[int]:
    """The numbers (from 1) of the sentences that a question asks about."""
    return [number for number, text in enumerate(sentences, 1) if _share(question, text) >= SHARE]


def useful(excerpts: Sequence[str], question: str, answer: str) -> list[tuple[bool, str]]:
    """For each excerpt: whether one of its sentences holds much of the answer or the question, and why."""
    return [_useful(excerpt, question, answer) for excerpt in excerpts]


def _useful(excerpt: str, question: str, answer: str) -> tuple[bool, str]:
    sentences = [excerpt[start:end] for start, end in sentence_spans(excerpt)]
    shares = [max(_share(answer, text), _share(question, text)) for text in sentences]
    best = max(range(len(shares)), key=shares.__getitem__, default=None)
    if best is None or shares[best] < SHARE:
        return False, "no sentence shares enough with question or answer"
    return True, "says: " + " ".join(sentences[best].split()[:9])


def _share(asked: str, text: str) -> float:
    """Weight of the words of `asked` that `text` holds ÷ weight of all of them."""
    words, held = set(content_words(asked)), set(content_words(text))
    total = fsum(map(weight, words))  # the order of a set differs from process to process, an exact sum does not
    return fsum(weight(word) for word in words & held) / total if total else 0.0
