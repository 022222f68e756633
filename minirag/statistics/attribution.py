"""Row 7. Where a difference comes from: which questions carry it, and how much of it goes with the answers' length."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np

from minirag.comparison import Comparison, cluster_names, compare
from minirag.errors import InputError
from minirag.statistics.clustered import Estimate, clustered_mean, estimate
from minirag.statistics.regression import clustered_line
from minirag.statistics.unscored import Value, numbers


def by_label(
    base: Sequence[Value],
    tuned: Sequence[Value],
    labels: Sequence[Hashable],
    *,
    clusters: Sequence[Hashable] | None = None,
    margin: float | None = None,
) -> dict[Hashable, Comparison]:
    """The comparison within each label, in the order of first appearance; `labels` names one a question.

    Labels are what was known of a question without its scores: `retrieved` or not, `one call` or `refine`. Each
    label is one more chance to be wrong (see `holm`), and has fewer questions: look at `.detectable`.

    >>> split = by_label([0.5] * 6, [0.9, 0.8, 0.85, 0.5, 0.4, 0.55], ["retrieved"] * 3 + ["not retrieved"] * 3)
    >>> {label: (round(result.difference, 3), result.verdict) for label, result in split.items()}
    {'retrieved': (0.35, 'better'), 'not retrieved': (-0.017, 'cannot tell')}
    """
    pages = cluster_names(base, tuned, clusters)
    if len(labels) != len(base):
        raise InputError(f"Cannot split {len(base)} questions by {len(labels)} labels; give one label a question.")
    split = {}
    for label in dict.fromkeys(labels):
        mask = [other == label for other in labels]
        first, second = list(compress(base, mask)), list(compress(tuned, mask))
        split[label] = compare(first, second, clusters=list(compress(pages, mask)), margin=margin)
    return split


def label_contrast(
    base: Sequence[Value],
    tuned: Sequence[Value],
    labels: Sequence[Hashable],
    label: Hashable,
    *,
    clusters: Sequence[Hashable] | None = None,
) -> Estimate | None:
    """How much larger the difference is with `label` than without.

    None where the scored questions of one of the two are about fewer than two pages (one page tells nothing of the
    spread), or all about fewer than three.
    """
    marked = np.array([other == label for other in labels], dtype=np.float64)
    differences = numbers(tuned) - numbers(base)
    scored = ~np.isnan(differences)
    pages = list(compress(cluster_names(base, tuned, clusters), scored))
    if any(len(set(compress(pages, marked[scored] == side))) < 2 for side in (0.0, 1.0)):
        return None
    line = clustered_line(marked[scored], differences[scored], pages)
    return None if line is None else line[1]


@dataclass(frozen=True, slots=True)
class LengthEffect:
    """A paired difference beside what is left of it at equal length.

    `slope` is how much the difference rises with each doubling of the answer, `doublings` how often the second arm's
    answers double the first's on average (negative: they are shorter). `with_length` is the product of the two, the
    part of the difference that goes with length; `at_equal_length` is the rest.
    """

    difference: Estimate
    at_equal_length: Estimate
    with_length: Estimate
    slope: Estimate
    doublings: float

    @property
    def mostly_length(self) -> bool:
        """Whether the part that goes with length is no chance and more than half of the difference."""
        part, whole = self.with_length.value, self.difference.value
        return not self.with_length.holds(0.0) and part * whole > 0 and abs(part) > abs(whole) / 2


def length_effect(
    base: Sequence[Value],
    tuned: Sequence[Value],
    base_lengths: Sequence[int],
    tuned_lengths: Sequence[int],
    *,
    clusters: Sequence[Hashable] | None = None,
) -> LengthEffect | None:
    """Split the difference into what goes with the answers' length (words or tokens; 0 counts as 1) and the rest.

    A shorter answer is easier to be faithful with. Paired differences are regressed on log2(tuned length ÷ base
    length); the line at 0 is the difference at equal length. It describes and does not prove: a student may be
    shorter because it is better. None with fewer than three clusters, or where no answer changed its length unlike
    the others, or those of one page only.

    >>> effect = length_effect([0.5] * 4, [0.7, 0.6, 0.5, 0.65], [80] * 4, [40, 60, 80, 50])
    >>> round(effect.difference.value, 3), round(effect.with_length.value, 3), round(effect.at_equal_length.value, 3)
    (0.112, 0.105, 0.007)
    """
    pages = cluster_names(base, tuned, clusters)
    cluster_names(base_lengths, tuned_lengths, pages)
    changes = np.log2(np.maximum(tuned_lengths, 1) / np.maximum(base_lengths, 1))
    differences = numbers(tuned) - numbers(base)
    scored = ~np.isnan(differences)
    names = list(compress(pages, scored))
    line = clustered_line(changes[scored], differences[scored], names)
    if line is None or line[0].error is None or line[1].error is None:
        return None
    level, slope = line
    doublings = float(np.mean(changes[scored]))
    error = abs(doublings) * line[1].error
    return LengthEffect(
        difference=clustered_mean(differences[scored], names),
        at_equal_length=level,
        with_length=estimate(doublings * slope.value, error, slope.degrees, slope.n, slope.n_clusters),
        slope=slope,
        doublings=doublings,
    )


def in_words(effect: LengthEffect) -> str:
    """The split by length as one clause.

    >>> print(in_words(length_effect([0.5] * 4, [0.7, 0.6, 0.5, 0.65], [80] * 4, [40, 60, 80, 50])))
    of +0.112, +0.105 goes with length (answers 0.70 times as long); at equal length +0.007 [-0.106, +0.121]
    """
    level = effect.at_equal_length
    return (
        f"of {effect.difference.value:+.3f}, {effect.with_length.value:+.3f} goes with length "
        f"(answers {2**effect.doublings:.2f} times as long); "
        f"at equal length {level.value:+.3f} [{level.low:+.3f}, {level.high:+.3f}]"
    )
