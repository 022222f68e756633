"""The review of a training file: drops leaks and what `curate` finds, and holds out examples for validation."""

import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from minirag import training
from minirag.curation.rules import curate
from minirag.errors import InputError
from minirag.message_log import MessageLog, write_jsonl
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
    page_of = page_of or {}
    asked_about = {q.id: page_of[q.chunk_id] for q in questions if q.chunk_id and PAGE_GUESSED not in q.flags}
    reviewed = [
        replace(e, page=asked_about.get(e.question), shown=frozenset(page_of[id] for id in e.chunks if id in page_of))
        for e in examples
    ]
    if not keep_all:
        eval_questions = [question for question in questions if question.split == "eval"]
        eval_words = [words(question.text) for question in eval_questions]
        leaked = {q.id for q in questions if near_duplicate(words(q.text), eval_words) is not None}
        hidden = set() if use_eval_pages else {page_of[q.chunk_id] for q in eval_questions if q.chunk_id}
        for number, example in enumerate(reviewed):
            leak = "eval page in the prompt" if example.shown & hidden else ""
            leak = "eval question" if example.question in leaked else leak
            reviewed[number] = replace(example, dropped=example.dropped or leak)
        reviewed = _with_refusals(curate(reviewed), abstain_share)
    return hold_out(reviewed, validation_share) if validation_share else reviewed


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


def hold_out(examples: Sequence[Example], share: float) -> list[Example]:
    """Hold out `share` of the examples for validation, and drop those that share a page with them.

    The examples of a question stay together, and questions that cost the fewest others come first. Raises InputError
    if none can be held out without leaving nothing to train on.
    """
    numbers = [number for number, example in enumerate(examples) if not example.dropped]
    by_question: dict[str, set[int]] = defaultdict(set)
    by_page: dict[PageKey | None, set[int]] = defaultdict(set)
    for number in numbers:
        example = examples[number]
        by_question[example.question or example.exchange].add(number)
        for page in example.shown | {example.page or ("", number)}:  # one of its own if its page is not known
            by_page[page].add(number)
    touching: dict[str, set[int]] = {  # the examples of each question, and those that share a page with one of them
        question: set().union(*(group for group in by_page.values() if not own.isdisjoint(group)))
        for question, own in by_question.items()
    }
    validation: set[int] = set()
    removed: set[int] = set()  # from training: `validation` and what shares a page with it
    for question in sorted(by_question, key=lambda question: len(touching[question] - by_question[question])):
        if len(validation) >= share * len(numbers) or len(removed | touching[question]) >= len(numbers):
            break
        validation |= by_question[question]
        removed |= touching[question]
    if not validation:
        raise InputError(
            "No question can be held out for validation without a page on both sides; ask for more --train-questions, "
            "or leave --validation-share out."
        )
    result = list(examples)
    for number in validation:
        result[number] = replace(examples[number], held_out=True)
    for number in removed - validation:
        result[number] = replace(examples[number], dropped="validation page in the prompt")
    return result


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
