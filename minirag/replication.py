"""Row 8. Two runs side by side: does what one of them found hold in the other, and do their shared questions agree?"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from minirag.saved_run import SavedRun
from minirag.statistics.clustered import Estimate, clustered_mean
from minirag.tables import pairs

CLEAR = {"better", "worse", "no meaningful difference"}
"""Verdicts that say something."""


@dataclass(frozen=True, slots=True)
class Replication:
    """One comparison in both runs (None: not made there), and what the second says of the first.

    `outcome` is `replicates` (both say the same, and something), `contradicts` (they say different things), `not
    shown` (one of them cannot tell) or `undecided` (neither can). `shared` counts the questions with the same text
    that are scored in both, and `change` is the second run's difference minus the first's on those.
    """

    metric: str
    against: str
    first: Mapping[str, Any] | None
    second: Mapping[str, Any] | None
    outcome: str
    shared: int
    change: Estimate | None

    def to_json(self) -> dict[str, Any]:
        """As `--json` says it."""
        return asdict(self)


def replication(first: SavedRun, second: SavedRun) -> list[Replication]:
    """Every comparison that one of the runs has, in the order of the first."""
    found = [{(metric, arm): one for metric, arm, one in pairs(run.comparison)} for run in (first, second)]
    return [
        _replication(first, second, key, found[0].get(key), found[1].get(key))
        for key in dict.fromkeys([*found[0], *found[1]])
    ]


def outcome(first: str | None, second: str | None) -> str:
    """What two verdicts say of each other.

    >>> outcome("better", "better"), outcome("better", "worse"), outcome("better", "cannot tell")
    ('replicates', 'contradicts', 'not shown')
    """
    clear = [verdict for verdict in (first, second) if verdict in CLEAR]
    if len(clear) < 2:
        return "not shown" if clear else "undecided"
    return "replicates" if clear[0] == clear[1] else "contradicts"


def _replication(
    first: SavedRun,
    second: SavedRun,
    key: tuple[str, str],
    one: Mapping[str, Any] | None,
    other: Mapping[str, Any] | None,
) -> Replication:
    metric, arm = key
    before, after = (_differences(run, metric, arm) for run in (first, second))
    shared = [text for text in before if text in after]
    change = None
    if shared:
        moved = np.array([after[text] - before[text] for text in shared])
        pages = {question.text: question.page for question in first.evaluated}
        change = clustered_mean(moved, [text if pages[text] is None else pages[text] for text in shared])
    verdicts = [None if found is None else str(found["verdict"]) for found in (one, other)]
    return Replication(metric, arm, one, other, outcome(*verdicts), len(shared), change)


def _differences(run: SavedRun, metric: str, arm: str) -> dict[str, float]:
    """Tuned − arm by the question's text, where both are scored; a score of all metrics together no question has."""
    ids = [question.id for question in run.evaluated]
    columns = [run.scores.values(name, metric, ids) for name in (arm, "tuned")]
    return {
        question.text: tuned - base
        for question, base, tuned in zip(run.evaluated, *columns, strict=True)
        if base is not None and tuned is not None
    }
