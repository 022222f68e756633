"""What a metric returns, and the scores of many rows as `scores.jsonl` holds them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import harmonic_mean
from typing import Any

from minirag.errors import InputError

NO_ANSWER = "there is no answer: the call failed"


@dataclass(frozen=True, slots=True)
class Score:
    """One metric of one answer: `value` in [0, 1], or None with a `reason`.

    `evidence` is what the value was computed from: one mapping for each statement, context or question. `exchanges`
    are the ids of the judge's calls in the log.

    >>> Score(None, "the answer makes no statements").value is None
    True
    """

    value: float | None
    reason: str = ""
    evidence: tuple[Mapping[str, Any], ...] = ()
    exchanges: tuple[str, ...] = ()


class Unscored(Exception):
    """Raised inside a metric to end it; the message becomes the reason of the score."""


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """One score and what it belongs to. `failed`: the service failed, so asking again may give a score."""

    question_id: str
    arm: str
    metric: str
    round: int
    score: Score
    failed: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the row as `scores.jsonl` holds it."""
        names = {"question_id": self.question_id, "arm": self.arm, "metric": self.metric, "round": self.round}
        return {**names, **asdict(self.score)}


class Scores(list[ScoredRow]):
    """The scores of an evaluation, in the order of rows, metrics and rounds."""

    @classmethod
    def read(cls, path: Path) -> "Scores":
        """Return the scores of a `scores.jsonl`. Raises InputError."""
        scores = cls()
        try:
            for line in path.read_bytes().splitlines():
                row = json.loads(line)
                evidence, exchanges = tuple(row.pop("evidence")), tuple(row.pop("exchanges"))
                score = Score(row.pop("value"), row.pop("reason"), evidence, exchanges)
                scores.append(ScoredRow(**row, score=score))
        except FileNotFoundError:
            raise InputError(f"There is no {path}; evaluate the run first.") from None
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} holds no scores ({error}); evaluate the run again.") from error
        return scores

    def of(self, arm: str, metric: str, questions: Sequence[str]) -> list[Score]:
        """Return one score for each question id: the mean over its rounds, or none with the first round's reason."""
        rounds: dict[str, list[Score]] = {id: [] for id in questions}
        for row in self:
            if row.arm == arm and row.metric == metric and row.question_id in rounds:
                rounds[row.question_id].append(row.score)
        means = []
        for scores in rounds.values():
            values = [score.value for score in scores if score.value is not None]
            unscored = Score(None, scores[0].reason if scores else NO_ANSWER)
            means.append(Score(sum(values) / len(values)) if values else unscored)
        return means


def ragas_score(means: Sequence[float | None]) -> float | None:
    """Return the harmonic mean of the metrics' means, as ragas had it until 0.0.19; None if one is missing.

    >>> round(ragas_score([0.8356, 0.9629]), 4), ragas_score([0.5, None])
    (0.8947, None)
    """
    values = [mean for mean in means if mean is not None]
    return harmonic_mean(values) if values and len(values) == len(means) else None
