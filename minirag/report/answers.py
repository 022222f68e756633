"""Behind each question of the table: what was given for it, every arm's answer, and the evidence of every score."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from minirag.costs.bill import dollars
from minirag.evaluation import ScoredRow
from minirag.query import Answer
from minirag.questions import Question
from minirag.report.layout import listed, named
from minirag.report.markup import tag, text
from minirag.report.passages import link
from minirag.report.results import Results
from minirag.report.retrieval import given
from minirag.report.traced import Traced, number
from minirag.report.word_diff import word_diff

BRIEF = 80
"""Characters by which a sentence is found in the answer above."""


def details(results: Results, question: Question) -> str:
    """The passages with their cosines, then the arms' answers; the tuned one with its changes against base."""
    some = given(results, question.id)
    hits = "" if some is None else ", ".join(f"{link(hit.chunk)} ({hit.score:.3f})" for hit in some.hits)
    told = tag("p", f"Given: {hits or 'nothing'}")
    return told + "".join(_arm(results, question, arm) for arm in results.arms)


def _arm(results: Results, question: Question, arm: str) -> str:
    answer = results.answers.get((arm, question.id))
    if answer is None:
        return tag("h3", text(arm)) + tag("p", "No answer: the call failed.", class_="no")
    base = results.answers.get(("base", question.id)) if arm == "tuned" else None
    calls = "1 call" if len(answer.drafts) == 1 else f"{len(answer.drafts)} calls"
    usd = dollars(results.usd.get((arm, question.id)))
    notes = ", ".join(
        [calls, usd, *["cut off at the reply's limit"] * answer.cut_off]
        + ["what changed against base is marked"] * (base is not None)
    )
    evidence = (_evidence(line, row, answer) for line, row in results.scored.get((arm, question.id), ()))
    quoted = text(answer.text) if base is None else word_diff(base.text, answer.text)
    head = tag("h3", text(arm), " ", tag("small", text(notes)))
    return head + tag("blockquote", quoted, dir="auto") + "".join(evidence)


def _evidence(line: int, row: ScoredRow, answer: Answer) -> str:
    """A score, why there is none if so, and what it was computed from."""
    score = row.score
    name = named(row.metric) + (f", round {row.round + 1}" if row.round else "")
    value = number(Traced(score.value, f"scores.jsonl#/{line}/value"))
    reason = f" ({text(score.reason)})" if score.reason else ""
    return tag("p", f"{text(name)}: {value}{reason}") + listed(_items(score.evidence, answer))


def _items(evidence: Sequence[Mapping[str, Any]], answer: Answer) -> Iterator[str]:
    """One piece of evidence of any metric: what was found, what it is about, where, and why."""
    for item in evidence:
        found = item.get("supported", item.get("useful"))
        mark = "" if found is None else tag("b", "yes" if found else "no", class_="yes" if found else "no") + ": "
        cosine = f"{item['cosine']:.3f}: " if item.get("cosine") is not None else ""
        about = next((item[key] for key in ("statement", "question", "sentence") if key in item), None)
        content = tag(
            "bdi", text(f"passage {item['context'] + 1}" if about is None else _brief(str(about), answer.text))
        )
        evasive = " (noncommittal)" if item.get("noncommittal") else ""
        yield f"{mark}{cosine}{content}{evasive}{_why(item, answer)}"


def _brief(statement: str, answer: str) -> str:
    """A statement; of one that stands in the answer above word for word its beginning."""
    return f"{statement[:BRIEF]} …" if len(statement) > BRIEF + 20 and statement in answer else statement


def _why(item: Mapping[str, Any], answer: Answer) -> str:
    """The judge's reason, and the page of the sentence that supports a statement."""
    span = item.get("span")
    page = f"page {answer.hits[span[0]].chunk.page}" if isinstance(span, list | tuple) and span else ""
    told = "; ".join(filter(None, [str(item.get("reason") or ""), page]))
    return " " + tag("small", tag("bdi", text(told))) if told else ""
