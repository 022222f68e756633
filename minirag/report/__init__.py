"""Row 8. One self-contained HTML file: the verdict, the numbers behind it, and every answer with its evidence.

Each section is a function from a run's `Results` to HTML. No request goes anywhere, and a browser is told to allow
none: only the style and the one script of the table, by their hashes. All text from documents and models is escaped.
"""

import base64
import hashlib

from minirag.markup import tag, text
from minirag.report.caution import caution
from minirag.report.facts import about
from minirag.report.money import bill
from minirag.report.noise import noise
from minirag.report.passages import passages
from minirag.report.questions import questions
from minirag.report.results import Results
from minirag.report.retrieval import found_pages
from minirag.report.scores import scores
from minirag.report.training import training
from minirag.report.verdict import verdict
from minirag.report_style import STYLE

TITLE = "Can the small model replace the large one?"
ROOM = 1_350_000
"""Bytes: the passages take what the rest leaves of it, so that a report of 200 questions can be sent by mail."""
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()


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
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(script)}">',
        tag("title", text(f"minirag: {TITLE}")),
        tag("style", STYLE),
    ]
    body = tag("body", tag("main", "\n", "\n".join(filter(None, parts)), "\n"))
    return f"<!doctype html>\n{tag('html', tag('head', *head), body, lang='en')}\n"


def _policy(script: str) -> str:
    """Nothing may be loaded, run or sent; only the style above applies (no `style` attribute does) and one script."""
    allowed = f"style-src 'sha256-{_STYLE_HASH}'; script-src '{script}'"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"
