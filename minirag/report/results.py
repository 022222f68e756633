"""What the report shows of a finished run, and the parts of it that go question by question."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from minirag.metrics.score import ScoredRow, Scores
from minirag.query import Answer
from minirag.questions import Question
from minirag.report.charts import differences, paired
from minirag.report.markup import bullets, figure, section, tag, text
from minirag.report.summary import DESCRIBED
from minirag.statistics.power import comparisons, number, spaced
from minirag.text import counted

WORST = 5
"""Examples of questions in which the tuned model lost."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """A run's facts (`run.json`), eval questions, answers by (arm, question id), scores, comparison and costs."""

    facts: Mapping[str, Any]
    questions: Sequence[Question]
    answers: Mapping[tuple[str, str], Answer]
    scores: Scores
    comparison: Mapping[str, Any]
    costs: Mapping[str, Any]

    @property
    def metrics(self) -> list[str]:
        """The names of the metrics, in order."""
        return list(self.comparison["metrics"])

    @property
    def arms(self) -> list[str]:
        """The arms whose answers were judged, in order."""
        return list(self.comparison["ragas_score"])

    @property
    def against(self) -> list[str]:
        """The arms that the tuned model is compared with; none without a tuned model."""
        return [arm for arm in DESCRIBED if arm in self.arms and "tuned" in self.arms]

    @cached_property
    def values(self) -> dict[tuple[str, str], dict[str, float | None]]:
        """Each question's mean score over the rounds, by (arm, metric) and question id; None if unscored."""
        ids = [question.id for question in self.questions]
        return {
            (arm, metric): {id: score.value for id, score in zip(ids, self.scores.of(arm, metric, ids), strict=True)}
            for arm in self.arms
            for metric in self.metrics
        }

    @cached_property
    def scores_of(self) -> dict[tuple[str, str], list[ScoredRow]]:
        """The scores of each answer, by (arm, question id)."""
        rows: dict[tuple[str, str], list[ScoredRow]] = {}
        for row in self.scores:
            rows.setdefault((row.arm, row.question_id), []).append(row)
        return rows

    def differences(self, question: Question, arm: str) -> dict[str, float | None]:
        """Return by metric the tuned model's score of a question minus that of `arm`, None if one is unscored."""
        result: dict[str, float | None] = {}
        for metric in self.metrics if arm in self.against else ():
            other, tuned = self.values[arm, metric][question.id], self.values["tuned", metric][question.id]
            result[metric] = None if other is None or tuned is None else tuned - other
        return result

    def change(self, question: Question, arm: str) -> float | None:
        """Return the sum of a question's differences over the metrics; None if it has none."""
        scored = [difference for difference in self.differences(question, arm).values() if difference is not None]
        return sum(scored) if scored else None


def pictures(results: Results) -> str:
    """Return the intervals of each metric, and every question's scores in the metric that moved most."""
    if not results.against:
        return ""
    rows = {(metric, arm): row for metric, arm, row in comparisons(results.comparison)}
    intervals = []
    for metric in results.metrics:
        title = f"{spaced(metric)}: tuned minus …"
        chart = differences(title, {arm: rows[metric, arm] for arm in results.against})
        intervals.append(figure(title, chart))
    moved = max(results.metrics, key=lambda metric: abs(rows[metric, "base"]["difference"] or 0))
    title = f"{spaced(moved)}: base and tuned"
    sticks = figure(title, paired(title, results.values["base", moved], results.values["tuned", moved]))
    return tag("div", tag("div", *intervals), sticks, class_="charts")


def worst_losses(results: Results) -> str:
    """Return up to five questions in which the tuned model lost most against the teacher: people decide from examples.

    Each with both answers and the statements of the tuned model that nothing supports.
    """
    if not results.against:
        return ""
    losses = {question.id: results.change(question, "teacher") or 0.0 for question in results.questions}
    worst = [q for q in sorted(results.questions, key=lambda q: losses[q.id]) if losses[q.id] < 0][:WORST]
    examples = [_example(results, question) for question in worst]
    none = tag("p", "It scored below the teacher in no question.")
    return section("Where the tuned model lost most", *(examples or [none]))


def _example(results: Results, question: Question) -> str:
    lost = ", ".join(f"{text(spaced(m))} {number(d, '+')}" for m, d in results.differences(question, "teacher").items())
    link = tag("a", text(question.text), href=f"#question-{question.id}", dir="auto")
    parts = [tag("h3", link), tag("p", f"tuned minus teacher: {lost}", class_="soft")]
    for arm in ("teacher", "tuned"):
        answer = results.answers.get((arm, question.id))
        if answer is not None:
            parts += [tag("small", arm), tag("blockquote", text(answer.text), dir="auto")]
    unsupported = {  # by statement, so that each is shown once whatever the number of rounds
        str(item["statement"]): str(item.get("reason") or "")
        for row in results.scores_of.get(("tuned", question.id), ())
        for item in row.score.evidence
        if item.get("supported") is False and "statement" in item
    }
    if unsupported:
        reasons = (tag("bdi", text(one)) + (f" ({text(why)})" if why else "") for one, why in unsupported.items())
        parts += [tag("small", "not supported by the passages", class_="no"), bullets(reasons)]
    return tag("article", *parts)


def questions(results: Results) -> str:
    """Return what each question scored, the largest loss first and unscored ones last, and the evidence behind it."""
    columns = _cells(results, results.questions[0])
    head = "".join(tag("th", text(column), scope="col", class_="n", data_column=i) for i, column in enumerate(columns))
    changes = {question.id: results.change(question, "base") for question in results.questions}
    ordered = sorted(results.questions, key=lambda q: (changes[q.id] is None, changes[q.id] or 0.0))
    explained = "Scores of base → tuned, with the difference: the largest loss first, unscored questions last."
    note = tag("p", explained, class_="soft") if results.against else ""
    caption = tag("caption", "Questions", class_="unseen")
    top = tag("thead", tag("tr", tag("th", "question", scope="col"), head))
    rows = []
    for question in ordered:
        cells = [tag("td", cell, class_="n", data_column=name) for name, cell in _cells(results, question).items()]
        notes = " · ".join([question.id, f"page {question.page}", *question.flags, "answers and evidence"])
        details = tag("details", tag("summary", tag("small", text(notes))), _details(results, question))
        shown = tag("tr", tag("th", text(question.text), scope="rowgroup", dir="auto"), *cells)
        behind = tag("tr", tag("td", details, colspan=len(cells) + 1))
        rows.append(tag("tbody", shown, behind, id=f"question-{question.id}"))
    table = tag("table", caption, top, *rows, class_="questions")
    return section("Questions", note, tag("p", id="search"), table)


def _cells(results: Results, question: Question) -> dict[str, str]:
    """Return the scores of a question by the names of their columns."""
    cells, changes = {}, results.differences(question, "base")
    for metric in results.metrics:
        scores = {arm: number(results.values[arm, metric][question.id]) for arm in results.arms}
        if changes:
            cells[spaced(metric)] = f"{scores['base']} → {scores['tuned']} ({number(changes[metric], '+')})"
        else:
            cells |= {f"{spaced(metric)}, {arm}": score for arm, score in scores.items()}
    return cells


def _details(results: Results, question: Question) -> str:
    """Return the passages with their cosines (all arms are given the same), then each arm's answer."""
    answers = {arm: results.answers.get((arm, question.id)) for arm in results.arms}
    parts = []
    for hit in next((answer.hits for answer in answers.values() if answer is not None), ()):
        place = f"given: {Path(hit.chunk.source).name}, page {hit.chunk.page} ({number(hit.score)})"
        quoted = tag("blockquote", text(hit.chunk.text), dir="auto")
        parts.append(tag("details", tag("summary", text(place)), quoted))
    for arm, answer in answers.items():
        if answer is None:
            parts += [tag("h3", text(arm)), tag("p", "No answer: the call failed.", class_="no")]
            continue
        notes = [counted(len(answer.drafts), "call")]
        notes += ["cut off at the reply's limit"] if answer.cut_off else []
        notes += ["the server cut its prompt"] if answer.prompt_cut else []
        parts += [
            tag("h3", text(arm), " ", tag("small", text(", ".join(notes)))),
            tag("blockquote", text(answer.text), dir="auto"),
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
