"""Judge against person: accuracy and kappa by hand, and intervals that do not vanish."""

import math

import pytest
from scipy import stats

from minirag.errors import InputError
from minirag.statistics.agreement import agreement


def labels(both: int, judge_only: int, person_only: int, neither: int) -> tuple[list[bool], list[bool]]:
    judge = [True] * (both + judge_only) + [False] * (person_only + neither)
    person = [True] * both + [False] * judge_only + [True] * person_only + [False] * neither
    return judge, person


def test_kappa_is_that_of_the_textbook_table() -> None:
    result = agreement(*labels(20, 5, 10, 15))  # accuracy 0.7, chance 0.5
    assert result.accuracy.value == pytest.approx(0.7)
    assert result.kappa.value == pytest.approx(0.4)
    assert (result.too_kind, result.too_strict) == (5, 10)


def test_kappa_s_error_is_that_of_fleiss_cohen_and_everitt() -> None:
    n, table = 50, [[0.4, 0.1], [0.2, 0.3]]
    rows, columns = [0.5, 0.5], [0.6, 0.4]
    agreed, chance = 0.7, 0.5
    kappa = (agreed - chance) / (1 - chance)
    first = sum(table[i][i] * (1 - (rows[i] + columns[i]) * (1 - kappa)) ** 2 for i in (0, 1))
    second = (1 - kappa) ** 2 * sum(table[i][j] * (columns[i] + rows[j]) ** 2 for i in (0, 1) for j in (0, 1) if i != j)
    variance = (first + second - (kappa - chance * (1 - kappa)) ** 2) / (n * (1 - chance) ** 2)
    found = agreement(*labels(20, 5, 10, 15)).kappa
    assert found.error == pytest.approx(math.sqrt(variance * n / (n - 1)), abs=1e-9)


def test_the_accuracy_of_single_statements_is_wilson_s() -> None:
    result = agreement(*labels(450, 30, 20, 500)).accuracy
    oracle = stats.binomtest(950, 1000).proportion_ci(0.95, method="wilson")
    assert (result.low, result.high) == pytest.approx((oracle.low, oracle.high), abs=1e-4)


def test_agreement_throughout_still_has_an_interval() -> None:
    result = agreement([True] * 30 + [False] * 20, [True] * 30 + [False] * 20)
    assert (result.accuracy.value, result.kappa.value) == (1.0, 1.0)
    assert 0.9 < result.accuracy.low < 0.95
    assert result.kappa.low < result.accuracy.low < result.kappa.high == 1.0


def test_statements_of_one_answer_are_no_independent_witnesses() -> None:
    judge, person = labels(20, 10, 0, 20)
    alone = agreement(judge, person)
    together = agreement(judge, person, clusters=[i // 5 for i in range(50)])
    assert together.accuracy.high - together.accuracy.low > alone.accuracy.high - alone.accuracy.low
    assert together.kappa.high - together.kappa.low > alone.kappa.high - alone.kappa.low


def test_one_label_throughout_has_no_kappa_and_one_cluster_no_interval() -> None:
    assert agreement([True] * 5, [True] * 5).kappa is None
    single = agreement([True, False, True], [True, False, False], clusters="aaa")
    assert (single.accuracy.low, single.kappa.low) == (None, None)


def test_always_the_opposite_is_kappa_below_nought() -> None:
    result = agreement([True, False] * 10, [False, True] * 10)
    assert (result.kappa.value, result.kappa.low) == (-1.0, -1.0)
    assert result.kappa.high < 0


def test_nothing_or_unequal_lists_are_refused() -> None:
    for judge, person in (([], []), ([True], [True, False])):
        with pytest.raises(InputError, match="Cannot pair"):
            agreement(judge, person)
