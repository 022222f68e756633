"""The figures of minirag/statistics/README.md: 2,000 simulated evaluations each, printed with `pytest -s`."""

import pytest

from simulated import SHAPES, coverage, even, label_coverage, missing_coverage, uneven

RUNS = 2000


@pytest.mark.parametrize("sizes", [even, uneven])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", [50, 100, 300])
def test_the_interval_holds_the_truth(n: int, shape: str, sizes) -> None:
    result = coverage(sizes(n), shape, RUNS)
    print(f"{shape}, {sizes.__name__}, {n} questions:", *(f"{share:.3f}" for share in result))
    assert result.holds >= (0.92 if shape == "tied and skewed" else 0.935)
    assert result.alarms <= 0.08


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("pages", [6, 7, 8, 10])
def test_the_interval_holds_the_truth_with_six_to_ten_pages(pages: int, shape: str) -> None:
    result = coverage(even(5 * pages), shape, RUNS)
    print(f"{shape}, {pages} pages of 5:", *(f"{share:.3f}" for share in result))
    assert result.holds >= 0.92  # with pages of one size it is scipy's t test, and 2,000 runs are off by up to 0.015
    assert result.alarms <= 0.08


@pytest.mark.parametrize(("n", "difference"), [(50, 0.0), (100, 0.0), (100, 0.1), (200, 0.2)])
def test_unscored_answers(n: int, difference: float) -> None:
    alarms, better = missing_coverage(n, RUNS, difference=difference)
    print(f"{n} questions, difference {difference}: false alarms {alarms:.3f}, better {better:.3f}")
    assert alarms <= 0.05


@pytest.mark.parametrize("labels", [40, 45, 50])
def test_means_corrected_by_few_labels(labels: int) -> None:
    holds = label_coverage(labels, RUNS)
    print(f"{labels} labels: {holds:.3f}")
    assert holds >= 0.93
