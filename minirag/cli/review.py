"""Row 9. `minirag questions --review`: a person accepts, rejects or rewords each question, by key or in an editor."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from minirag.cli.terminal import choose, quote, say
from minirag.curation.decisions import Decision
from minirag.curation.questionnaire import Questionnaire
from minirag.errors import InputError
from minirag.pipeline import Run
from minirag.questions import Question

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
    while undecided := run.questionnaire.undecided:
        count = 0
        for decision in _edited(undecided) if in_editor else _asked(run.questionnaire, undecided):
            run.questionnaire.decide(decision)
            count += 1
        run.reconsider()
        if count < len(undecided):
            break
    waiting = len(run.questionnaire.undecided)
    say(f"review: {len(run.questions) - waiting} questions accepted, {waiting} not decided")


def _asked(questionnaire: Questionnaire, questions: Sequence[Question]) -> Iterator[Decision]:
    """The decisions of a person at a terminal, or of lines from a pipe, until they stop."""
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
                quote(questionnaire.page_text(question) or "Its page is not known.", "  | ")
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
