"""Several metrics: Holm's correction."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from minirag.statistics.holm import holm, in_words


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_it_is_the_closed_test_of_bonferroni(p_values: list[float]) -> None:
    """A metric's p-value is the largest Bonferroni p-value of all the sets of metrics that it belongs to."""
    numbers = range(len(p_values))
    sets = [chosen for size in range(1, len(p_values) + 1) for chosen in combinations(numbers, size)]
    expected = {
        str(i): max(min(1.0, len(chosen) * min(p_values[j] for j in chosen)) for chosen in sets if i in chosen)
        for i in numbers
    }
    assert holm({str(i): p for i, p in enumerate(p_values)}) == expected


def test_the_words_name_the_risk_and_what_is_left() -> None:
    assert in_words({"faithfulness": 0.03, "relevancy": 0.04}) == (
        "2 metrics: chance alone makes one look different in up to 10 % of evaluations; after Holm's correction: none"
    )
    assert in_words({"faithfulness": 0.03, "relevancy": None}) == ""
