"""What every report stands in: one HTML document from which no request goes anywhere.

A browser is told to allow none: only the style and the script, where there is one, by their hashes.
"""

import base64
import hashlib
from collections.abc import Sequence

from minirag.report.markup import tag, text
from minirag.report.style import STYLE

_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()


def document(title: str, parts: Sequence[str], script: str = "") -> str:
    """The HTML of `parts` under their `title`; `script` is the hash of the one that may run, none without."""
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(script)}">',
        tag("title", text(f"minirag: {title}")),
        tag("style", STYLE),
    ]
    body = tag("body", tag("main", "\n", "\n".join(filter(None, parts)), "\n"))
    return f"<!doctype html>\n{tag('html', tag('head', *head), body, lang='en')}\n"


def _policy(script: str) -> str:
    """Nothing may be loaded, run or sent; only the style above applies (no `style` attribute does) and one script."""
    allowed = f"style-src 'sha256-{_STYLE_HASH}'" + (f"; script-src '{script}'" if script else "")
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"
