"""The judge's noise: the split of the spread of a difference against an analysis of variance."""

import numpy as np
import pytest
from scipy import stats

from minirag.metrics import Score
from minirag.metrics.score import ScoredRow, Scores
from minirag.statistics.findings import judge_noise


def judged(base: list[list[float | None]], tuned: list[list[float | None]]) -> Scores:
    """Scores of these values by round and question."""
    return Scores(
        ScoredRow(f"e{i}", arm, "f", number, Score(value))
        for arm, rounds in (("base", base), ("tuned", tuned))
        for number, column in enumerate(rounds)
        for i, value in enumerate(column)
    )


def test_the_split_is_that_of_the_analysis_of_variance() -> None:
    random = np.random.default_rng(0)
    true, noise = random.normal(0.05, 0.2, 200), random.normal(0, 0.1 / np.sqrt(2), (2, 3, 200))
    result = judge_noise(judged(noise[0].tolist(), (true + noise[1]).tolist()), "f")
    differences = true + noise[1] - noise[0]
    within = differences.var(axis=0, ddof=1).mean()
    ratio = stats.f_oneway(*differences.T).statistic
    assert result["judge"] == pytest.approx(within, abs=1e-12)
    assert result["questions"] == pytest.approx(within * (ratio - 1) / 3, abs=1e-9)


def test_a_round_that_left_an_answer_unscored_is_left_out_of_that_question_only() -> None:
    base, tuned = [[0.5, 0.5, 0.5], [0.5, None, 0.5]], [[0.7, 0.6, None], [0.9, 0.6, 0.4]]
    result = judge_noise(judged(base, tuned), "f")
    assert (result["n"], result["judge"]) == (3, pytest.approx(0.02))


@pytest.mark.parametrize("rounds", [[[0.5, 0.6]], [[0.5], [0.6]], []])
def test_one_round_or_one_question_shows_nothing_of_the_noise(rounds: list[list[float | None]]) -> None:
    assert judge_noise(judged(rounds, rounds), "f") is None
