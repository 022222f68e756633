"""Several rounds of judging: how much of the spread is the judge's noise, and how much the questions' own."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from minirag.clustered import clustered_mean, variance_components
from minirag.comparison import Value, cluster_names, numbers
from minirag.errors import InputError
from minirag.metrics.score import Scores

Rounds = Sequence[Sequence[Value]]
"""For each round its scores, in the order of the questions."""


def by_round(scores: Scores, arm: str, metric: str, questions: Sequence[str]) -> list[list[float | None]]:
    """Return an arm's values in each round, in the order of the question ids; None where a round gave none."""
    rounds: dict[int, dict[str, float | None]] = {}
    for row in scores:
        if row.arm == arm and row.metric == metric:
            rounds.setdefault(row.round, {})[row.question_id] = row.score.value
    return [[values.get(id) for id in questions] for _, values in sorted(rounds.items())]


@dataclass(frozen=True, slots=True)
class Noise:
    """Where the spread of a paired difference comes from, seen in `rounds` (on average) of `n` questions.

    `judge` is the variance of one question's difference from round to round, `questions` that between the questions'
    true differences, `error` the standard error of the mean over rounds and questions. `flips` is the share of pairs
    of rounds that name another winner for the same question.
    """

    judge: float
    questions: float
    error: float | None
    rounds: float
    n: int
    flips: float


def judge_noise(base: Rounds, tuned: Rounds, *, clusters: Sequence[Hashable] | None = None) -> Noise | None:
    """Split the spread of tuned − base by an analysis of variance (Searle, Casella and McCulloch 1992).

    Questions that one arm has no score for in a round count without that round. None where fewer than two questions
    were scored, or none of them twice. Raises InputError for arms of different shape.

    >>> noise = judge_noise([[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]], [[0.6, 0.9, 0.4], [0.8, 0.9, 0.6]])
    >>> round(noise.judge, 4), round(noise.questions, 4), round(noise.flips, 3)
    (0.0133, 0.0333, 0.333)
    """
    if len(base) != len(tuned):
        raise InputError(f"Cannot pair {len(base)} rounds with {len(tuned)}; judge both arms as often.")
    pages = clusters if clusters is not None else range(len(base[0]) if base else 0)
    for first, second in zip(base, tuned, strict=True):
        cluster_names(first, second, pages)
    differences = np.array([numbers(second) - numbers(first) for first, second in zip(base, tuned, strict=True)])
    by_question = {i: column[~np.isnan(column)] for i, column in enumerate(differences.T) if not np.isnan(column).all()}
    counts = [len(rounds) for rounds in by_question.values()]
    if len(counts) < 2 or max(counts) < 2:
        return None
    numbered = np.repeat(np.arange(len(counts)), counts)
    judge, questions = variance_components(np.concatenate(list(by_question.values())), numbered)
    means = np.array([np.mean(rounds) for rounds in by_question.values()])
    return Noise(
        judge=judge,
        questions=questions,
        error=clustered_mean(means, [pages[i] for i in by_question]).error,
        rounds=1 / float(np.mean([1 / count for count in counts])),
        n=len(counts),
        flips=flip_rate([np.sign(np.round(rounds, 9)).tolist() for rounds in by_question.values()]),
    )


def flip_rate(verdicts: Sequence[Sequence[Hashable]]) -> float:
    """Return the share of pairs of rounds that disagree, over things judged more than once; one row of verdicts each.

    >>> flip_rate([[True, True, False], [False, False, False]])
    0.3333333333333333
    """
    pairs = [first != second for row in verdicts for first, second in combinations(row, 2)]
    return sum(pairs) / len(pairs) if pairs else 0.0


def statement_flips(scores: Scores, metric: str, arm: str) -> float | None:
    """Return how often two rounds disagree on a statement that both of them judged; None if none did."""
    verdicts: dict[tuple[str, str], list[bool]] = {}
    for row in scores:
        if row.metric == metric and row.arm == arm:
            for item in row.score.evidence:
                if "supported" in item:
                    verdicts.setdefault((row.question_id, str(item["statement"])), []).append(item["supported"])
    repeated = [row for row in verdicts.values() if len(row) > 1]
    return flip_rate(repeated) if repeated else None


def noise_in_words(noise: Noise) -> str:
    """Return what the rounds show, and what twice as many rounds or questions would buy.

    >>> noise = judge_noise([[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]], [[0.6, 0.9, 0.4], [0.8, 0.9, 0.6]])
    >>> print(noise_in_words(noise))
    judge noise 0.115, spread between questions 0.183; in 33 % of pairs of rounds a question's winner changes; \
twice the rounds make the interval 4 % narrower, twice the questions 29 %
    """
    spread = (
        f"judge noise {math.sqrt(noise.judge):.3f}, spread between questions {math.sqrt(noise.questions):.3f}; "
        f"in {100 * noise.flips:.0f} % of pairs of rounds a question's winner changes"
    )
    if not noise.error:
        return spread
    # twice the rounds halve the judge's part of the squared error, twice the questions all of it
    judge = min(1.0, noise.judge / (noise.n * noise.rounds) / noise.error**2)
    return (
        f"{spread}; twice the rounds make the interval {100 * (1 - math.sqrt(1 - judge / 2)):.0f} % narrower, "
        f"twice the questions {100 * (1 - math.sqrt(1 / 2)):.0f} %"
    )
