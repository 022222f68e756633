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
from minirag.statistics.audit import agreement, corrected_mean
from minirag.statistics.composite import compare_ragas_score
from minirag.statistics.teacher_lead import lead_closed

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
FAITHFULNESS = Steps((-1.6, -1.1, -0.6), (0.0, 0.5, 0.75, 1.0))
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


def latent(random: Random, pages: NDArray[np.intp], correlation: float = CORRELATION) -> Floats:
    """Return standard normal values, correlated within pages."""
    shared = random.normal(size=int(pages.max()) + 1)[pages]
    return math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * random.normal(size=len(pages))


class Coverage(NamedTuple):
    """Shares of evaluations: the interval holds the truth; a verdict is given where nothing differs; and by a paired t
    test that ignores the pages."""

    holds: float
    alarms: float
    plain_alarms: float


def coverage(sizes: Sequence[int], shape: str, runs: int) -> Coverage:
    make, truth = SHAPES[shape]
    random, pages = np.random.default_rng(0), pages_of(sizes)
    rows = []
    for _ in range(runs):
        differences = make(latent(random, pages)) - truth
        result = compare([0.0] * len(pages), list(differences), clusters=list(pages))
        holds = result.low is not None and result.high is not None and result.low <= 0 <= result.high
        error = differences.std(ddof=1) / math.sqrt(len(differences))
        plain = error > 0 and two_sided_p(float(differences.mean() / error), len(differences) - 1) < 0.05
        rows.append((holds, result.verdict in {"better", "worse"}, plain))
    return Coverage(*np.mean(rows, axis=0))


def ragas_coverage(n: int, runs: int) -> float:
    """Return how often the interval of ragas_score's difference holds the truth: one tied metric, one continuous."""
    random, pages = np.random.default_rng(0), pages_of(even(n))
    truth = [2 / (1 / FAITHFULNESS.mean + 1 / relevancy) for relevancy in (0.85, 0.9)]
    hits = []
    for _ in range(runs):
        question = latent(random, pages)
        own = [(question + latent(random, pages)) / math.sqrt(2) for _ in range(2)]
        relevancy = [level + 0.05 * (z + latent(random, pages)) for z, level in zip(own, (0.85, 0.9), strict=True)]
        scores = {"faithfulness": tuple(map(FAITHFULNESS.of, own)), "answer_relevancy": tuple(relevancy)}
        result = compare_ragas_score(scores, clusters=list(pages))
        hits.append(result.low <= truth[1] - truth[0] <= result.high)
    return float(np.mean(hits))


def lead_coverage(n: int, lead: float, runs: int) -> tuple[float, float]:
    """Return how often an interval of the share closed is given, and how often that holds the true 0.6."""
    random, pages = np.random.default_rng(0), pages_of(even(n))
    hits = []
    for _ in range(runs):
        question = latent(random, pages)
        scores = [level + SPREAD / math.sqrt(2) * (question + latent(random, pages)) for level in (0, 0.6 * lead, lead)]
        closed = lead_closed(*map(list, scores), clusters=list(pages))
        if closed.share is not None:
            hits.append(closed.low <= 0.6 <= closed.high)
    return len(hits) / runs, float(np.mean(hits)) if hits else math.nan


def kappa_coverage(n: int, runs: int) -> float:
    """Return how often kappa's interval holds: 70 % supported, 10 % of the verdicts turned over."""
    random, pages = np.random.default_rng(0), pages_of(even(n))
    supported, turned = 0.7, 0.1
    judged = supported * (1 - turned) + (1 - supported) * turned
    chance = supported * judged + (1 - supported) * (1 - judged)
    kappa = (1 - turned - chance) / (1 - chance)
    hits = []
    for _ in range(runs):
        person = latent(random, pages) < NormalDist().inv_cdf(supported)
        judge = person ^ (latent(random, pages) < NormalDist().inv_cdf(turned))
        found = agreement(list(judge), list(person), list(pages)).kappa
        hits.append(found is None or found.low <= kappa <= found.high)
    return float(np.mean(hits))


def corrected_coverage(n: int, labelled: int, likeness: float, runs: int) -> tuple[float, float]:
    """Return how often the corrected interval holds, and its width ÷ that of the labels alone.

    The judge is 0.1 too kind and correlates with the person by `likeness`; the labels are a random sample.
    """
    random, pages = np.random.default_rng(0), pages_of(even(n))
    hits, widths = [], []
    for _ in range(runs):
        z = latent(random, pages)
        judge = 0.9 + SPREAD * (likeness * z + math.sqrt(1 - likeness**2) * latent(random, pages, 0.0))
        person = np.full(n, np.nan)
        sample = random.choice(n, labelled, replace=False)
        person[sample] = 0.8 + SPREAD * z[sample]
        result = corrected_mean(judge, person, list(pages))
        hits.append(result.corrected.low <= 0.8 <= result.corrected.high)
        widths.append([estimate.high - estimate.low for estimate in (result.corrected, result.person)])
    corrected, alone = np.mean(widths, axis=0)
    return float(np.mean(hits)), float(corrected / alone)
