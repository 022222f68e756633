"""The review of a training file: nothing in it gives the evaluation away."""

from dataclasses import replace
from functools import partial

from doubles import answered
from minirag import prompts, write_training_file
from minirag.curation import review_examples
from minirag.prompts import Excerpt
from minirag.questions import Question

EXCERPTS = [Excerpt("The fare is 3 euros. Children pay half.", 7)]
PAGE_OF = {f"c{number}": ("a.pdf", number) for number in range(10)}


def test_what_would_give_the_evaluation_away_is_dropped(log, tmp_path):
    questions = [
        Question("t1", "train", "What is the fare on Sundays?", "c7", 7),
        Question("t2", "train", "Who pays half?", "c7", 7),
        Question("t3", "train", "What is the fare?", "c7", 7),
        Question("e1", "eval", "What is the fare on Sundays?", "c3", 3),
    ]
    for question, chunks in zip(questions, (["c7"], ["c7", "c3"], ["c7"]), strict=False):
        exchange = answered(question.text, "It is 3 euros.", tags={"chunks": chunks, "question": question.id})
        request = {"model": "big", "messages": prompts.draft(question.text, EXCERPTS)}
        log.append(replace(exchange, request=request, id=""))

    def reviewed(**options):
        review = partial(review_examples, questions=questions, page_of=PAGE_OF, **options)
        return write_training_file(log, tmp_path / "t.jsonl", review=review)

    file = reviewed()
    reasons = {"t1": "eval question", "t2": "eval page in the prompt", "t3": ""}
    assert {e.question: e.dropped for e in file.examples} == reasons
    assert len(reviewed(keep_all=True).kept) == 3
