"""The review of a training file: drops leaks and what `curate` finds, and holds out examples for validation."""

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from minirag import training
from minirag.curation.rules import curate
from minirag.curation.templates import parts
from minirag.errors import InputError
from minirag.files import write_jsonl
from minirag.message_log import MessageLog
from minirag.prompts import NOT_STATED
from minirag.questions import PAGE_GUESSED, PageKey, Question, near_duplicate
from minirag.text import words
from minirag.training import Example, TrainingFile


def review_examples(
    examples: Sequence[Example],
    *,
    questions: Sequence[Question] = (),
    page_of: Mapping[str, PageKey] | None = None,
    use_eval_pages: bool = False,
    keep_all: bool = False,
    abstain_share: float = 0.0,
    validation_share: float = 0.0,
) -> list[Example]:
    """Return the examples with the reason why they are dropped, if they are; a `review` for `write_training_file`.

    Dropped are those that would give away an eval question among `questions` or, unless `use_eval_pages`, a page that
    one is about (`page_of` maps chunk ids to pages), then what `curate` finds; with `keep_all` none of these. Of the
    rest, `abstain_share` may be right refusals. `validation_share` of the examples are held out, with no page on both
    sides; raises InputError if that is impossible.
    """
    reviewed = _with_pages(examples, questions, page_of or {})
    if not keep_all:
        reviewed = _without_leaks(reviewed, questions, page_of or {}, use_eval_pages)
        reviewed = _with_refusals(curate(reviewed), abstain_share)
    return _held_out(reviewed, validation_share) if validation_share else reviewed


def _with_pages(
    examples: Sequence[Example], questions: Sequence[Question], page_of: Mapping[str, PageKey]
) -> list[Example]:
    """Fill in the pages asked about and shown; without `questions`, the page numbers that the prompts show."""
    if not questions:
        return [replace(e, shown=frozenset(("", page) for page in parts(e.messages[:-1]).pages)) for e in examples]
    asked_about = {q.id: page_of[q.chunk_id] for q in questions if q.chunk_id and PAGE_GUESSED not in q.flags}
    return [
        replace(e, page=asked_about.get(e.question), shown=frozenset(page_of[id] for id in e.chunks if id in page_of))
        for e in examples
    ]


def _without_leaks(
    examples: Sequence[Example], questions: Sequence[Question], page_of: Mapping[str, PageKey], use_eval_pages: bool
) -> list[Example]:
    """Drop what would give the evaluation away: an eval question, or a page that one is about."""
    texts = {question.id: words(question.text) for question in questions}
    evaluated = [question for question in questions if question.split == "eval"]
    eval_questions = [texts[question.id] for question in evaluated]
    eval_pages = {page_of[question.chunk_id] for question in evaluated if question.chunk_id and not use_eval_pages}
    reviewed = []
    for example in examples:
        leak = "eval page in the prompt" if example.shown & eval_pages else ""
        if example.question in texts and near_duplicate(texts[example.question], eval_questions) is not None:
            leak = "eval question"
        reviewed.append(replace(example, dropped=example.dropped or leak))
    return reviewed


def _with_refusals(examples: Sequence[Example], share: float) -> list[Example]:
    """Keep right refusals, evenly over the file, until they are `share` of what is kept.

    A refusal is right if the page asked about is known and was not shown.
    """
    right = [
        number
        for number, e in enumerate(examples)
        if (e.dropped, e.reply, e.refine) == ("refusal", NOT_STATED, None) and e.page and e.page not in e.shown
    ]
    answers = sum(not e.dropped for e in examples)
    count = min(len(right), round(answers * share / (1 - share))) if share < 1 else len(right)
    sample = {right[i * len(right) // count] for i in range(count)}
    return [replace(e, dropped="", detail="a right refusal") if n in sample else e for n, e in enumerate(examples)]


def _held_out(examples: Sequence[Example], share: float) -> list[Example]:
    """Hold out `share` of the examples for validation, and drop those that show a page of theirs."""
    numbers = [number for number, example in enumerate(examples) if not example.dropped]
    questions = [examples[number].question or examples[number].exchange for number in numbers]
    pages = [examples[number].shown | ({examples[number].page} - {None}) for number in numbers]
    validation, conflicts = hold_out(questions, pages, share)
    if not validation:
        raise InputError(
            "No question can be held out for validation without a page on both sides; ask for more --train-questions, "
            "or leave --validation-share out."
        )
    result = list(examples)
    for place in validation:
        result[numbers[place]] = replace(examples[numbers[place]], held_out=True)
    for place in conflicts:
        result[numbers[place]] = replace(examples[numbers[place]], dropped="validation page in the prompt")
    return result


def hold_out(
    questions: Sequence[Hashable], pages: Sequence[Collection[Hashable]], share: float
) -> tuple[set[int], set[int]]:
    """Return the numbers of the examples for validation, and of those that must go because they show their pages.

    `questions` and `pages` hold the question of each example, and every page it is about or shows. The examples of a
    question stay together. Questions that cost the fewest others come first, until `share` of the examples is reached,
    or one more would leave nothing to train on.

    >>> hold_out(["a", "a", "b", "c"], [{1}, {1, 2}, {2}, {3}], 0.25)
    ({3}, set())
    """
    by_question: dict[Hashable, set[int]] = defaultdict(set)
    by_page: dict[Hashable, set[int]] = defaultdict(set)
    for number, question in enumerate(questions):
        by_question[question].add(number)
        for page in pages[number]:
            by_page[page].add(number)
    touching = {  # the examples of each question, and those that share a page with one of them
        question: own.union(*(by_page[page] for number in own for page in pages[number]))
        for question, own in by_question.items()
    }
    validation: set[int] = set()
    removed: set[int] = set()  # from training: `validation` and what shares a page with it
    while len(validation) < share * len(questions) and by_question:
        best = min(by_question, key=lambda question: len(touching[question] - removed - by_question[question]))
        if len(removed | touching[best]) >= len(questions):
            break
        validation |= by_question.pop(best)
        removed |= touching[best]
    return validation, removed - validation


def write_training_file(
    log: MessageLog,
    path: str | os.PathLike[str],
    *,
    review: Callable[[Sequence[Example]], Sequence[Example]] = review_examples,
    **options: Any,
) -> TrainingFile:
    """Write the log's answers that are worth training on; `minirag.write_training_file`.

    `review` drops refusals, duplicates and the like; `options` are those of `training.write_training_file`.
    """
    return training.write_training_file(log, path, review=review, **options)


def write_validation_file(file: TrainingFile) -> Path | None:
    """Write the examples held out to `training.validation.jsonl`; return its path, None if there are none.

    A file of an earlier call is removed then: somebody might train on it.
    """
    path = file.path.with_suffix(f".validation{file.path.suffix}")
    if not file.held_out:
        path.unlink(missing_ok=True)
        return None
    write_jsonl(path, ({"messages": example.messages} for example in file.held_out))
    return path
