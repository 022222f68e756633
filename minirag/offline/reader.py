"""The reader: it answers a question with the one to three sentences of the excerpts that fit it best.

Each sentence gets a handful of features between 0 and 1 (how much of the question it holds, where it stands, whether
it has the number, date or reason asked for). `Weights` turns them into a score, and a stop rule takes the best
sentences in the order of the document. The teacher and the student are this one program with other weights.
"""

import math
import re
from collections import Counter
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minirag.offline.lexicon import content_words, weight
from minirag.offline.prose import ENDS, Sentence, prose
from minirag.prompts import NOT_STATED, Prompt

_FIGURE = re.compile(r"(?<![\w.,/-])(?!(?:1\d|20)\d\d\b(?!,\d))\d[\d,]*(?:\.\d+)?(?![\w/-])")
"""A number, but no year and no part of a date, a range or a name."""
MOST_WORDS = 120
"""No sentence is added to an answer that it would make longer than this."""


@dataclass(frozen=True)
class Weights:
    """What a reader has learned: a weight per feature, and when to stop. A score is the log-odds of being quoted.

    The defaults are the teacher, a careful reader: set by hand with a look at regressions on CLAPNQ. `answer_above`
    was chosen on CLAPNQ itself, so figures measured there are not held out.
    """

    # The features, in this order.
    overlap: float = 1.2  # share of the question's content words in the sentence
    rare: float = 2.5  # the same, each word weighted by how rare it is
    focus: float = 1.2  # share of the sentence's own weight that the question asked for
    pairs: float = 1.0  # share of the question's neighbouring words that are neighbours here too
    context: float = 0.7  # what the heading and the sentence before add to `rare`
    lead: float = 0.7  # 1 for the first sentence of an excerpt, then falling
    rank: float = 0.3  # 1 in the first excerpt, then falling
    length: float = 0.8  # words, of 40
    whole: float = 1.0  # it starts like a sentence and ends like one
    figure: float = 0.6  # it has a number and the question asks how much
    date: float = 0.6  # it has a date and the question asks when
    cue: float = 0.5  # it has the wording that answers this kind of question (because, by, is a, …)
    name: float = 0.3  # it has a name that the question lacks, and the question asks who or where
    bias: float = -4.5  # 1 for every sentence
    # The stop rule, in the unit of the score.
    answer_above: float = -1.0  # below it the best sentence is no answer
    more_above: float = -1.2  # a further sentence must reach it
    within: float = 1.2  # and come this near to the best one
    add_above: float = 0.0  # what a sentence must reach to be added to an existing answer
    most: float = 3.0  # sentences in a first answer
    rounds: float = 0.0  # 1: figures are given to one digit

    def vector(self) -> NDArray[np.float64]:
        """Return one weight per feature, shape (14,)."""
        return np.array([getattr(self, name) for name in FEATURES])


FEATURES = tuple(field.name for field in fields(Weights))[:14]
TEACHER = Weights()
BASE = Weights(
    **dict.fromkeys(FEATURES, 0.0) | {"overlap": 1.0, "lead": 0.7},
    answer_above=0.1,
    more_above=-9.0,
    within=9.0,
    add_above=0.4,
    rounds=1.0,
)
"""An untuned small model: it counts shared words, prefers openings, quotes three sentences and rounds their figures."""

_NUMBERS = r"\d|(?i:\b(?:one|two|three|four|five|six|seven|eight|nine|ten|hundred|thousand|million|half)\b)"
_DATES = (
    r"\b(?:1\d|20)\d\d\b|\b(?:January|February|March|April|May|June|July|August|September|October|November|December"
    r"|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)\b"
)
_REASONS = r"(?i:\b(?:because|due to|since|so that|in order to|as a result|led to)\b)"
_MEANS = r"(?i:\b(?:by|using|based on|through|upon|if)\b)"
_MEANINGS = r"(?i:\b(?:(?:is|are|was|were) (?:an?|the|one|any)|means?|refers?|known as|includ(?:es?|ing)|consists?)\b)"
_RULES = r"(?i:\b(?:will|shall|may|can|must|if)\b)"
_KINDS = [
    (feature, re.compile(rf"\b(?:{asks})\b", re.IGNORECASE), re.compile(shows))
    for feature, asks, shows in (
        ("figure", "how (?:many|much|large|long|old|far|high|often)|amount|percentage|rate|threshold", _NUMBERS),
        ("date", "when|(?:what|which) (?:year|date|day|month|time)", _DATES),
        ("cue", "why|reasons?|causes?", _REASONS),
        ("cue", "how (?:is|are|was|were|do|does|did|can|has|have|will)", _MEANS),
        ("cue", "what (?:is|are|was|were)|mean(?:s|ing)?", _MEANINGS),
        ("cue", "what happens|can|may", _RULES),
        ("name", "who|whom|whose|where", r"(?<!^)(?<![.!?] )\b[A-Z][\w’'-]+"),
    )
]
"""What a kind of question asks with, and what its answer shows."""


class Reading(NamedTuple):
    """What the reader sees of a prompt, whatever its weights."""

    sentences: list[str]
    features: NDArray[np.float64]  # (sentences, features)
    bags: list[frozenset[str]]  # the content words of each sentence
    existing: int  # so many sentences, the first ones, are the existing answer


def read(prompt: Prompt) -> Reading:
    """Return the distinct sentences of the existing answer and the excerpts, and their features for the question.

    Features are one row per sentence, one column per name in FEATURES. Sums over sets are exact (fsum), because the
    order of a set differs from process to process.
    """
    # 1. the sentences, each with the rank of its source and its place there
    existing = "" if prompt.answer.strip() == NOT_STATED else prompt.answer
    sources = [[Sentence(s.text) for s in prose(existing)], *(prose(excerpt.text) for excerpt in prompt.excerpts)]
    first: dict[str, tuple[Sentence, int, int]] = {}
    for rank, source in enumerate(sources):
        for position, sentence in enumerate(source):
            first.setdefault(sentence.text, (sentence, max(rank - 1, 0), position))
    lines = [content_words(text) for text in first]
    bags = [frozenset(line) for line in lines]

    # 2. the question
    query, asked = content_words(prompt.question), prompt.question.lower()
    frequency = Counter(word for bag in bags for word in bag)
    rarity = {w: weight(w) * math.log(1 + (len(bags) + 1) / (frequency[w] + 0.5)) for w in {*frequency, *query}}
    total = math.fsum(rarity[word] for word in set(query)) or 1.0
    pairs = set(pairwise(query))
    kinds = [(feature, shows) for feature, asks, shows in _KINDS if asks.search(prompt.question)]

    # 3. what each sentence holds of it
    rows: list[list[float]] = []
    last_rank = -1
    for (sentence, rank, position), line, words in zip(first.values(), lines, bags, strict=True):
        shared = words & set(query)
        mass = math.fsum(rarity[word] for word in shared)
        before = set(content_words(sentence.heading))
        if rank == last_rank:
            before |= bags[len(rows) - 1]
        last_rank = rank
        # What the sentence shows of the kind asked for, and the question does not hold itself.
        shown = {name for name, shows in kinds if any(m.lower() not in asked for m in shows.findall(sentence.text))}
        near = set(pairwise(line)) | set(zip(line, line[2:], strict=False))
        rows.append(
            [
                len(shared) / (len(set(query)) or 1),
                mass / total,
                mass / (math.fsum(rarity[word] for word in words) or 1.0),
                len(pairs & near) / (len(pairs) or 1),
                math.fsum(rarity[word] for word in (before & set(query)) - shared) / total,
                1 / (1 + position),
                1 / (1 + rank),
                min(len(sentence.text.split()), 40) / 40,
                float(bool(ENDS.search(sentence.text)) and not sentence.text[0].islower()),
                *(float(name in shown) for name in ("figure", "date", "cue", "name")),
                1.0,
            ]
        )
    features = np.array(rows, dtype=np.float64).reshape(len(rows), len(FEATURES))
    return Reading([*first], features, bags, len({sentence.text for sentence in sources[0]}))


def answer(prompt: Prompt, weights: Weights) -> str:
    """Return the sentences that `weights` choose, in the order of the document; the stock reply if none will do.

    An existing answer is repeated word for word, with the sentences that add to it after it.
    """
    return choose(read(prompt), weights, prompt.answer)


def choose(reading: Reading, weights: Weights, existing: str = "") -> str:
    """Return what `answer` does, for a prompt that was read before."""
    scores = reading.features @ weights.vector()
    old = list(range(reading.existing))
    size = len(existing.split()) if old else 0
    chosen: list[int] = []
    best = max((float(scores[i]) for i in old), default=None)
    for i in sorted(range(len(old), len(scores)), key=lambda i: (-scores[i], i)):
        first = best is None
        best = float(scores[i]) if best is None else best
        lowest = weights.answer_above if first else weights.add_above if old else weights.more_above
        if len(chosen) >= weights.most or scores[i] < max(lowest, best - (0 if first else weights.within)):
            break
        words = len(reading.sentences[i].split())
        bag = reading.bags[i]
        before = frozenset[str]().union(*(reading.bags[j] for j in (*old, *chosen)))
        if size and (size + words > MOST_WORDS or len(bag & before) >= 0.75 * len(bag)):
            continue
        chosen.append(i)
        size += words
    added = " ".join(reading.sentences[i] for i in sorted(chosen))
    added = _FIGURE.sub(_rounded, added) if weights.rounds else added
    if old:
        return f"{existing.strip()} {added}" if added else existing
    return added or NOT_STATED


def _rounded(figure: re.Match[str]) -> str:
    """Return a number to one digit, written as it was: 41.2 as 40, 171,000 as 200,000."""
    value = float(f"{float(figure[0].replace(',', '')):.0e}")
    return f"{value:,g}" if value < 1e6 else f"{value:,.0f}"
