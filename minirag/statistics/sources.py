"""Where a difference comes from, and its spread: kinds of questions, and the judge's noise seen in several rounds."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, compress
from typing import Any

import numpy as np

from minirag.metrics.comparison import Value, numbers, variance_components
from minirag.metrics.score import Scores
from minirag.query import Answer
from minirag.questions import PageKey, Question

UNSEEN = "rounds share judge and models: neither a shift of the judge as a whole nor another seed of training is in it"
"""What the spread between rounds does not show."""
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


def splits(base: Sequence[Value], tuned: Sequence[Value], kinds: Kinds) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the mean difference and how many questions are scored in both, for each label of each kind.

    There is no verdict: how the models behave is an outcome, and a choice of questions by it proves nothing.
    """
    differences = numbers(tuned) - numbers(base)
    parts: dict[str, dict[str, dict[str, Any]]] = {}
    for kind, labels in kinds.items():
        for label in dict.fromkeys(labels):
            values = [d for d in compress(differences, (each == label for each in labels)) if not math.isnan(d)]
            mean = float(np.mean(values)) if values else None
            parts.setdefault(kind, {})[label] = {"difference": mean, "n": len(values)}
    return parts


def splits_in_words(parts: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """Return one clause for each way that tells questions apart, if anything differs between the arms.

    >>> splits_in_words({"calls": {"refine": {"difference": 0.325, "n": 4}, "one call": {"difference": None, "n": 0}}})
    ['by calls, a description: refine (4) +0.325, one call (0) –']
    """
    clauses = []
    for kind, labels in parts.items():
        if len(labels) > 1 and any(one["difference"] for one in labels.values()):
            means = ["–" if one["difference"] is None else f"{one['difference']:+.3f}" for one in labels.values()]
            each = [f"{label} ({one['n']}) {mean}" for (label, one), mean in zip(labels.items(), means, strict=True)]
            clauses.append(f"by {kind}, a description: {', '.join(each)}")
    return clauses


@dataclass(frozen=True, slots=True)
class Noise:
    """Where the spread of a paired difference comes from, seen in several rounds of `n` questions.

    `judge` is the variance of one question's difference from round to round, `questions` that between the questions'
    true differences. `flips` is the share of pairs of rounds that name another winner for the same question.
    """

    judge: float
    questions: float
    n: int
    flips: float


def judge_noise(scores: Scores, metric: str, arms: tuple[str, str] = ("base", "tuned")) -> Noise | None:
    """Split the spread of the arms' paired differences by an analysis of variance (Searle, Casella, McCulloch 1992).

    None where fewer than two questions were scored in both arms, or none of them in two rounds.
    """
    values: dict[str, dict[tuple[int, str], float]] = {}  # by question, then by round and arm
    for row in scores:
        if row.metric == metric and row.arm in arms and row.score.value is not None:
            values.setdefault(row.question_id, {})[row.round, row.arm] = row.score.value
    rounds = range(1 + max((row.round for row in scores), default=0))
    differences = []  # of each question, one for each round that has a score of both arms
    for one in values.values():
        columns = [(one.get((number, arms[0])), one.get((number, arms[1]))) for number in rounds]
        differences.append([tuned - base for base, tuned in columns if base is not None and tuned is not None])
    differences = [each for each in differences if each]
    counts = [len(each) for each in differences]
    if len(counts) < 2 or max(counts) < 2:
        return None
    judge, questions = variance_components(np.concatenate(differences), np.repeat(np.arange(len(counts)), counts))
    return Noise(judge, questions, len(counts), _flip_rate(differences))


def _flip_rate(differences: Sequence[Sequence[float]]) -> float:
    """Return the share of pairs of rounds in which the sign of a question's difference changes."""
    signs = [np.sign(np.round(each, 9)).tolist() for each in differences]
    pairs = [first != second for each in signs for first, second in combinations(each, 2)]
    return float(np.mean(pairs))


def noise_in_words(noise: Noise) -> str:
    """Return what the rounds show.

    >>> noise_in_words(Noise(judge=0.0132, questions=0.0335, n=3, flips=1 / 3))
    "judge noise 0.115, spread between questions 0.183; in 33 % of pairs of rounds a question's winner changes"
    """
    return (
        f"judge noise {math.sqrt(noise.judge):.3f}, spread between questions {math.sqrt(noise.questions):.3f}; "
        f"in {100 * noise.flips:.0f} % of pairs of rounds a question's winner changes"
    )
