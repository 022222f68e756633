"""Row 8. One self-contained HTML file: the verdict, the numbers behind it, and every answer with its evidence.

Each section is a function from a run's `Results` to HTML. All text from documents and models is escaped.
"""

from minirag.report.caution import caution
from minirag.report.document import document
from minirag.report.facts import about
from minirag.report.markup import tag
from minirag.report.money import bill
from minirag.report.noise import noise
from minirag.report.passages import passages
from minirag.report.questions import questions
from minirag.report.results import Results
from minirag.report.retrieval import found_pages
from minirag.report.scores import scores
from minirag.report.training import training
from minirag.report.verdict import verdict

TITLE = "Can the small model replace the large one?"
ROOM = 1_350_000
"""Bytes: the passages take what the rest leaves of it, so that a report of 200 questions can be sent by mail."""


def html(results: Results) -> str:
    """The report as one HTML document; the same results give the same bytes."""
    asked, script = questions(results)
    before = [
        tag("h1", TITLE),
        verdict(results),
        scores(results),
        asked,
        bill(results),
        found_pages(results),
        training(results),
        noise(results),
        caution(results),
    ]
    room = ROOM - sum(len(part.encode("utf-8", "replace")) for part in before)
    parts = [*before, passages(results, room), about(results)]
    return document(TITLE, parts, script)
