"""One HTML file with the verdict, the numbers behind it and every answer with its evidence.

Deleting this room leaves runs without `report.html`; nothing in them is computed here.
"""

from pathlib import Path

from minirag.message_log import write_atomically
from minirag.report import results as by_question, summary
from minirag.report.markup import document
from minirag.report.results import Results

__all__ = ["Results", "report_html", "write_report"]


def report_html(results: Results) -> str:
    """Return the report as one HTML document; the same results give the same bytes."""
    comparison, settings = results.comparison, results.facts["settings"]
    parts = [
        summary.answer(comparison, results.costs, settings),
        by_question.pictures(results),
        summary.means(comparison),
        by_question.worst_losses(results),
        by_question.questions(results),
        summary.money_section(results.costs),
        summary.caution(comparison),
        summary.about(results.facts),
    ]
    return document("Can the small model replace the large one?", parts)


def write_report(folder: Path, results: Results) -> Path:
    """Write `report.html` and return its path."""
    path = folder / "report.html"
    write_atomically(path, report_html(results).encode("utf-8", "replace"))
    return path
