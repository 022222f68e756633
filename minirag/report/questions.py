"""The table of all questions: what each scored before and after, the largest loss first."""

from minirag.costs.bill import dollars
from minirag.questions import Question
from minirag.report.answers import details
from minirag.report.layout import named, section
from minirag.report.markup import tag
from minirag.report.question_table import QuestionRow, question_table
from minirag.report.results import Results


def questions(results: Results) -> tuple[str, str]:
    """(HTML, the hash that allows the table's script)."""
    metrics = list(results.comparison["metrics"])
    columns = [column for metric in metrics for column in _columns(results, metric)]
    if results.against:
        columns.append("tuned costs")
    ordered = sorted(results.questions, key=lambda question: _place(results, question))
    rows = [_row(results, question, metrics) for question in ordered]
    table, script = question_table(columns, rows, "Questions")
    told = tag("p", "The largest loss first; what lacks a score last.", class_="soft") if results.against else ""
    return section("Questions", told, table), script


def _columns(results: Results, metric: str) -> list[str]:
    if not results.against:
        return [f"{named(metric)}, {arm}" for arm in results.arms]
    return [f"{named(metric)}, base → tuned", "difference"]


def _row(results: Results, question: Question, metrics: list[str]) -> QuestionRow:
    cells = []
    for metric in metrics:
        values = [results.values[arm, metric][question.id] for arm in results.arms]
        if not results.against:
            cells += [_shown(value) for value in values]
            continue
        pair = [results.values[arm, metric][question.id] for arm in ("base", "tuned")]
        cells += [" → ".join(map(_shown, pair)), _shown(results.difference(question.id, metric), "+")]
    if results.against:
        cells.append(dollars(results.usd.get(("tuned", question.id))))
    page = "" if question.page is None else f"page {question.page}"
    return QuestionRow(
        id=question.id,
        question=question.text,
        notes=", ".join(filter(None, [page, *question.flags])),
        cells=cells,
        kind=_kind(results, question),
        details=details(results, question),
    )


def _shown(value: float | None, sign: str = "") -> str:
    return "–" if value is None else f"{value:{sign}.3f}"


def _differences(results: Results, question: Question) -> list[float | None]:
    return [results.difference(question.id, metric) for metric in results.comparison["metrics"]]


def _place(results: Results, question: Question) -> tuple[bool, float]:
    """Where a question stands: by the sum of its differences, those without one last."""
    known = [value for value in _differences(results, question) if value is not None]
    return not known, sum(known)


def _kind(results: Results, question: Question) -> str:
    """What the filter knows a question by."""
    found = _differences(results, question)
    if not results.against:
        lacks = any(values[question.id] is None for values in results.values.values())
        return "unscored" if lacks else "scored"
    known = [value for value in found if value is not None]
    better, worse = any(value > 0 for value in known), any(value < 0 for value in known)
    if len(known) < len(found):
        return "unscored"
    return "better and worse" if better and worse else "better" if better else "worse" if worse else "the same"
