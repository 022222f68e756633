"""Row 7. Several rounds of judging: how much of the spread is the judge's mood, and how much the questions'?"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from minirag.comparison import cluster_names, compare
from minirag.errors import InputError
from minirag.statistics.clustered import clustered_mean, variance_components
from minirag.statistics.unscored import Value, numbers

Rounds = Sequence[Sequence[Value]]


@dataclass(frozen=True, slots=True)
class Noise:
    """Where the spread of a paired difference comes from, seen in `rounds` (on average) of `n` questions.

    `judge` is the variance of one question's difference from round to round, `questions` that between the
    questions' true differences (0 where the judge explains it all), `error` the standard error of the mean over
    rounds and questions. `flips` is the share of pairs of rounds that name another winner for the same question,
    `verdicts` what each round alone would have said of the arms.
    """

    judge: float
    questions: float
    error: float | None
    rounds: float
    n: int
    flips: float
    verdicts: tuple[str, ...]

    def error_with(self, *, questions: int, rounds: float) -> float | None:
        """The standard error that so many questions and rounds would give, if all else stays as it is.

        More rounds shrink the judge's part only, more questions both: it tells which of them is worth its price.
        """
        if self.error is None:
            return None
        judged = self.judge / (self.n * self.rounds)
        rest = max(0.0, self.error**2 - judged)
        return math.sqrt((rest + judged * self.rounds / rounds) * self.n / questions)


def judge_noise(
    base: Rounds, tuned: Rounds, *, clusters: Sequence[Hashable] | None = None, margin: float | None = None
) -> Noise | None:
    """Split the spread of tuned − base: each arm is a list of rounds, each round its scores in the order of questions.

    One-way analysis of variance with random questions (Searle, Casella and McCulloch 1992), for unequal numbers of
    rounds too. Questions that one arm has no score for in a round count without that round. None where fewer than
    two questions were scored, or none of them twice. InputError for arms of different shape.

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
    scored = [np.flatnonzero(~np.isnan(column)) for column in differences.T]
    used = [i for i, rounds in enumerate(scored) if len(rounds)]
    by_question = [differences[scored[i], i] for i in used]
    if len(used) < 2 or all(len(rounds) < 2 for rounds in by_question):
        return None
    numbered = np.repeat(np.arange(len(used)), [len(rounds) for rounds in by_question])
    judge, questions = variance_components(np.concatenate(by_question), numbered)
    means = np.array([np.mean(rounds) for rounds in by_question])
    return Noise(
        judge=judge,
        questions=questions,
        error=clustered_mean(means, [pages[i] for i in used]).error,
        rounds=1 / float(np.mean([1 / len(rounds) for rounds in by_question])),
        n=len(used),
        flips=flip_rate([np.sign(np.round(rounds, 9)).tolist() for rounds in by_question]),
        verdicts=tuple(
            compare(first, second, clusters=clusters, margin=margin).verdict
            for first, second in zip(base, tuned, strict=True)
        ),
    )


def flip_rate(verdicts: Sequence[Sequence[Hashable]]) -> float:
    """The share of pairs of rounds that disagree, over things judged more than once; one row of verdicts each.

    >>> flip_rate([[True, True, False], [False, False, False]])
    0.3333333333333333
    """
    pairs = [first != second for row in verdicts for first, second in combinations(row, 2)]
    return sum(pairs) / len(pairs) if pairs else 0.0


def in_words(noise: Noise) -> str:
    """What the rounds tell, and what twice as many rounds or questions would buy.

    >>> noise = judge_noise([[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]], [[0.6, 0.9, 0.4], [0.8, 0.9, 0.6]])
    >>> print(in_words(noise))
    judge noise 0.115, spread between questions 0.183; in 33 % of pairs of rounds a question's winner changes; \
twice the rounds make the interval 4 % narrower, twice the questions 29 %
    """
    told = (
        f"judge noise {math.sqrt(noise.judge):.3f}, spread between questions {math.sqrt(noise.questions):.3f}; "
        f"in {100 * noise.flips:.0f} % of pairs of rounds a question's winner changes"
    )
    rounds = noise.error_with(questions=noise.n, rounds=2 * noise.rounds)
    questions = noise.error_with(questions=2 * noise.n, rounds=noise.rounds)
    if not noise.error or rounds is None or questions is None:
        return told
    return (
        f"{told}; twice the rounds make the interval {100 * (1 - rounds / noise.error):.0f} % narrower, "
        f"twice the questions {100 * (1 - questions / noise.error):.0f} %"
    )
