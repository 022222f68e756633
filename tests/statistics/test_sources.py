"""Where a difference comes from: kinds of questions, and the split of the spread against an analysis of variance."""

import numpy as np
import pytest
from scipy import stats

from minirag.metrics import Score
from minirag.metrics.score import ScoredRow, Scores
from minirag.statistics.sources import judge_noise, splits, splits_in_words


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
    found = judge_noise(judged(noise[0].tolist(), (true + noise[1]).tolist()), "f")
    differences = true + noise[1] - noise[0]
    within = differences.var(axis=0, ddof=1).mean()
    ratio = stats.f_oneway(*differences.T).statistic
    assert found.judge == pytest.approx(within, abs=1e-12)
    assert found.questions == pytest.approx(within * (ratio - 1) / 3, abs=1e-9)
    assert (np.sqrt(found.judge), np.sqrt(found.questions)) == pytest.approx((0.1, 0.2), rel=0.1)


def test_winners_that_change_between_rounds_are_counted_and_a_steady_judge_has_no_noise() -> None:
    base, steady = [[0.5, 0.5, 0.5]] * 2, [[0.6, 0.9, 0.4]] * 2
    assert judge_noise(judged(base, [[0.6, 0.9, 0.4], [0.8, 0.9, 0.6]]), "f").flips == pytest.approx(1 / 3)
    found = judge_noise(judged(base, steady), "f")
    assert (found.judge, found.flips) == (pytest.approx(0.0, abs=1e-30), 0.0)


def test_a_round_that_left_an_answer_unscored_is_left_out_of_that_question_only() -> None:
    base, tuned = [[0.5, 0.5, 0.5], [0.5, None, 0.5]], [[0.7, 0.6, None], [0.9, 0.6, 0.4]]
    found = judge_noise(judged(base, tuned), "f")
    assert (found.n, found.judge) == (3, pytest.approx(0.02))


@pytest.mark.parametrize("rounds", [[[0.5, 0.6]], [[0.5], [0.6]], []])
def test_one_round_or_one_question_shows_nothing_of_the_noise(rounds: list[list[float | None]]) -> None:
    assert judge_noise(judged(rounds, rounds), "f") is None


def test_each_kind_of_question_gets_the_mean_of_its_own_differences_and_no_verdict() -> None:
    base, tuned = [0.5, 0.5, 0.5, 0.5, None], [0.9, 0.5, 0.7, 0.4, 0.9]
    parts = splits(base, tuned, {"calls": ["refine", "one call", "refine", "one call", "refine"]})
    assert parts["calls"]["refine"] == {"difference": pytest.approx(0.3), "n": 2}
    assert splits_in_words(parts) == ["by calls, a description: refine (2) +0.300, one call (2) -0.050"]
