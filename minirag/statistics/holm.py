"""Several metrics are several chances to be wrong: p-values corrected together, and the risk in words."""

from collections.abc import Mapping

from minirag.metrics.comparison import LEVEL


def holm(p_values: Mapping[str, float | None]) -> dict[str, float | None]:
    """Correct each p-value for the others (Holm 1979): below 0.05 in at most 5 % of evaluations without any effect.

    Metrics without a p-value stay without and do not count.

    >>> holm({"faithfulness": 0.01, "relevancy": 0.04, "recall": None})
    {'faithfulness': 0.02, 'relevancy': 0.04, 'recall': None}
    """
    ordered = sorted((p, name) for name, p in p_values.items() if p is not None)
    corrected: dict[str, float] = {}
    highest = 0.0
    for rank, (p, name) in enumerate(ordered):
        highest = max(highest, min(1.0, p * (len(ordered) - rank)))
        corrected[name] = highest
    return {name: corrected.get(name) for name in p_values}


def holm_in_words(p_values: Mapping[str, float | None]) -> str:
    """Return the risk of several metrics, and which differences remain after the correction; "" for a single one."""
    count = sum(p is not None for p in p_values.values())
    if count < 2:
        return ""
    remaining = [name for name, p in holm(p_values).items() if p is not None and p < 1 - LEVEL]
    return (
        f"{count} metrics: chance alone makes one look different in up to {min(100, 5 * count)} % of evaluations; "
        f"after Holm's correction: {', '.join(remaining) or 'none'}"
    )
