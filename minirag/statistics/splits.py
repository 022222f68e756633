"""Where a difference comes from: the comparison split by what is known of each question without its scores."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import compress

from minirag.comparison import Comparison, Value, cluster_names, compare, in_words
from minirag.errors import InputError
from minirag.query import Answer
from minirag.questions import PageKey, Question

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


def split(
    base: Sequence[Value],
    tuned: Sequence[Value],
    labels: Sequence[str],
    *,
    clusters: Sequence[Hashable] | None = None,
    margin: float | None = None,
) -> dict[str, Comparison]:
    """Return the comparison within each label, in the order of first appearance; `labels` names one a question.

    Each label is one more chance to be wrong, and has fewer questions: look at `.detectable`.

    >>> parts = split([0.5] * 6, [0.9, 0.8, 0.85, 0.5, 0.4, 0.55], ["retrieved"] * 3 + ["not retrieved"] * 3)
    >>> {label: (round(result.difference, 3), result.verdict) for label, result in parts.items()}
    {'retrieved': (0.35, 'better'), 'not retrieved': (-0.017, 'cannot tell')}
    """
    pages = cluster_names(base, tuned, clusters)
    if len(labels) != len(base):
        raise InputError(f"Cannot split {len(base)} questions by {len(labels)} labels; give one label a question.")
    parts = {}
    for label in dict.fromkeys(labels):
        mask = [other == label for other in labels]
        first, second = list(compress(base, mask)), list(compress(tuned, mask))
        parts[label] = compare(first, second, clusters=list(compress(pages, mask)), margin=margin)
    return parts


def splits_in_words(splits: Mapping[str, Mapping[str, Comparison]]) -> list[str]:
    """Return one clause for each way that tells questions apart, if anything differs between the arms."""
    return [
        f"by {kind}: "
        + "; ".join(f"{label} ({one.n + one.n_unscored}) {in_words(one)}" for label, one in parts.items())
        for kind, parts in splits.items()
        if len(parts) > 1 and any(one.difference for one in parts.values())
    ]
