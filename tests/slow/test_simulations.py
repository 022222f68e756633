"""The figures of minirag/statistics/README.md: 2,000 simulated evaluations each, printed with `pytest -s`."""

import pytest

from simulated import (
    SHAPES,
    corrected_coverage,
    coverage,
    even,
    kappa_coverage,
    lead_coverage,
    ragas_coverage,
    uneven,
)

RUNS = 2000


@pytest.mark.parametrize("sizes", [even, uneven])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("n", [20, 50, 100, 300])
def test_the_interval_holds_the_truth(n: int, shape: str, sizes) -> None:
    result = coverage(sizes(n), shape, RUNS)
    print(f"{shape}, {sizes.__name__}, {n} questions:", *(f"{share:.3f}" for share in result))
    assert result.holds >= (0.92 if shape == "tied and skewed" else 0.935)
    assert result.alarms <= 0.08


@pytest.mark.parametrize("n", [20, 50, 100, 300])
def test_the_interval_of_ragas_score(n: int) -> None:
    holds = ragas_coverage(n, RUNS)
    print(f"{n} questions: ragas_score {holds:.3f}")
    assert holds >= 0.935


@pytest.mark.parametrize(("n", "lead"), [(100, 0.0), (100, 0.1), (100, 0.2), (300, 0.2)])
def test_the_share_of_the_teacher_s_lead(n: int, lead: float) -> None:
    given, holds = lead_coverage(n, lead, RUNS)
    print(f"{n} questions, lead {lead}: given {given:.3f}, holds {holds:.3f}")
    assert given <= 0.035 if lead == 0 else holds >= 0.935


@pytest.mark.parametrize("n", [50, 100, 200])
def test_kappa(n: int) -> None:
    holds = kappa_coverage(n, RUNS)
    print(f"{n} statements: kappa {holds:.3f}")
    assert holds >= 0.935


@pytest.mark.parametrize("likeness", [0.3, 0.7, 0.9])
@pytest.mark.parametrize(("n", "labelled"), [(100, 30), (100, 50), (300, 50)])
def test_means_corrected_by_labels(n: int, labelled: int, likeness: float) -> None:
    holds, width = corrected_coverage(n, labelled, likeness, RUNS)
    print(f"{labelled} of {n} labelled, likeness {likeness}: holds {holds:.3f}, width {width:.3f}")
    assert holds >= 0.935
    assert width <= 1.0
