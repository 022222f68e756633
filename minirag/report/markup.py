"""Row 1. HTML and SVG as text: whatever comes from documents and models is escaped in one place."""

from html import escape

from minirag.cli.visible import visible

_VOID = {"br", "hr", "img", "input", "meta"}


def text(value: object) -> str:
    r"""A value as text of a page: escaped, and its controls and marks that turn the direction of writing as codes.

    >>> text('<b> & "c"'), text("\u202e")
    ('&lt;b&gt; &amp; &quot;c&quot;', '\\u{202e}')
    """
    return escape(visible(str(value), keep="\t\n"))


def tag(name: str, /, *content: str, **attributes: object) -> str:
    """One element; its content is markup already, its attributes are plain values: None and False are left out.

    A trailing `_` of an attribute is dropped and the others become `-`; True is an attribute without a value.

    >>> tag("li", text("a < b"), class_="no", data_value=0.5, hidden=True)
    '<li class="no" data-value="0.5" hidden>a &lt; b</li>'
    """
    written = []
    for key, value in attributes.items():
        attribute = key.rstrip("_").replace("_", "-")
        if value is True:
            written.append(f" {attribute}")
        elif value is not None and value is not False:
            written.append(f' {attribute}="{text(value)}"')
    start = f"<{name}{''.join(written)}>"
    return start if name in _VOID else f"{start}{''.join(content)}</{name}>"
