"""How the student learns: from a training file of chats to the `Weights` of a reader.

Each row shows what the teacher quoted and what it left. Logistic regression over the reader's features learns which
sentences those are, starting from the untuned weights and held near them; then the stop rule is fitted. Nothing is
copied from the file but these few numbers, so what is learned must carry over to other questions or be nothing.

An answer that does not come from its own excerpts, or fits its question no better than the file's other answers do,
teaches nothing. The share of the other answers is the trust in the file, and scales each step: answers shuffled among
the questions leave the student where it was.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minirag import prompts
from minirag.offline.lexicon import content_words, words
from minirag.offline.reader import BASE, FEATURES, Reading, Weights, choose, read
from minirag.prompts import NOT_STATED, text_of

_PRIOR = 2.0
"""How firmly the old weights are held: the precision of a Gaussian around each."""
_GAIN = 1.0
"""What learning must add to the sum of agreements over the file, times the trust in it, to be kept."""
_QUOTED = 0.6
"""A sentence with this share of its content words in the answer was quoted, or close to it."""
_RULES: dict[str, tuple[float, ...]] = {
    "most": (1.0, 2.0, 3.0),
    "answer_above": (-6.0, -4.0, -3.0, -2.5, -2.0, -1.5, -1.0, -0.5, 0.0),
    "more_above": (-3.0, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0),
    "within": (0.4, 0.8, 1.2, 1.6, 2.4, 9.0),
    "add_above": (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0),
    "rounds": (0.0, 1.0),
}


class Trained(NamedTuple):
    """What a student learned: its weights, and (step, loss) after each step, in nats per sentence."""

    weights: Weights
    losses: list[tuple[int, float]]


class _Row(NamedTuple):
    question: frozenset[str]  # its content words
    reading: Reading
    existing: str
    target: str
    quoted: NDArray[np.float64]  # per sentence of the excerpts: 1.0 if the target took it
    is_explained: bool  # the excerpts account for the target


def learn(
    examples: Iterable[Sequence[Mapping[str, Any]]], base: Weights = BASE, *, epochs: int = 3, seed: int = 0
) -> Trained:
    """Return the student that `base` becomes on `examples`: chats that each end with the teacher's answer.

    Examples that are not a question over excerpts are skipped. Equal arguments give equal weights.
    """
    rows = list(_rows(examples))
    trust = _trust([row for row in rows if row.target != NOT_STATED])
    rows = [row for row in rows if row.is_explained]
    weights, losses = _fitted(rows, base, trust, epochs, np.random.default_rng(seed))
    before = _agreement(rows, base)
    tuned, after = _ruled(rows, weights)
    return Trained(tuned if trust * (after - before) > _GAIN else base, losses)


@lru_cache(maxsize=1 << 14)
def agreement(one: str, other: str) -> float:
    """Return how much two answers are the same: F1 over their words; 1.0 or 0.0 where one declines to answer."""
    if NOT_STATED in (one, other):
        return float(one == other)
    left, right = Counter(words(one)), Counter(words(other))
    return 2 * (left & right).total() / ((left.total() + right.total()) or 1)


def _rows(examples: Iterable[Sequence[Mapping[str, Any]]]) -> Iterator[_Row]:
    """Yield the examples that are a question over excerpts, with the sentences that each target took marked."""
    for messages in examples:
        if len(messages) < 2 or messages[-1].get("role") != "assistant":
            continue
        prompt = prompts.parse(messages[:-1])
        target = text_of(messages[-1]).strip()
        if prompt is None or prompt.task not in ("draft", "refine") or not prompt.excerpts or not target:
            continue
        seen, existing = read(prompt), prompt.answer.strip()
        target_words = set(content_words(target)) if target != NOT_STATED else set()
        is_quoted = [bool(bag) and len(bag & target_words) >= _QUOTED * len(bag) for bag in seen.bags]
        quoted_words = {word for bag, quoted in zip(seen.bags, is_quoted, strict=True) if quoted for word in bag}
        quoted = np.array(is_quoted[seen.existing :], dtype=np.float64)
        accounted = 2 * len(target_words & quoted_words) >= len(target_words) > 0
        is_explained = target in (NOT_STATED, existing) or accounted
        yield _Row(frozenset(content_words(prompt.question)), seen, existing, target, quoted, is_explained)


def _trust(answered: Sequence[_Row]) -> float:
    """Return from 0 to 1 how far the answers come from their own excerpts and fit their own questions.

    An answer fits if it holds more words of its question than the file's answers do on average. By chance at most
    about half do, so only what is above half counts.
    """
    if not answered:
        return 0.0
    answers = [frozenset(content_words(row.target)) for row in answered]
    frequency = Counter(word for answer in answers for word in answer)
    fits = [
        len(row.question & answer) > sum(frequency[word] for word in row.question) / len(answered)
        for row, answer in zip(answered, answers, strict=True)
    ]
    fitting = max(0.0, 2 * sum(fits) / len(fits) - 1)
    return fitting * sum(row.is_explained for row in answered) / len(answered)


def _fitted(
    rows: Sequence[_Row], base: Weights, trust: float, epochs: int, random: np.random.Generator
) -> tuple[Weights, list[tuple[int, float]]]:
    """Fit by logistic regression, one Newton step per row; return the weights, and (step, loss) after each step."""
    learned = base.vector()
    precision = np.eye(len(learned)) * _PRIOR
    losses: list[tuple[int, float]] = []
    for step, i in enumerate((i for _ in range(epochs) for i in random.permutation(len(rows))), 1):
        inputs, labels = rows[i].reading.features[rows[i].reading.existing :], rows[i].quoted
        if len(labels) == 0:
            continue
        scores = np.clip(inputs @ learned, -30, 30)
        chances = 1 / (1 + np.exp(-scores))
        losses.append((step, float(np.mean(np.logaddexp(0.0, scores) - labels * scores))))
        precision += trust * (inputs.T * (chances * (1 - chances))) @ inputs
        learned = learned + np.linalg.solve(precision, trust * inputs.T @ (labels - chances))
    return replace(base, **dict(zip(FEATURES, learned.tolist(), strict=True))), losses


def _ruled(rows: Sequence[_Row], weights: Weights) -> tuple[Weights, float]:
    """Return the stop rule that agrees best with the rows, searched one number at a time, and the sum of agreements."""
    best = replace(weights, answer_above=-2.0, more_above=-0.5, within=1.6, add_above=0.0)
    total = _agreement(rows, best)
    for name in (*_RULES, *_RULES):
        for value in _RULES[name]:
            changed = replace(best, **{name: value})
            if (agreed := _agreement(rows, changed)) > total + 1e-9:
                best, total = changed, agreed
    return best, total


def _agreement(rows: Sequence[_Row], weights: Weights) -> float:
    return sum(agreement(choose(row.reading, weights, row.existing), row.target) for row in rows)
