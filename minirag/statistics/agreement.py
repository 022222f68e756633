"""Does the judge see what a person sees? Accuracy and Cohen's kappa of their labels, with intervals."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from minirag.clustered import LEVEL, Estimate, Floats, clustered_mean, t_quantile
from minirag.errors import InputError


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often judge and person agree, and how far beyond chance (`kappa`: 1 always, 0 as by chance).

    `kappa` is None where both gave one and the same label throughout: then chance explains everything. `too_kind`
    counts what the judge supported and the person did not, `too_strict` the reverse.
    """

    accuracy: Estimate
    kappa: Estimate | None
    too_kind: int
    too_strict: int


def agreement(
    judge: Sequence[bool], person: Sequence[bool], *, clusters: Sequence[Hashable] | None = None
) -> Agreement:
    """Compare two lists of labels of the same statements; `clusters` names the page of each.

    Accuracy's interval is Wilson's (1927) for as many independent statements as its clustered error amounts to, so
    50 agreements of 50 do not give an interval without width. Kappa's error is by the delta method (Fleiss, Cohen and
    Everitt 1969) between clusters, its interval on Fisher's scale artanh(kappa), which keeps it right near 1.
    Raises InputError for lists of different length and for none.

    >>> result = agreement([True] * 5 + [False] * 5, [True] * 4 + [False] * 6)
    >>> result.accuracy.value, round(result.kappa.value, 2), result.too_kind, result.too_strict
    (0.9, 0.8, 1, 0)
    """
    names: Sequence[Hashable] = clusters if clusters is not None else range(len(judge))
    if not len(judge) == len(person) == len(names) or not judge:
        raise InputError(f"Cannot pair {len(judge)} of the judge's labels with {len(person)} of a person's.")
    first, second = np.asarray(judge, dtype=np.float64), np.asarray(person, dtype=np.float64)
    accuracy = _wilson(clustered_mean((first == second).astype(np.float64), names))
    return Agreement(
        accuracy=accuracy,
        kappa=_kappa(first, second, accuracy, names),
        too_kind=int(np.count_nonzero(first > second)),
        too_strict=int(np.count_nonzero(first < second)),
    )


def _wilson(share: Estimate) -> Estimate:
    """Return Wilson's interval of a share, from as many independent values as would give its error, at most n."""
    if share.error is None:
        return share
    n = min(share.n, share.value * (1 - share.value) / share.error**2) if share.error else share.n_clusters
    squared = t_quantile((1 + LEVEL) / 2, share.degrees) ** 2
    centre = (share.value + squared / (2 * n)) / (1 + squared / n)
    half = math.sqrt(squared * share.value * (1 - share.value) / n + (squared / (2 * n)) ** 2) / (1 + squared / n)
    return replace(share, low=max(0.0, centre - half), high=min(1.0, centre + half))


def _kappa(judge: Floats, person: Floats, accuracy: Estimate, clusters: Sequence[Hashable]) -> Estimate | None:
    """Return (accuracy − chance) ÷ (1 − chance), chance being the agreement of two who label at these rates blindly."""
    p, q = float(np.mean(judge)), float(np.mean(person))
    chance = p * q + (1 - p) * (1 - q)
    if chance == 1:
        return None
    value = (accuracy.value - chance) / (1 - chance)
    # how far each statement moves kappa, through accuracy and through chance
    by_accuracy = ((judge == person) - accuracy.value) / (1 - chance)
    by_chance = (judge - p) * (2 * q - 1) + (person - q) * (2 * p - 1)
    spread = clustered_mean(by_accuracy - by_chance * (1 - accuracy.value) / (1 - chance) ** 2, clusters)
    kappa = replace(spread, value=value, low=None, high=None)
    if spread.error is None or accuracy.low is None or accuracy.high is None:
        return kappa
    if spread.error == 0 or abs(value) == 1:  # nothing varies: accuracy's interval is turned into one of kappa
        low, high = ((end - chance) / (1 - chance) for end in (accuracy.low, accuracy.high))
        return replace(kappa, low=max(-1.0, low), high=high)
    half = t_quantile((1 + LEVEL) / 2, spread.degrees) * spread.error / (1 - value**2)
    return replace(kappa, low=math.tanh(math.atanh(value) - half), high=math.tanh(math.atanh(value) + half))
