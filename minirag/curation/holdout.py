"""Row 3. Splits examples for validation, question by question, so that no page is on both sides."""

from collections import defaultdict
from collections.abc import Hashable, Sequence


def hold_out(
    questions: Sequence[Hashable], pages: Sequence[frozenset[Hashable]], share: float
) -> tuple[set[int], set[int]]:
    """(examples for validation, examples that must go because they show a page of those), by number.

    `questions` and `pages` say for each example what it belongs to, and every page that it is about or shows. All
    examples of a question stay together; the questions chosen are those that cost the fewest others, until `share` of
    the examples is reached or one more would leave nothing to train on.

    >>> hold_out(["a", "a", "b", "c"], [frozenset({1}), frozenset({1, 2}), frozenset({2}), frozenset({3})], 0.25)
    ({3}, set())
    """
    members: dict[Hashable, set[int]] = defaultdict(set)
    showing: dict[Hashable, set[int]] = defaultdict(set)
    for number, question in enumerate(questions):
        members[question].add(number)
        for page in pages[number]:
            showing[page].add(number)
    touched = {
        question: set().union(own, *(showing[page] for number in own for page in pages[number]))
        for question, own in members.items()
    }
    held: set[int] = set()
    gone: set[int] = set()  # held, or showing a page of those that are
    while len(held) < share * len(questions) and members:
        best = min(members, key=lambda question: len(touched[question] - gone - members[question]))
        if len(gone | touched[best]) >= len(questions):
            break
        held |= members.pop(best)
        gone |= touched[best]
    return held, gone - held
