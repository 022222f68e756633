"""`minirag label DIR`: a person judges statements of a run's answers, without seeing what the judge said."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minirag.cli.rows import judged_answers, read_rows
from minirag.cli.terminal import choose, quote, say, show, show_json
from minirag.errors import InputError
from minirag.metrics.score import Scores
from minirag.statistics.labels import FEWEST_LABELS, audit, audit_in_words, claims, read_labels, sample, write_labels
from minirag.text import sentence_spans, words

ANSWERS = {"y": True, "n": False, "s": None}


def main(options: Mapping[str, Any]) -> int:
    """Ask for the missing labels, save each at once, and print what all of them mean."""
    folder: Path = options["folder"]
    scores, rows = Scores.read(folder / "scores.jsonl"), read_rows(folder)
    statements = sample(claims(scores), options.get("sample", 50), options.get("seed", 0))
    if not statements:
        raise InputError(f"{folder} holds no judged statements; evaluate it with the metric faithfulness.")
    labels = read_labels(folder)
    by_answer = {(row.question_id, row.arm): row for row in rows}
    for number, claim in enumerate(statements, 1):
        if claim.key in labels:
            continue
        row = by_answer[claim.question_id, claim.arm]
        say("")
        say(f"{number}/{len(statements)}  The question was:")
        key = _ask(row.question, row.contexts or (), claim.statement)
        if key == "q":
            break
        labels[claim.key] = ANSWERS[key]
        write_labels(folder, labels)
    done = sum(claim.key in labels for claim in statements)
    rest = "" if done == len(statements) else "; run again to go on"
    say(f"label: {done} of {len(statements)} statements judged{rest}")
    pages = {answer["question_id"]: page for answer, page in judged_answers(folder)}
    result = audit(scores, labels, pages)
    if result is None:
        say(f"label: at least {FEWEST_LABELS} labels of a model are needed to correct its mean")
        return 0
    show_json(result) if options.get("json") else show("\n".join(audit_in_words(result)))
    say(f"minirag report --out {folder} writes this into comparison.json and report.html")
    return 0


def _ask(question: str, contexts: Sequence[str], statement: str) -> str:
    """Show a statement with the passages that are most like it, and return the key that a person presses."""
    quote(question)
    say("Passages behind the answer, where they come nearest to the statement:")
    for passage in likely_sentences(statement, contexts):
        quote(" ".join(passage.split()), "  | ")
    say("Statement:")
    quote(statement, "  > ")
    while (key := choose("supported? [y] yes  [n] no  [s] skip  [a] all passages  [q] stop: ", "ynsaq")) == "a":
        for context in contexts:
            quote(context, "  | ")
            say("")
    return key


def likely_sentences(statement: str, contexts: Sequence[str], most: int = 4) -> list[str]:
    """Return the sentences of `contexts` that share most words with a statement, in their order.

    >>> likely_sentences("The tram opened in 1987.", ["It rained. The tram is red. It opened in 1987."], 2)
    ['The tram is red.', 'It opened in 1987.']
    """
    sentences = [text[start:end].strip() for text in contexts for start, end in sentence_spans(text)]
    shared = [len({*words(statement)} & {*words(sentence)}) for sentence in sentences]
    nearest = sorted(range(len(sentences)), key=lambda i: -shared[i])[:most]
    return [sentences[i] for i in sorted(nearest)]
