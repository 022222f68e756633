"""`minirag questions --review`: a person accepts, rejects or rewords each question, key by key."""

import sys
from collections.abc import Sequence

from minirag.cli.terminal import choose, quote, say
from minirag.corpus import Corpus
from minirag.curation import Decision, write_decisions
from minirag.questions import ACCEPTED, SPLITS, Question, doubts


def review(corpus: Corpus) -> None:
    """Show the undecided questions, then those that replace rejected ones, until the person stops or all are decided.

    Each decision is written at once, so the next review continues where this one ended.
    """
    pages = {(page.source, page.number): page.text for page in corpus.pages}
    page_texts = {chunk.id: pages[chunk.source, chunk.page] for chunk in corpus.chunks}
    stopped = False
    while (undecided := _undecided(corpus.questions)) and not stopped:
        for number, question in enumerate(undecided, 1):
            say("")
            page = f", page {question.page}" if question.page else ""
            say(f"{number}/{len(undecided)}  {question.id}{page}")
            decision = _decide(question, page_texts.get(question.chunk_id or "", "Its page is not known."))
            if decision is None:
                stopped = True
                break
            write_decisions(corpus.folder, [decision])
        corpus.reconsider()
    waiting = len(_undecided(corpus.questions))
    say(f"review: {len(corpus.questions) - waiting} questions accepted, {waiting} not decided")


def _undecided(questions: Sequence[Question]) -> list[Question]:
    """Return the questions not yet accepted: eval before train questions, and in each split those with doubts first."""
    waiting = [question for question in questions if ACCEPTED not in question.flags]
    return sorted(waiting, key=lambda question: (-SPLITS.index(question.split), not doubts(question)))


def _decide(question: Question, page_text: str) -> Decision | None:
    """Return the decision of a person at a terminal, or of lines from a pipe; None if they stop."""
    quote(question.text)
    for flag in question.flags:
        quote(flag, "  ! ")
    while (key := choose("[y] accept  [n] reject  [e] reword  [p] show its page  [q] stop: ", "ynepq")) == "p":
        quote(page_text, "  | ")
    if key == "q":
        return None
    text = None
    if key == "e":
        print("new wording: ", end="", file=sys.stderr, flush=True)
        text = " ".join(sys.stdin.readline().split()) or None  # an empty line accepts the question as it is
    return Decision(question.text, key != "n", text)
