"""How much of the spread of a difference is the judge's own, seen in several rounds of judging."""

import math
from collections.abc import Mapping

import numpy as np

from minirag.metrics.comparison import cluster_numbers, variance_components
from minirag.metrics.score import Scores

UNSEEN = "rounds share judge and models: neither a shift of the judge as a whole nor another seed of training is in it"
"""What the spread between rounds does not show."""


def judge_noise(scores: Scores, metric: str) -> dict[str, float] | None:
    """Split the spread of tuned − base by an analysis of variance (Searle, Casella, McCulloch 1992).

    `judge` is the variance of one question's difference from round to round, `questions` that between the questions'
    true differences, `n` the number of questions. None where fewer than two questions were scored in both arms, or
    none of them in two rounds.
    """
    values: dict[tuple[str, int], dict[str, float]] = {}  # by question and round, then by arm
    for row in scores:
        if row.metric == metric and row.arm in {"base", "tuned"} and row.score.value is not None:
            values.setdefault((row.question_id, row.round), {})[row.arm] = row.score.value
    differences = {key: one["tuned"] - one["base"] for key, one in values.items() if len(one) == 2}
    groups = cluster_numbers([question for question, _ in differences])
    n = len(set(groups))
    if n < 2 or n == len(differences):
        return None
    judge, questions = variance_components(np.array(list(differences.values())), groups)
    return {"judge": judge, "questions": questions, "n": n}


def noise_in_words(noise: Mapping[str, float]) -> str:
    """Return the standard deviations.

    >>> noise_in_words({"judge": 0.0132, "questions": 0.0335, "n": 3})
    'judge noise 0.115, spread between questions 0.183'
    """
    return f"judge noise {math.sqrt(noise['judge']):.3f}, spread between questions {math.sqrt(noise['questions']):.3f}"
