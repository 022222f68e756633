"""The table of questions: everything is in the page, and its one script is the only one that may run."""

import hashlib
from base64 import b64encode
from html.parser import HTMLParser

import pytest

from gallery import rows
from minirag.report.question_table import QuestionRow, question_table


class Page(HTMLParser):
    """What a reader finds in the HTML: elements with their attributes, text, scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = self.script = ""
        self._open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag != "input":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" in self._open:
            self.script += data
        else:
            self.text += data


def test_every_question_is_there_with_its_numbers_and_its_evidence() -> None:
    given = rows(40)
    html, _ = question_table(["base", "tuned", "difference"], given)
    page = Page(html)
    bodies = [attributes for name, attributes in page.elements if name == "tbody"]
    assert [(body["id"], body["data-kind"]) for body in bodies] == [(f"question-{r.id}", r.kind) for r in given]
    cells = [attributes for name, attributes in page.elements if name == "td" and attributes.get("class") == "n"]
    assert len(cells) == 120
    assert sum(name == "details" for name, _ in page.elements) == 40
    assert all(f"By how much did fares rise in year {number}?" in page.text for number in range(40))


def test_the_hash_allows_this_script_and_no_other() -> None:
    html, script = question_table(["base"], [])
    assert Page(html).script == ""
    html, script = question_table(["base", "tuned", "difference"], rows(1))
    digest = hashlib.sha256(Page(html).script.encode()).digest()
    assert script == f"sha256-{b64encode(digest).decode()}"
    assert len(Page(html).script) < 1500


def test_text_from_outside_is_never_markup() -> None:
    hostile = '"><script>alert(1)</script>'
    row = QuestionRow(id=hostile, question=hostile, notes=hostile, cells=[hostile], kind=hostile, details="")
    page = Page(question_table([hostile], [row], hostile)[0])
    assert sum(name == "script" for name, _ in page.elements) == 1
    assert page.text.count(hostile) >= 4


def test_a_row_has_a_cell_for_each_column() -> None:
    with pytest.raises(ValueError, match="shorter"):
        question_table(["base", "tuned"], [QuestionRow(id="q", question="?", cells=["1"], kind="", details="")])
