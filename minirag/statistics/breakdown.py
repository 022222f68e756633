"""Row 7. Where a difference comes from: which questions carry it, and how much of it goes with the answers' length."""

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from minirag.comparison import Comparison
from minirag.comparison import in_words as comparison_in_words
from minirag.curation.answers import abstains
from minirag.metrics.score import Score
from minirag.query import Answer
from minirag.questions import PageKey, Question
from minirag.statistics.attribution import LengthEffect, by_label, label_contrast, length_effect
from minirag.statistics.attribution import in_words as length_in_words
from minirag.statistics.clustered import Estimate
from minirag.text import words


@dataclass(frozen=True, slots=True)
class Traits:
    """What is known of each eval question without its scores: a label of each kind, and each arm's words."""

    labels: Mapping[str, Sequence[str]]
    lengths: Mapping[str, Sequence[int]]


def traits(
    questions: Sequence[Question], answers: Mapping[tuple[str, str], Answer], page_of: Mapping[str, PageKey]
) -> Traits:
    """The traits of `questions` from the answers of the base and the tuned model, by (arm, question id)."""
    pairs = [(answers.get(("base", q.id)), answers.get(("tuned", q.id))) for q in questions]
    return Traits(
        labels={
            "source page": [_retrieved(q, pair, page_of) for q, pair in zip(questions, pairs, strict=True)],
            "calls": [_calls(pair) for pair in pairs],
            "abstention": [_abstention(pair) for pair in pairs],
        },
        lengths={
            arm: [0 if pair[i] is None else len(words(pair[i].text)) for pair in pairs]  # type: ignore[union-attr]
            for i, arm in enumerate(("base", "tuned"))
        },
    )


Pair = tuple[Answer | None, Answer | None]


def _retrieved(question: Question, pair: Pair, page_of: Mapping[str, PageKey]) -> str:
    answer = pair[0] or pair[1]
    if question.chunk_id is None or answer is None:
        return "unknown"
    shown: Collection[PageKey] = {(hit.chunk.source, hit.chunk.page) for hit in answer.hits}
    return "retrieved" if page_of[question.chunk_id] in shown else "not retrieved"


def _calls(pair: Pair) -> str:
    drafts = max((len(answer.drafts) for answer in pair if answer is not None), default=0)
    return "refine" if drafts > 1 else "one call"


def _abstention(pair: Pair) -> str:
    silent = [answer is not None and abstains(answer.text) for answer in pair]
    return {
        (False, False): "both answer",
        (True, False): "only base declines",
        (False, True): "only tuned declines",
        (True, True): "both decline",
    }[silent[0], silent[1]]


@dataclass(frozen=True, slots=True)
class Breakdown:
    """A metric's difference within each label of each kind; how the first label differs from the others; length."""

    splits: Mapping[str, Mapping[str, Comparison]]
    contrasts: Mapping[str, Estimate | None]
    length: LengthEffect | None

    def to_json(self) -> dict[str, Any]:
        """As `comparison.json` holds it."""
        length = None if self.length is None else {**asdict(self.length), "mostly_length": self.length.mostly_length}
        return {
            "splits": {
                kind: {label: asdict(one) for label, one in split.items()} for kind, split in self.splits.items()
            },
            "contrasts": {kind: None if found is None else asdict(found) for kind, found in self.contrasts.items()},
            "length": length,
        }

    def in_words(self) -> list[str]:
        """One clause for each kind that tells questions apart, and one for length."""
        told = []
        for kind, split in self.splits.items():
            if len(split) > 1 and any(one.difference for one in split.values()):
                each = "; ".join(f"{label} ({_all(one)}) {comparison_in_words(one)}" for label, one in split.items())
                told.append(f"by {kind}: {each}{_contrast(next(iter(split)), self.contrasts[kind])}")
        if self.length is not None and self.length.difference.error:
            mostly = ": most of it is length" if self.length.mostly_length else ""
            told.append(f"by answer length: {length_in_words(self.length)}{mostly}")
        return told


def _all(one: Comparison) -> int:
    return one.n + one.n_unscored


def _contrast(label: str, found: Estimate | None) -> str:
    if found is None or found.low is None or found.high is None or found.holds(0.0):
        return ""
    return f"; {label} differs from the rest by {found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def breakdown(
    base: Sequence[Score], tuned: Sequence[Score], known: Traits, pages: Sequence[Hashable], margin: float | None = None
) -> Breakdown:
    """Split the difference of two arms' scores, one a question, by what is `known` of the questions."""
    splits = {
        kind: {str(label): one for label, one in by_label(base, tuned, labels, clusters=pages, margin=margin).items()}
        for kind, labels in known.labels.items()
    }
    return Breakdown(
        splits,
        {
            kind: label_contrast(base, tuned, labels, labels[0], clusters=pages) if labels else None
            for kind, labels in known.labels.items()
        },
        length_effect(base, tuned, known.lengths["base"], known.lengths["tuned"], clusters=pages),
    )
