"""`minirag label DIR`: a person judges statements of a run's answers, without seeing what the judge said."""

import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minirag.cli.rows import read_fields
from minirag.cli.terminal import WIDTH, say, show, show_json
from minirag.errors import InputError, printable, redact
from minirag.metrics.score import Scores
from minirag.statistics.labels import FEWEST_LABELS, audit, audit_in_words, claims, read_labels, sample, write_labels
from minirag.text import sentence_spans, words

ANSWERS = {"y": True, "n": False, "s": None}
NEAREST = 4
"""Sentences of the passages that are shown with a statement."""


def main(options: Mapping[str, Any]) -> int:
    """Ask for the missing labels, save each at once, and print what all of them mean."""
    folder: Path = options["folder"]
    scores = Scores.read(folder / "scores.jsonl")
    answers = {(row["question_id"], row["arm"]): row for row in read_fields(folder)}
    statements = sample(claims(scores), options.get("sample", 50))
    if not statements:
        raise InputError(f"{folder} holds no judged statements; evaluate it with the metric faithfulness.")
    labels = read_labels(folder)
    for number, claim in enumerate(statements, 1):
        if claim.key in labels:
            continue
        say("")
        say(f"{number}/{len(statements)}  The question was:")
        answer = answers[claim.question_id, claim.arm]
        key = _ask(answer["question"], answer["contexts"], claim.statement)
        if key == "q":
            break
        labels[claim.key] = ANSWERS[key]
        write_labels(folder, labels)
    done = sum(claim.key in labels for claim in statements)
    rest = "" if done == len(statements) else "; run again to go on"
    say(f"label: {done} of {len(statements)} statements judged{rest}")
    result = audit(scores, labels, {id: answer["page"] for (id, _), answer in answers.items()})
    if result is None:
        say(f"label: at least {FEWEST_LABELS} labels of a model are needed to correct its mean")
        return 0
    show_json(result) if options.get("json") else show("\n".join(audit_in_words(result)))
    say(f"minirag report --out {folder} writes this into comparison.json and report.html")
    return 0


def _ask(question: str, contexts: Sequence[str], statement: str) -> str:
    """Show a statement and the sentences of the passages that share most words with it; return the key pressed."""
    _quote(question, "  ")
    say("Passages behind the answer, where they come nearest to the statement:")
    sentences = [text[start:end] for text in contexts for start, end in sentence_spans(text)]
    for sentence in sorted(sentences, key=lambda sentence: -len({*words(statement)} & {*words(sentence)}))[:NEAREST]:
        _quote(sentence, "  | ")
    say("Statement:")
    _quote(statement, "  > ")
    while True:
        print("supported? [y] yes  [n] no  [s] skip  [a] all passages  [q] stop: ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline()
        key = line.strip()[:1].casefold() if line else "q"  # the end of stdin stops, too
        if key in {*ANSWERS, "q"}:
            return key
        for context in contexts if key == "a" else ():
            _quote(context, "  | ")
            say("")


def _quote(text: str, margin: str) -> None:
    """Print a text of a document or a model: one paragraph, wrapped, each line behind a margin."""
    for line in textwrap.wrap(printable(redact(" ".join(text.split()))), WIDTH - len(margin)):
        say(f"{margin}{line}")
