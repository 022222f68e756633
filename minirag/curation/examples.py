"""The review of a training file: drops what would give the evaluation away, and what `curate` finds."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from minirag import training
from minirag.curation.rules import curate
from minirag.message_log import MessageLog
from minirag.questions import PAGE_GUESSED, PageKey, Question, near_duplicate
from minirag.text import words
from minirag.training import Example, TrainingFile


def review_examples(
    examples: Sequence[Example],
    *,
    questions: Sequence[Question] = (),
    page_of: Mapping[str, PageKey] | None = None,
    keep_all: bool = False,
) -> list[Example]:
    """Return the examples with the reason why they are dropped, if they are; a `review` for `write_training_file`.

    Dropped are those that would give away an eval question among `questions` or a page that one is about (`page_of`
    maps chunk ids to pages), then what `curate` finds; with `keep_all` none of these.
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
        hidden = {page_of[q.chunk_id] for q in eval_questions if q.chunk_id}
        for number, example in enumerate(reviewed):
            leak = "eval page in the prompt" if example.shown & hidden else ""
            leak = "eval question" if example.question in leaked else leak
            reviewed[number] = replace(example, dropped=example.dropped or leak)
        reviewed = curate(reviewed)
    return reviewed


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
