"""Row 9. `minirag questions --review`: a person accepts, rejects or rewords each question, by key or in an editor."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from minirag.cli.terminal import choose, quote, say
from minirag.curation import Decision, write_decisions
from minirag.errors import InputError
from minirag.pipeline import Run
from minirag.questions import ACCEPTED, SPLITS, Question, doubts

_HEAD = """\
# One question a line: accept, reject, or skip, its number, its text.
# Change the first word to decide, and the text to reword an accepted question.
# Lines with # say what speaks against the question below; they are ignored.
"""
_LINE = re.compile(r"(accept|reject|skip)\s+(\S+)\s+(.+)")


def review(run: Run, *, in_editor: bool) -> None:
    """Show every undecided question, those with doubts first; replacements of rejected ones follow until all are known.

    Each decision is kept at once, so a review that is broken off goes on where it ended.
    """
    pages = {(page.source, page.number): page.text for page in run.pages}
    page_texts = {chunk.id: pages[chunk.source, chunk.page] for chunk in run.chunks}
    while undecided := _undecided(run.questions):
        count = 0
        for decision in _edited(undecided) if in_editor else _asked(page_texts, undecided):
            write_decisions(run.folder, [decision])
            count += 1
        run.reconsider()
        if count < len(undecided):
            break
    waiting = len(_undecided(run.questions))
    say(f"review: {len(run.questions) - waiting} questions accepted, {waiting} not decided")


def _undecided(questions: Sequence[Question]) -> list[Question]:
    """Return the questions that nobody has accepted yet: eval questions first, and of a split those with doubts."""
    waiting = [question for question in questions if ACCEPTED not in question.flags]
    return sorted(waiting, key=lambda question: (-SPLITS.index(question.split), not doubts(question)))


def _asked(page_texts: Mapping[str, str], questions: Sequence[Question]) -> Iterator[Decision]:
    """Yield the decisions of a person at a terminal, or of lines from a pipe, until they stop."""
    for number, question in enumerate(questions, 1):
        page = "" if question.page is None else f", page {question.page}"
        say("")
        say(f"{number}/{len(questions)}  {question.id}{page}")
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
        text = _reworded() if key == "e" else None
        yield Decision(question.text, key != "n", text)


def _reworded() -> str | None:
    """The person's own wording; None, which leaves the question as it is, for an empty line."""
    print("new wording: ", end="", file=sys.stderr, flush=True)
    return " ".join(sys.stdin.readline().split()) or None


def _edited(questions: Sequence[Question]) -> list[Decision]:
    """The decisions made in `$VISUAL` or `$EDITOR`, on a list that opens with everything skipped."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    if not editor:
        raise InputError("Set EDITOR to the editor that should open, or leave out --editor.")
    lines = [
        "".join([f"# {flag}\n" for flag in question.flags]) + f"skip {question.id} {question.text}\n"
        for question in questions
    ]
    with TemporaryDirectory(prefix="minirag-review-") as folder:
        path = Path(folder) / "questions.txt"
        path.write_text(_HEAD + "".join(lines), "utf-8")
        if subprocess.run([*shlex.split(editor), str(path)], check=False).returncode:
            raise InputError(f"{editor} ended with an error; nothing was decided.")
        return list(_read(path.read_text("utf-8"), {question.id: question for question in questions}))


def _read(text: str, questions: dict[str, Question]) -> Iterator[Decision]:
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None or found[2] not in questions:
            raise InputError(f"Not understood: {line.strip()!r:.60}; a line is accept, reject or skip, id and text.")
        question = questions[found[2]]
        if found[1] != "skip":
            reworded = found[3] if found[3] != question.text and found[1] == "accept" else None
            yield Decision(question.text, found[1] == "accept", reworded)
