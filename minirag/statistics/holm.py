"""Row 7. Several metrics are several chances to be wrong: p-values corrected together, and the risk said."""

from collections.abc import Mapping

from minirag.statistics.clustered import LEVEL


def holm(p_values: Mapping[str, float | None]) -> dict[str, float | None]:
    """Each p-value corrected for the others (Holm 1979): below 0.05 in at most 5 % of evaluations without any effect.

    Metrics without a p-value stay without and do not count.

    >>> holm({"faithfulness": 0.01, "relevancy": 0.04, "recall": None})
    {'faithfulness': 0.02, 'relevancy': 0.04, 'recall': None}
    """
    known = sorted((p, name) for name, p in p_values.items() if p is not None)
    corrected: dict[str, float] = {}
    highest = 0.0
    for rank, (p, name) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - rank)))
        corrected[name] = highest
    return {name: corrected.get(name) for name in p_values}


def in_words(p_values: Mapping[str, float | None]) -> str:
    """The risk of several metrics, and which differences outlast the correction; "" for a single one.

    >>> print(in_words({"faithfulness": 0.01, "relevancy": 0.04, "recall": 0.3}))
    3 metrics: chance alone makes one look different in up to 15 % of evaluations; after Holm's correction: faithfulness
    """
    count = sum(p is not None for p in p_values.values())
    if count < 2:
        return ""
    names = [name for name, p in holm(p_values).items() if p is not None and p < 1 - LEVEL]
    left = f"after Holm's correction: {', '.join(names) or 'none'}"
    risk = min(100.0, 100 * count * (1 - LEVEL))
    return f"{count} metrics: chance alone makes one look different in up to {risk:.0f} % of evaluations; {left}"
