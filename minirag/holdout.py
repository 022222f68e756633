"""Row 3. Splits examples for validation, question by question, so that no page is on both sides."""

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
    held: set[int] = set()
    lost: set[int] = set()
    while len(held) < share * len(questions):
        rest = dict.fromkeys(q for n, q in enumerate(questions) if n not in held)
        choices = []
        for question in rest:
            chosen = held | {n for n, other in enumerate(questions) if other == question}
            taken = frozenset().union(*(pages[n] for n in chosen))
            choices.append((chosen, {n for n, shown in enumerate(pages) if n not in chosen and shown & taken}))
        chosen, crossing = min(choices, key=lambda choice: len(choice[1]), default=(held, lost))
        if len(chosen) + len(crossing) >= len(questions):
            break
        held, lost = chosen, crossing
    return held, lost
