"""HTML and SVG as text: escaping, elements, tables, formatted numbers, and the document around them.

Text from documents and models is escaped by `text`, and attributes by `tag`; everything else takes finished markup.
"""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from minirag.errors import printable


def text(value: object) -> str:
    """Return any value as escaped text.

    >>> text('<b> & "c"')
    '&lt;b&gt; &amp; &quot;c&quot;'
    """
    return escape(printable(str(value), keep="\t\n"))


def tag(name: str, /, *content: str, **attributes: object) -> str:
    """Return one element: content is markup, attributes are plain values; an attribute that is None is left out.

    A trailing `_` of an attribute's name is dropped, other underscores become `-`.

    >>> tag("li", text("a < b"), class_="no", aria_label="x")
    '<li class="no" aria-label="x">a &lt; b</li>'
    """
    start = f"<{name}"
    for key, value in attributes.items():
        if value is not None:
            start += f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
    return f"{start}>{''.join(content)}</{name}>"


def section(title: str, *parts: str) -> str:
    """Return a part of the report under its heading, or "" if all parts are empty."""
    return tag("section", tag("h2", text(title)), *parts) if any(parts) else ""


def bullets(items: Iterable[str]) -> str:
    """Return a list of markup items, or "" if there are none."""
    lines = "".join(tag("li", item) for item in items)
    return tag("ul", lines) if lines else ""


def figure(title: str, chart: str) -> str:
    """Return a chart below its title."""
    return tag("figure", tag("figcaption", text(title)), chart)


def table(
    caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int = 1, kind: str = "wide"
) -> str:
    """Return a table of markup cells, which scrolls if it is too wide; columns from `text_columns` on are numbers."""
    classes = [None if i < text_columns else "n" for i in range(len(head))]
    titles = (tag("th", text(t), class_=c, scope="col") for t, c in zip(head, classes, strict=True))
    body = [
        tag("tr", *(tag("td", cell, class_=c, data_column=t) for cell, c, t in zip(row, classes, head, strict=True)))
        for row in rows
    ]
    top = tag("thead", tag("tr", *titles))
    content = tag("table", tag("caption", text(caption)), top, tag("tbody", *body))
    return tag("div", content, class_=kind, tabindex="0", role="region", aria_label=caption)


def document(title: str, parts: Iterable[str]) -> str:
    """Return a complete HTML page; its policy allows this style sheet and script, and nothing else."""
    style, script = (Path(__file__).with_name(name).read_text("utf-8") for name in ("style.css", "search.js"))
    allowed = f"style-src {_hash(style)}; script-src {_hash(script)}"
    policy = f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"
    head = tag(
        "head",
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        tag("title", text(f"minirag: {title}")),
        tag("style", style),
    )
    main = tag("main", "\n", tag("h1", text(title)), "\n", "\n".join(filter(None, parts)), "\n")
    return f"<!doctype html>\n{tag('html', head, tag('body', main, tag('script', script)), lang='en')}\n"


def _hash(source: str) -> str:
    """Return how a policy names a style sheet or script by its content."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"
