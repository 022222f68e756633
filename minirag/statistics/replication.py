"""Row 8. Several runs side by side: does what one found hold in the others, and do their shared questions agree?"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from minirag.report.results import comparisons
from minirag.report.saved_run import SavedRun
from minirag.statistics.clustered import Estimate, clustered_mean

CLEAR = {"better", "worse", "no meaningful difference"}
"""Verdicts that say something."""


@dataclass(frozen=True, slots=True)
class Change:
    """A run's difference minus the first run's on the `shared` questions: same text, scored in both. None without."""

    shared: int
    estimate: Estimate | None


@dataclass(frozen=True, slots=True)
class Replication:
    """One comparison in each of the `runs` (None: not made there), what they say of each other, and how the first
    run's questions moved in each later one."""

    metric: str
    against: str
    runs: Sequence[Mapping[str, Any] | None]
    outcome: str
    changes: Sequence[Change]

    def to_json(self) -> dict[str, Any]:
        """As `--json` says it."""
        return asdict(self)


def replication(runs: Sequence[SavedRun]) -> list[Replication]:
    """Every comparison that one of the runs has, in the order of the first."""
    found = [{(metric, arm): one for metric, arm, one in comparisons(run.comparison)} for run in runs]
    return [
        Replication(
            *key,
            runs=[each.get(key) for each in found],
            outcome=outcome([str(one["verdict"]) for each in found if (one := each.get(key)) is not None]),
            changes=[_change(runs[0], later, *key) for later in runs[1:]],
        )
        for key in dict.fromkeys(key for each in found for key in each)
    ]


def names_of(runs: Sequence[SavedRun]) -> list[str]:
    """What to call each run: its folder's name, or its whole path where two are alike."""
    names = [run.folder.name for run in runs]
    return names if len(set(names)) == len(names) else [str(run.folder) for run in runs]


def outcome(verdicts: Sequence[str]) -> str:
    """What verdicts say of each other.

    `replicates`: at least two say something, all of those the same, and none cannot tell. `contradicts`: they say
    different things. `not shown`: some say the same, others cannot tell or were not made. `undecided`: none says
    anything.

    >>> outcome(["better", "better"]), outcome(["better", "worse"]), outcome(["better", "cannot tell"])
    ('replicates', 'contradicts', 'not shown')
    """
    clear = [verdict for verdict in verdicts if verdict in CLEAR]
    if len(set(clear)) > 1:
        return "contradicts"
    if not clear:
        return "undecided"
    return "replicates" if len(clear) == len(verdicts) > 1 else "not shown"


def _change(first: SavedRun, later: SavedRun, metric: str, arm: str) -> Change:
    before, after = (_differences(run, metric, arm) for run in (first, later))
    shared = [text for text in before if text in after]
    if not shared:
        return Change(0, None)
    moved = np.array([after[text] - before[text] for text in shared])
    pages = {question.text: question.page for question in first.evaluated}
    return Change(len(shared), clustered_mean(moved, [text if pages[text] is None else pages[text] for text in shared]))


def _differences(run: SavedRun, metric: str, arm: str) -> dict[str, float]:
    """Tuned − arm by the question's text, where both are scored; a score of all metrics together no question has."""
    ids = [question.id for question in run.evaluated]
    columns = [run.scores.values(name, metric, ids) for name in (arm, "tuned")]
    return {
        question.text: tuned - base
        for question, base, tuned in zip(run.evaluated, *columns, strict=True)
        if base is not None and tuned is not None
    }
