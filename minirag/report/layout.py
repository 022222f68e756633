"""What every section of the report is laid out with; cells and items are HTML already."""

from collections.abc import Iterable, Sequence

from minirag.report.markup import tag, text


def named(metric: str) -> str:
    """A metric's name for people.

    >>> named("answer_relevancy")
    'answer relevancy'
    """
    return metric.replace("_", " ")


def section(title: str, *parts: str) -> str:
    """A part of the report under its heading; nothing where there is nothing to show.

    >>> section("Money", ""), section("Money", "<p>$1</p>")
    ('', '<section><h2>Money</h2><p>$1</p></section>')
    """
    return tag("section", tag("h2", text(title)), *parts) if any(parts) else ""


def figures(drawn: Iterable[tuple[str, str]]) -> str:
    """Charts with what stands above each, side by side where there is room."""
    return tag("div", *(tag("figure", tag("figcaption", text(title)), svg) for title, svg in drawn), class_="charts")


def listed(items: Iterable[str]) -> str:
    """A list, or nothing where there is no item."""
    lines = "".join(tag("li", item) for item in items)
    return tag("ul", lines) if lines else ""


def table(
    name: str, head: Sequence[str], rows: Iterable[Sequence[str]], numeric: int = 1, *, breaks: bool = False
) -> str:
    """A table whose columns from `numeric` on are numbers; one that is too wide is scrolled, by keyboard too.

    `breaks` lets long words break instead: paths, hashes.
    """

    def kind(column: int) -> str | None:
        return "n" if column >= numeric else None

    top = "".join(tag("th", text(title), scope="col", class_=kind(i)) for i, title in enumerate(head))
    body = (tag("tr", *(tag("td", cell, class_=kind(i)) for i, cell in enumerate(row))) for row in rows)
    content = tag("table", tag("caption", text(name)), tag("thead", tag("tr", top)), tag("tbody", *body))
    return tag("div", content, class_="wide breaks" if breaks else "wide", tabindex="0", role="region", aria_label=name)
