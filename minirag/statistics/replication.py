"""Several runs side by side: does what one found hold in the others, and do their shared questions agree?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minirag.clustered import Estimate, clustered_mean
from minirag.comparison import comparisons
from minirag.metrics.score import Scores
from minirag.questions import Question

RunFiles = tuple[Mapping[str, Any], Sequence[Question], Scores]
"""A finished run's `comparison.json`, eval questions and scores."""


@dataclass(frozen=True, slots=True)
class Change:
    """A run's difference minus the first run's on the `shared` questions: same text, scored in both."""

    shared: int
    estimate: Estimate | None


@dataclass(frozen=True, slots=True)
class Replication:
    """One comparison in each of the `runs` (None: not made there), what they say of each other, and how the first
    run's questions changed in each later one."""

    metric: str
    against: str
    runs: Sequence[Mapping[str, Any] | None]
    outcome: str
    changes: Sequence[Change]


def replication(runs: Sequence[RunFiles]) -> list[Replication]:
    """Return every comparison that one of the runs has, in the order of the first."""
    compared = [{(metric, arm): one for metric, arm, one in comparisons(comparison)} for comparison, _, _ in runs]
    return [
        Replication(
            *key,
            runs=[each.get(key) for each in compared],
            outcome=outcome([str(each[key]["verdict"]) for each in compared if key in each]),
            changes=[_change(runs[0], later, *key) for later in runs[1:]],
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


def _change(first: RunFiles, later: RunFiles, metric: str, arm: str) -> Change:
    before, after = _differences(first, metric, arm), _differences(later, metric, arm)
    shared = [text for text in before if text in after]
    if not shared:
        return Change(0, None)
    changes = np.array([after[text] - before[text] for text in shared])
    pages = {question.text: question.text if question.page is None else question.page for question in first[1]}
    return Change(len(shared), clustered_mean(changes, [pages[text] for text in shared]))


def _differences(run: RunFiles, metric: str, arm: str) -> dict[str, float]:
    """Return tuned − arm by the question's text, where both are scored; ragas_score has none, as no question has it."""
    _, questions, scores = run
    ids = [question.id for question in questions]
    columns = (scores.values(name, metric, ids) for name in (arm, "tuned"))
    return {
        question.text: tuned - base
        for question, base, tuned in zip(questions, *columns, strict=True)
        if base is not None and tuned is not None
    }
