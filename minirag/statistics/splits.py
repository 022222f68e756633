"""Where a difference comes from: ways to tell questions apart without looking at their scores."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from minirag.query import Answer
from minirag.questions import PageKey, Question
from minirag.statistics.power import in_words

Kinds = Mapping[str, Sequence[str]]
"""For each way to tell questions apart, a label for each question."""


def question_kinds(
    questions: Sequence[Question],
    answers: Mapping[tuple[str, str], Answer],
    page_of: Mapping[str, PageKey],
    abstains: Callable[[str], bool],
) -> dict[str, list[str]]:
    """Label each question by the base and the tuned model's `answers`, whose keys are (arm, question id).

    By "source page" (was it retrieved), by "calls" (one, or refined) and by "abstention" (who declines to answer,
    as `abstains` says of a text). `page_of` gives the page of a chunk id.
    """
    kinds: dict[str, list[str]] = {"source page": [], "calls": [], "abstention": []}
    for question in questions:
        pair = [answers.get((arm, question.id)) for arm in ("base", "tuned")]
        answer = pair[0] or pair[1]
        if question.chunk_id is None or answer is None:
            kinds["source page"].append("unknown")
        else:
            shown = {(hit.chunk.source, hit.chunk.page) for hit in answer.hits}
            kinds["source page"].append("retrieved" if page_of[question.chunk_id] in shown else "not retrieved")
        drafts = max(len(one.drafts) if one else 0 for one in pair)
        kinds["calls"].append("refine" if drafts > 1 else "one call")
        base, tuned = (one is not None and abstains(one.text) for one in pair)
        if base == tuned:
            kinds["abstention"].append("both decline" if base else "both answer")
        else:
            kinds["abstention"].append(f"only {'base' if base else 'tuned'} declines")
    return kinds


def splits_in_words(splits: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """Return one clause for each way that tells questions apart, if anything differs between the arms."""
    return [
        f"by {kind}: "
        + "; ".join(f"{label} ({one['n'] + one['n_unscored']}) {in_words(one)}" for label, one in parts.items())
        for kind, parts in splits.items()
        if len(parts) > 1 and any(one["difference"] for one in parts.values())
    ]
