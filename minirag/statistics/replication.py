"""Several runs side by side: does what one found hold in the others?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from minirag.statistics.power import comparisons


@dataclass(frozen=True, slots=True)
class Replication:
    """One comparison in each of the `runs` (None: not made there), and the `outcome`, what they say of each other."""

    metric: str
    against: str
    runs: Sequence[Mapping[str, Any] | None]
    outcome: str


def replication(runs: Sequence[Mapping[str, Any]]) -> list[Replication]:
    """Return every comparison that one of the runs has, given as `comparison.json`, in the order of the first."""
    compared = [{(metric, arm): one for metric, arm, one in comparisons(comparison)} for comparison in runs]
    return [
        Replication(
            *key,
            runs=[each.get(key) for each in compared],
            outcome=outcome([str(each[key]["verdict"]) for each in compared if key in each]),
        )
        for key in dict.fromkeys(key for each in compared for key in each)
    ]


def outcome(verdicts: Sequence[str]) -> str:
    """Return what verdicts say of each other.

    `replicates`: at least two, and all the same. `contradicts`: some say different things. `not shown`: some say the
    same, others cannot tell or were not made. `undecided`: none says anything.

    >>> outcome(["better", "better"]), outcome(["better", "worse"]), outcome(["better", "cannot tell"])
    ('replicates', 'contradicts', 'not shown')
    """
    clear = [verdict for verdict in verdicts if verdict != "cannot tell"]
    if len(set(clear)) > 1:
        return "contradicts"
    if not clear:
        return "undecided"
    return "replicates" if len(clear) == len(verdicts) > 1 else "not shown"
