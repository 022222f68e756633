"""Row 8. All questions in one table: what each arm scored, and behind a click its answers and their evidence.

Everything is there without a script. With one, rows can be searched and filtered: it reads the page and adds nothing.
"""

import hashlib
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from minirag.report.markup import tag, text

SCRIPT = """
for (const root of document.querySelectorAll(".questions")) {
  const rows = [...root.querySelectorAll("tbody")].map(body => [body, body.textContent.toLowerCase()]);
  const [form, status] = [root.querySelector("form"), root.querySelector("[role=status]")];
  const show = () => {
    const words = form.search.value.toLowerCase().split(/\\s+/), kind = form.kind.value;
    let shown = 0;
    for (const [body, content] of rows) {
      const fits = (!kind || body.dataset.kind === kind) && words.every(word => content.includes(word));
      body.hidden = !fits;
      shown += fits;
    }
    status.textContent = `${shown} of ${rows.length} questions`;
  };
  form.addEventListener("input", show);
  form.addEventListener("submit", event => event.preventDefault());
  form.addEventListener("reset", event => {
    event.preventDefault();
    form.search.value = form.kind.value = "";
    show();
  });
  form.hidden = false;
  show();
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionRow:
    """One question: its text, a line of notes (page, flags), a cell for each column, and what is behind the click.

    `kind` is what the filter knows it by (`better`, `unscored`, …). `details` is HTML, all else is plain.
    """

    id: str
    question: str
    notes: str = ""
    cells: Sequence[str]
    kind: str
    details: str


def question_table(columns: Sequence[str], rows: Sequence[QuestionRow], name: str = "Questions") -> tuple[str, str]:
    """(HTML, the script's source for a Content-Security-Policy: `sha256-…`); each row has as many cells as `columns`.

    Ids of the rows are `question-ID`, so that other parts of a page can point at them.
    """
    head = "".join(tag("th", text(column), scope="col", class_="n") for column in columns)
    table = tag(
        "table",
        tag("caption", text(name), class_="unseen"),
        tag("thead", tag("tr", tag("th", "question", scope="col"), head)),
        *(_row(columns, row) for row in rows),
    )
    if not rows:
        return tag("p", "There is no question."), script_hash()
    searched = _form(Counter(row.kind for row in rows), name)
    html = tag("div", searched, table, class_="questions") + tag("script", SCRIPT)
    return html, script_hash()


def script_hash() -> str:
    """What allows this script and no other, as `script-src` names it."""
    return f"sha256-{b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()}"


def _form(kinds: Mapping[str, int], name: str) -> str:
    """Search and filter, hidden until the script can serve them."""
    options = [
        tag("option", text(f"{kind} ({count})" if kind else f"all ({count})"), value=kind)
        for kind, count in {"": sum(kinds.values()), **kinds}.items()
    ]
    return tag(
        "form",
        tag("label", "Search ", tag("input", type="search", name="search", autocomplete="off")),
        tag("label", "Show ", tag("select", *options, name="kind")),
        tag("button", "Reset", type="reset"),
        tag("span", role="status"),
        role="search",
        aria_label=name,
        hidden=True,
    )


def _row(columns: Sequence[str], row: QuestionRow) -> str:
    cells = [
        tag("td", text(cell), class_="n", data_column=column) for column, cell in zip(columns, row.cells, strict=True)
    ]
    opened = tag("summary", tag("small", text(" · ".join(filter(None, [row.id, row.notes, "answers and evidence"])))))
    return tag(
        "tbody",
        tag("tr", tag("th", text(row.question), scope="rowgroup", dir="auto"), *cells),
        tag("tr", tag("td", tag("details", opened, row.details), colspan=len(columns) + 1)),
        id=f"question-{row.id}",
        data_kind=row.kind,
    )
