"""ragas_score of two arms: against the jackknife, and where it has no interval."""

import numpy as np
import pytest

from minirag.metrics import Score
from minirag.metrics.score import ragas_score
from minirag.statistics.composite import compare_ragas_score
from minirag.statistics.power import in_words, to_json


def test_the_error_comes_close_to_that_of_leaving_out_one_page_at_a_time() -> None:
    random = np.random.default_rng(3)
    scores = random.beta(5, 1.5, (2, 2, 200))  # metrics, arms, questions
    pages = np.arange(200) // 5

    def difference(kept: np.ndarray) -> float:
        means = scores[:, :, kept].mean(axis=2)
        return ragas_score(list(means[:, 1])) - ragas_score(list(means[:, 0]))

    left_out = np.array([difference(pages != page) for page in range(40)])
    jackknife = np.sqrt(39 / 40 * np.sum((left_out - left_out.mean()) ** 2))
    result = compare_ragas_score({"f": tuple(scores[0]), "r": tuple(scores[1])}, clusters=list(pages))
    half = (result.high - result.low) / 2
    assert half / 2.0227 == pytest.approx(jackknife, rel=0.01)  # t with 39 degrees of freedom
    assert result.difference == pytest.approx(difference(pages >= 0), abs=1e-12)


def test_the_means_are_over_the_questions_that_have_every_metric_in_both_arms() -> None:
    scores = {"f": ([0.5, 0.7, None], [0.8, 0.9, 0.9]), "r": ([0.9, 0.8, 0.7], [0.9, Score(None, "cut off"), 0.8])}
    result = compare_ragas_score(scores)
    assert result.base_mean == pytest.approx(ragas_score([0.5, 0.9]))
    assert result.tuned_mean == pytest.approx(ragas_score([0.8, 0.9]))
    assert result.unscored == {"base": {"no reason given": 1}, "tuned": {"cut off": 1}}
    assert result.worst == pytest.approx(ragas_score([2.6 / 3, 1.7 / 3]) - ragas_score([2.2 / 3, 0.8]))
    assert (result.n, result.n_unscored, result.verdict) == (1, 2, "cannot tell")


def test_a_metric_whose_mean_is_nought_gives_no_interval() -> None:
    result = compare_ragas_score({"f": ([0.0, 0.0], [0.5, 0.6]), "r": ([0.5, 0.5], [0.5, 0.5])})
    assert (result.base_mean, result.low, result.n) == (0.0, None, 2)
    assert in_words(to_json(result)) == "+0.524: cannot tell (the mean of a metric is 0, and ragas_score with it)"


def test_the_article_s_ragas_scores_are_within_noise(article: dict[str, list[float]]) -> None:
    metrics = ("faithfulness", "answer_relevancy")
    result = compare_ragas_score({m: (article[f"base_{m}"], article[f"ft_{m}"]) for m in metrics})
    assert (round(result.base_mean, 4), round(result.tuned_mean, 4)) == (0.8947, 0.9207)
    assert in_words(to_json(result)) == "+0.026 [-0.024, +0.076]: cannot tell (about 255 questions could)"
