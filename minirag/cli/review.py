"""`minirag questions --review`: a person accepts, rejects or rewords each question, by key or in an editor."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from minirag.cli.terminal import choose, quote, say
from minirag.corpus import Corpus
from minirag.curation import Decision, write_decisions
from minirag.errors import InputError
from minirag.questions import ACCEPTED, SPLITS, Question, doubts

_HEAD = """\
# One question a line: accept, reject, or skip, its number, its text.
# Change the first word to decide, and the text to reword an accepted question.
# Lines with # say what speaks against the question below; they are ignored.
"""
_LINE = re.compile(r"(accept|reject|skip)\s+(\S+)\s+(.+)")


def review(corpus: Corpus, *, in_editor: bool) -> None:
    """Show the undecided questions, then those that replace rejected ones, until the person stops or all are decided.

    Each decision is written at once, so the next review continues where this one ended.
    """
    pages = {(page.source, page.number): page.text for page in corpus.pages}
    page_texts = {chunk.id: pages[chunk.source, chunk.page] for chunk in corpus.chunks}
    while undecided := _undecided(corpus.questions):
        count = 0
        for decision in _in_editor(undecided) if in_editor else _by_keys(undecided, page_texts):
            write_decisions(corpus.folder, [decision])
            count += 1
        corpus.reconsider()
        if count < len(undecided):
            break
    waiting = len(_undecided(corpus.questions))
    say(f"review: {len(corpus.questions) - waiting} questions accepted, {waiting} not decided")


def _undecided(questions: Sequence[Question]) -> list[Question]:
    """Return the questions not yet accepted: eval before train questions, and in each split those with doubts first."""
    waiting = [question for question in questions if ACCEPTED not in question.flags]
    return sorted(waiting, key=lambda question: (-SPLITS.index(question.split), not doubts(question)))


def _by_keys(questions: Sequence[Question], page_texts: Mapping[str, str]) -> Iterator[Decision]:
    """Yield the decisions of a person at a terminal, or of lines from a pipe, until they stop."""
    for number, question in enumerate(questions, 1):
        say("")
        say(f"{number}/{len(questions)}  {question.id}" + (f", page {question.page}" if question.page else ""))
        quote(question.text)
        for flag in question.flags:
            quote(flag, "  ! ")
        key = "p"
        while key == "p":
            key = choose("[y] accept  [n] reject  [e] reword  [p] show its page  [q] stop: ", "ynepq")
            if key == "p":
                quote(page_texts.get(question.chunk_id or "", "Its page is not known."), "  | ")
        if key == "q":
            return
        text = None
        if key == "e":
            print("new wording: ", end="", file=sys.stderr, flush=True)
            text = " ".join(sys.stdin.readline().split()) or None  # an empty line accepts the question as it is
        yield Decision(question.text, key != "n", text)


def _in_editor(questions: Sequence[Question]) -> list[Decision]:
    """Return the decisions made in `$VISUAL` or `$EDITOR`, in a file where all questions are skipped at first."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor:
        raise InputError("Set EDITOR to the editor that should open, or leave out --editor.")
    with TemporaryDirectory(prefix="minirag-review-") as folder:
        path = Path(folder) / "questions.txt"
        entries = ["".join(f"# {flag}\n" for flag in q.flags) + f"skip {q.id} {q.text}\n" for q in questions]
        path.write_text(_HEAD + "".join(entries), "utf-8")
        if subprocess.run([*shlex.split(editor), str(path)], check=False).returncode:
            raise InputError(f"{editor} ended with an error; nothing was decided.")
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]

    by_id, decisions = {question.id: question for question in questions}, []
    for line in lines:
        match = _LINE.fullmatch(line)
        if match and match[2] in by_id:
            verb, shown, text = match[1], by_id[match[2]].text, match[3]
            if verb != "skip":
                decisions.append(
                    Decision(shown, verb == "accept", text if verb == "accept" and text != shown else None)
                )
        elif line and not line.startswith("#"):
            raise InputError(f"Not understood: {line!r:.60}; a line is accept, reject or skip, id and text.")
    return decisions
