"""The table of all questions: what each scored, and behind a click every arm's answer with the judge's evidence."""

import re
from collections.abc import Mapping
from difflib import SequenceMatcher
from typing import Any

from minirag.metrics.score import ScoredRow
from minirag.questions import Question
from minirag.report.markup import bullets, number, section, spaced, tag, text
from minirag.report.results import Results


def questions(results: Results) -> str:
    """Return the table: the largest loss first, unscored questions last."""
    if not results.questions:
        return section("Questions", tag("p", "There is no question."))
    columns = _cells(results, results.questions[0])
    head = "".join(tag("th", text(column), scope="col", class_="n", data_column=i) for i, column in enumerate(columns))
    ordered = sorted(results.questions, key=lambda question: _order(results, question))
    explained = "Scores of base → tuned, with the difference: the largest loss first, unscored questions last."
    note = tag("p", explained, class_="soft") if results.against else ""
    caption = tag("caption", "Questions", class_="unseen")
    top = tag("thead", tag("tr", tag("th", "question", scope="col"), head))
    rows = tag("table", caption, top, *(_row(results, question) for question in ordered), class_="questions")
    return section("Questions", note, tag("p", id="search"), rows)


def _order(results: Results, question: Question) -> tuple[bool, float]:
    differences = (results.difference(question.id, metric) for metric in results.metrics)
    scored = [difference for difference in differences if difference is not None]
    return not scored, sum(scored)


def _cells(results: Results, question: Question) -> dict[str, str]:
    """Return the scores of a question by the names of their columns."""
    cells = {}
    for metric in results.metrics:
        scores = {arm: number(results.values[arm, metric][question.id]) for arm in results.arms}
        if results.against:
            difference = number(results.difference(question.id, metric), "+")
            cells[spaced(metric)] = f"{scores['base']} → {scores['tuned']} ({difference})"
        else:
            cells |= {f"{spaced(metric)}, {arm}": score for arm, score in scores.items()}
    return cells


def _row(results: Results, question: Question) -> str:
    scores = _cells(results, question).items()
    cells = [tag("td", cell, class_="n", data_column=column) for column, cell in scores]
    page = "" if question.page is None else f"page {question.page}"
    notes = " · ".join(filter(None, [question.id, page, *question.flags, "answers and evidence"]))
    details = tag("details", tag("summary", tag("small", text(notes))), _details(results, question))
    return tag(
        "tbody",
        tag("tr", tag("th", text(question.text), scope="rowgroup", dir="auto"), *cells),
        tag("tr", tag("td", details, colspan=len(cells) + 1)),
        id=f"question-{question.id}",
    )


def _details(results: Results, question: Question) -> str:
    """Return the passages with their cosines (all arms are given the same), then each arm's answer."""
    answers = {arm: results.answers.get((arm, question.id)) for arm in results.arms}
    hits = next((answer.hits for answer in answers.values() if answer is not None), ())
    links = (
        f"{tag('a', f'page {hit.chunk.page}', href=f'#passage-{hit.chunk.id}')} ({number(hit.score)})" for hit in hits
    )
    parts = [tag("p", "Passages given: ", ", ".join(links) or "none")]
    for arm, answer in answers.items():
        if answer is None:
            parts += [tag("h3", text(arm)), tag("p", "No answer: the call failed.", class_="no")]
            continue
        base = answers.get("base") if arm == "tuned" else None
        notes = ["1 call" if len(answer.drafts) == 1 else f"{len(answer.drafts)} calls"]
        notes += ["cut off at the reply's limit"] if answer.cut_off else []
        notes += ["the server cut its prompt"] if answer.prompt_cut else []
        notes += ["changes against base are marked"] if base is not None else []
        quoted = text(answer.text) if base is None else word_diff(base.text, answer.text)
        parts += [
            tag("h3", text(arm), " ", tag("small", text(", ".join(notes)))),
            tag("blockquote", quoted, dir="auto"),
            *(_evidence(row) for row in results.scores_of.get((arm, question.id), ())),
        ]
    return "".join(parts)


def _evidence(row: ScoredRow) -> str:
    """Return a score or why there is none, and what it was computed from."""
    score = row.score
    name = spaced(row.metric) + (f", round {row.round + 1}" if row.round else "")
    reason = f" ({text(score.reason)})" if score.reason else ""
    items = bullets(_item(item) for item in score.evidence)
    return tag("p", f"{text(name)}: {number(score.value)}{reason}") + items


def _item(item: Mapping[str, Any]) -> str:
    """Return one piece of evidence of any metric: the verdict or cosine, what it is about, and the judge's reason."""
    verdict = item.get("supported", item.get("useful"))
    start = "" if verdict is None else tag("b", word := "yes" if verdict else "no", class_=word) + ": "
    if item.get("cosine") is not None:
        start += f"{number(item['cosine'])}: "
    about = next((item[key] for key in ("statement", "question", "sentence") if key in item), None)
    if about is None:
        about = f"passage {item['context'] + 1}"
    end = " (noncommittal)" if item.get("noncommittal") else ""
    if reason := str(item.get("reason") or ""):
        end += " " + tag("small", tag("bdi", text(reason)))
    return start + tag("bdi", text(about)) + end


def word_diff(old: str, new: str) -> str:
    """Return both texts in one, words that only `old` has in `<del>`, words that only `new` has in `<ins>`.

    >>> word_diff("Fares rose in May.", "Fares fell in May.")
    'Fares <del>rose </del><ins>fell </ins>in May. '
    """
    before, after = (re.findall(r"\S+\s+", f"{words} ") for words in (old, new))
    matcher = SequenceMatcher(None, [word.strip() for word in before], [word.strip() for word in after])
    parts = []
    for kind, i1, i2, j1, j2 in matcher.get_opcodes():
        removed, added = text("".join(before[i1:i2])), text("".join(after[j1:j2]))
        if kind == "equal":
            parts.append(added)
        else:
            parts += [tag("del", removed)] if removed else []
            parts += [tag("ins", added)] if added else []
    return "".join(parts)
