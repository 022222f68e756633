"""Several rounds of judging: how much of the spread is the judge's noise, and how much the questions' own."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from minirag.metrics.comparison import variance_components
from minirag.metrics.score import Scores


@dataclass(frozen=True, slots=True)
class Noise:
    """Where the spread of a paired difference comes from, seen in several rounds of `n` questions.

    `judge` is the variance of one question's difference from round to round, `questions` that between the questions'
    true differences. `flips` is the share of pairs of rounds that name another winner for the same question.
    """

    judge: float
    questions: float
    n: int
    flips: float


def judge_noise(scores: Scores, metric: str, arms: tuple[str, str] = ("base", "tuned")) -> Noise | None:
    """Split the spread of the arms' paired differences by an analysis of variance (Searle, Casella, McCulloch 1992).

    None where fewer than two questions were scored in both arms, or none of them in two rounds.
    """
    values: dict[str, dict[tuple[int, str], float]] = {}  # by question, then by round and arm
    for row in scores:
        if row.metric == metric and row.arm in arms and row.score.value is not None:
            values.setdefault(row.question_id, {})[row.round, row.arm] = row.score.value
    rounds = range(1 + max((row.round for row in scores), default=0))
    differences = []  # of each question, one for each round that has a score of both arms
    for one in values.values():
        columns = [(one.get((number, arms[0])), one.get((number, arms[1]))) for number in rounds]
        differences.append([tuned - base for base, tuned in columns if base is not None and tuned is not None])
    differences = [each for each in differences if each]
    counts = [len(each) for each in differences]
    if len(counts) < 2 or max(counts) < 2:
        return None
    judge, questions = variance_components(np.concatenate(differences), np.repeat(np.arange(len(counts)), counts))
    return Noise(judge, questions, len(counts), _flip_rate(differences))


def _flip_rate(differences: Sequence[Sequence[float]]) -> float:
    """Return the share of pairs of rounds in which the sign of a question's difference changes."""
    signs = [np.sign(np.round(each, 9)).tolist() for each in differences]
    pairs = [first != second for each in signs for first, second in combinations(each, 2)]
    return float(np.mean(pairs))


def noise_in_words(noise: Noise) -> str:
    """Return what the rounds show.

    >>> noise_in_words(Noise(judge=0.0132, questions=0.0335, n=3, flips=1 / 3))
    "judge noise 0.115, spread between questions 0.183; in 33 % of pairs of rounds a question's winner changes"
    """
    return (
        f"judge noise {math.sqrt(noise.judge):.3f}, spread between questions {math.sqrt(noise.questions):.3f}; "
        f"in {100 * noise.flips:.0f} % of pairs of rounds a question's winner changes"
    )
