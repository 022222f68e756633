"""Rounds: the split of the spread against numpy, and what more rounds or questions buy."""

import numpy as np
import pytest
from scipy import stats

from minirag.errors import InputError
from minirag.metrics import Score
from minirag.statistics.noise import flip_rate, judge_noise, noise_in_words


def rounds(n: int = 200, k: int = 3, seed: int = 0) -> tuple[list[list[float]], list[list[float]]]:
    """Questions' true differences spread by 0.2, each judge's score by 0.1 ÷ √2."""
    random = np.random.default_rng(seed)
    true = random.normal(0.05, 0.2, n)
    noise = random.normal(0, 0.1 / np.sqrt(2), (2, k, n))
    return [list(row) for row in noise[0]], [list(true + row) for row in noise[1]]


def test_the_split_is_that_of_the_analysis_of_variance() -> None:
    base, tuned = rounds()
    noise = judge_noise(base, tuned)
    differences = np.array(tuned) - np.array(base)
    within = differences.var(axis=0, ddof=1).mean()
    ratio = stats.f_oneway(*differences.T).statistic
    assert noise.judge == pytest.approx(within, abs=1e-12)
    assert noise.questions == pytest.approx(within * (ratio - 1) / 3, abs=1e-9)
    assert (np.sqrt(noise.judge), np.sqrt(noise.questions)) == pytest.approx((0.1, 0.2), rel=0.1)


def test_twice_the_rounds_halve_the_judge_s_part_of_the_squared_error() -> None:
    base, tuned = rounds(n=4000, k=2)
    saved = 100 * (1 - np.sqrt((0.2**2 + 0.1**2 / 4) / (0.2**2 + 0.1**2 / 2)))
    told = noise_in_words(judge_noise(base, tuned))
    assert f"the interval {saved:.0f} % narrower, twice the questions 29 %" in told


def test_a_judge_that_never_wavers_has_no_noise_and_more_rounds_buy_nothing() -> None:
    base, tuned = rounds(k=1)
    noise = judge_noise(base * 3, tuned * 3)
    assert (noise.judge, noise.flips) == (pytest.approx(0.0, abs=1e-30), 0.0)
    assert "the interval 0 % narrower" in noise_in_words(noise)


def test_a_round_that_left_an_answer_unscored_is_left_out_of_that_question_only() -> None:
    base = [[0.5, 0.5, 0.5], [0.5, None, 0.5]]
    tuned = [[0.7, 0.6, Score(None, "cut off")], [0.9, 0.6, 0.4]]
    noise = judge_noise(base, tuned)
    assert (noise.n, noise.rounds) == (3, pytest.approx(1.2))
    assert noise.judge == pytest.approx(0.02)


def test_one_round_or_one_question_tells_nothing_of_the_noise() -> None:
    assert judge_noise(*rounds(k=1)) is None
    assert judge_noise([[0.5], [0.5]], [[0.6], [0.7]]) is None
    assert judge_noise([], []) is None


def test_arms_judged_unequally_often_or_over_other_questions_are_refused() -> None:
    with pytest.raises(InputError, match="2 rounds with 1"):
        judge_noise([[0.5], [0.5]], [[0.6]])
    with pytest.raises(InputError, match="same questions"):
        judge_noise([[0.5, 0.5], [0.5]], [[0.5, 0.5], [0.5]])


def test_the_flip_rate_counts_pairs_of_rounds_that_disagree() -> None:
    assert flip_rate([["better", "better"], ["better", "worse"], ["worse"]]) == 0.5
    assert flip_rate([]) == 0.0
