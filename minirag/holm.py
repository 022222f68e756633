"""Row 7. Several metrics are several chances to be wrong: p-values corrected together, and the risk said."""

from collections.abc import Mapping

from minirag.clustered import LEVEL


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
    3 metrics: one of them looks different by chance in up to 14 % of evaluations; after Holm's correction: faithfulness
    """
    count = sum(p is not None for p in p_values.values())
    if count < 2:
        return ""
    left = ", ".join(name for name, p in holm(p_values).items() if p is not None and p < 1 - LEVEL) or "none"
    return (
        f"{count} metrics: one of them looks different by chance in up to {100 * (1 - LEVEL**count):.0f} % of evaluations; "
        f"after Holm's correction: {left}"
    )
