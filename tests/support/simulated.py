"""Simulated evaluations of known truth: how often the intervals hold it, and how often a verdict is a false alarm.

Questions come 5 a page unless said otherwise; 0.3 of the variance of a question's true scores is shared by its page.
"""

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minirag.metrics.comparison import compare, two_sided_p
from minirag.metrics.score import Score, ScoredRow, Scores
from minirag.statistics.labels import audit, claims, sample

Floats = NDArray[np.float64]
Random = np.random.Generator
CORRELATION = 0.3
SPREAD = 0.25
PER_PAGE = 5


class Steps(NamedTuple):
    """A score or difference that takes few values: `values[i]` where a normal variable lies above `cuts[i − 1]`."""

    cuts: tuple[float, ...]
    values: tuple[float, ...]

    def of(self, z: Floats) -> Floats:
        return np.array(self.values)[np.searchsorted(self.cuts, z)]

    @property
    def mean(self) -> float:
        below = [0.0, *map(NormalDist().cdf, self.cuts), 1.0]
        return sum(v * (b - a) for v, a, b in zip(self.values, below, below[1:], strict=False))


TIED = Steps((-1.4, -1.0, 1.0, 1.4), (-0.5, -0.25, 0.0, 0.25, 0.5))
SKEWED = Steps((-1.28, 1.0), (-0.25, 0.0, 0.5))
SHAPES: dict[str, tuple[Callable[[Floats], Floats], float]] = {
    "normal": (lambda z: SPREAD * z, 0.0),
    "two thirds tied": (TIED.of, TIED.mean),
    "tied and skewed": (SKEWED.of, SKEWED.mean),
}
"""Paired differences from a standard normal variable, and their true mean."""


def even(n: int) -> list[int]:
    return [PER_PAGE] * (n // PER_PAGE)


def uneven(n: int) -> list[int]:
    """Return page sizes from 1 up, 5 on average, the same for every run."""
    random, sizes = np.random.default_rng(n), list[int]()
    while sum(sizes) < n:
        sizes.append(min(int(random.geometric(1 / PER_PAGE)), n - sum(sizes)))
    return sizes


def pages_of(sizes: Sequence[int]) -> NDArray[np.intp]:
    return np.repeat(np.arange(len(sizes)), sizes)


def latent(random: Random, pages: NDArray[np.intp]) -> Floats:
    """Return standard normal values, correlated within pages."""
    shared = random.normal(size=int(pages.max()) + 1)[pages]
    return math.sqrt(CORRELATION) * shared + math.sqrt(1 - CORRELATION) * random.normal(size=len(pages))


class Coverage(NamedTuple):
    """Shares of evaluations: the interval holds the truth; a false alarm, ours and that of a plain paired t test."""

    holds: float
    alarms: float
    plain_alarms: float


def coverage(sizes: Sequence[int], shape: str, runs: int) -> Coverage:
    make, truth = SHAPES[shape]
    random, pages = np.random.default_rng(0), pages_of(sizes)
    rows = []
    for _ in range(runs):
        differences = make(latent(random, pages)) - truth
        result = compare([0.0] * len(pages), list(differences), clusters=list(pages), scale=(-9, 9))
        holds = result.low is not None and result.high is not None and result.low <= 0 <= result.high
        error = differences.std(ddof=1) / math.sqrt(len(differences))
        plain = error > 0 and two_sided_p(float(differences.mean() / error), len(differences) - 1) < 0.05
        rows.append((holds, result.verdict in {"better", "worse"}, plain))
    return Coverage(*np.mean(rows, axis=0))


def missing_coverage(n: int, runs: int, *, difference: float = 0.0) -> tuple[float, float]:
    """Return the shares of false alarms and of verdicts where up to 4 % of low answers of one arm are unscored.

    A false alarm says `better` where the second arm is not, or `worse` where it is not worse.
    """
    random, pages, rows = np.random.default_rng(0), pages_of(even(n)), []
    for _ in range(runs):
        base, tuned = (np.clip(0.7 + SPREAD * latent(random, pages) + shift, 0, 1) for shift in (0.0, difference))
        lost = np.argsort(tuned)[: int(0.04 * n)]
        scores = [None if i in lost else value for i, value in enumerate(tuned)]
        verdict = compare(list(base), scores, clusters=list(pages)).verdict
        rows.append((verdict in {"better", "worse"} and (difference == 0 or verdict == "worse"), verdict == "better"))
    alarms, better = np.mean(rows, axis=0)
    return float(alarms), float(better)


def label_coverage(labels: int, runs: int, *, truth: float = 0.95, right: float = 0.92) -> float:
    """Return how often the corrected means hold the true share of supported statements.

    Three arms answer 40 questions, 5 a page, in 1 to 5 statements; the judge is right in `right` of its verdicts; a
    person labels so many statements of all arms.
    """
    random, arms, pages = np.random.default_rng(0), ("base", "tuned", "teacher"), pages_of(even(40))
    cut = NormalDist().inv_cdf(truth)
    holds = list[bool]()
    for seed in range(runs):
        real, rows = dict[tuple[str, str, str], bool | None](), Scores()
        for arm in arms:
            shared = latent(random, pages)
            for number in range(40):
                size = int(random.integers(1, 6))
                z = math.sqrt(CORRELATION) * shared[number] + math.sqrt(1 - CORRELATION) * random.normal(size=size)
                supported = z < cut
                judged = supported ^ (random.random(size) > right)
                evidence = tuple({"statement": f"{i}", "supported": bool(said)} for i, said in enumerate(judged))
                real |= {(f"q{number}", arm, f"{i}"): bool(true) for i, true in enumerate(supported)}
                score = Score(float(judged.mean()), "", evidence)
                rows.append(ScoredRow(f"q{number}", arm, "faithfulness", 0, score))
        chosen = {claim.key: real[claim.key] for claim in sample(claims(rows), labels, seed)}
        result = audit(rows, chosen, {f"q{i}": int(page) for i, page in enumerate(pages)})
        holds += [one["low"] <= truth <= one["high"] for one in result["arms"].values() if one is not None]
    return float(np.mean(holds))
