"""Row 9. `minirag label DIR`: a person judges statements of a run's answers, without seeing what the judge said."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from minirag.arms import COMPARED
from minirag.cli.resume import positive
from minirag.cli.terminal import choose, quote, say, show, show_json
from minirag.errors import InputError
from minirag.evaluation import Scores
from minirag.metrics.evidence import likely_sentences
from minirag.rows import Row, read_rows
from minirag.statistics.audit import FEWEST, audit
from minirag.statistics.labels import Claim, claims, read_labels, sample, write_labels

ANSWERS = {"y": True, "n": False, "s": None}


def main(given: Mapping[str, Any]) -> int:
    """Ask for the labels that are missing, keep each at once, and say what all of them mean."""
    folder: Path = given["folder"]
    scores, rows = Scores.read(folder / "scores.jsonl"), read_rows(folder)
    asked = sample(claims(scores), positive(given, "sample", 50), given.get("seed", 0))
    if not asked:
        raise InputError(f"{folder} holds no judged statements; evaluate it with the metric faithfulness.")
    labels = read_labels(folder)
    by_answer = {(row.question_id, row.arm): row for row in rows}
    waiting = [claim for claim in asked if claim.key not in labels]
    for claim, supported in _asked(waiting, by_answer, len(asked)):
        labels[claim.key] = supported
        write_labels(folder, labels)
    known = sum(claim.key in labels for claim in asked)
    say(f"label: {known} of {len(asked)} statements judged" + ("" if known == len(asked) else "; run again to go on"))
    arms = {row.arm for row in rows}
    pages = {row.question_id: row.page or row.question_id for row in rows}
    found = audit(scores, labels, pages, [arm for arm in COMPARED if {arm, "tuned"} <= arms])
    if found is None:
        say(f"label: at least {FEWEST} labels are needed to correct anything")
        return 0
    show_json(found.to_json()) if given.get("json") else show("\n".join(found.in_words()))
    say(f"minirag report --out {folder} writes this into comparison.json and report.html")
    return 0


def _asked(
    waiting: Sequence[Claim], by_answer: Mapping[tuple[str, str], Row], total: int
) -> Iterator[tuple[Claim, bool | None]]:
    """What a person says of each statement, until they stop."""
    for number, claim in enumerate(waiting, total - len(waiting) + 1):
        row = by_answer[claim.question_id, claim.arm]
        contexts = row.contexts or ()
        say("")
        say(f"{number}/{total}  The question was:")
        quote(row.question)
        say("Passages behind the answer, where they come nearest to the statement:")
        for passage in likely_sentences(claim.statement, contexts):
            quote(" ".join(passage.split()), "  | ")
        say("Statement:")
        quote(claim.statement, "  > ")
        key = "a"
        while key == "a":
            key = choose("supported? [y] yes  [n] no  [s] skip  [a] all passages  [q] stop: ", "ynsaq")
            for context in contexts if key == "a" else ():
                quote(context, "  | ")
                say("")
        if key == "q":
            return
        yield claim, ANSWERS[key]
