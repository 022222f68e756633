"""Similar sets are those that comparing with all of them finds."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from minirag.curation.similar import Similar
from minirag.text import jaccard

WORDS = st.frozensets(
    st.sampled_from(["a", "of", "who", "tram", "ferry", "fares", "", "月", "revenue", "B"]), max_size=9
)


@settings(max_examples=500)
@given(st.lists(WORDS, max_size=12), WORDS, st.sampled_from([0.1, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]))
@example([frozenset()], frozenset(), 0.8)
@example([frozenset("abcdefghij")], frozenset("abcdefgh"), 0.8)
@example([frozenset("abcdefghij")], frozenset("abcdefg"), 0.7)
def test_the_first_is_that_of_comparing_with_all(
    sets: list[frozenset[str]], asked: frozenset[str], least: float
) -> None:
    seen = Similar(least)
    for words in sets:
        seen.add(words)
    assert seen.first(asked) == next((n for n, words in enumerate(sets) if jaccard(asked, words) >= least), None)


def test_few_of_many_questions_are_compared(monkeypatch) -> None:
    seen, compared = Similar(0.8), []
    monkeypatch.setattr("minirag.curation.similar.jaccard", lambda a, b: compared.append(b) or jaccard(a, b))
    for number in range(2000):
        words = f"what was the output of hall {number} near town{number % 701} in the year year{number % 7}".split()
        assert seen.first(words) is None
        seen.add(words)
    assert len(compared) < 2000 * 20
