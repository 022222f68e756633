"""Take out of page texts what is not text: broken characters, running headers and footers, page numbers.

Headers and footers are recognised by repetition at the edges of pages, so a number on a line of its own in the middle
of a page stays, and so does a heading that merely looks like another.

>>> texts, removed = clean_pages([f"Annual Report\\nSold {n * n} kettles.\\n- {n} -" for n in range(7, 12)])
>>> texts[0], dict(removed)
('Sold 49 kettles.\\n', {'running header': 5, 'page number': 5})
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

EDGE = 5
"""Headers and footers have fewer lines than this; where more lines recur, the text itself repeats."""
MIN_PAGES, MIN_SHARE = 5, 0.3
"""A header or footer recurs on at least so many pages, and on such a share of them; a page number is enough on five."""
LONGEST_LINE = 150
"""Characters of a header or footer line."""

_SURROGATE_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x01-\x08\x0e-\x1f\x7f]")
_BREAK = re.compile("\r\n?|[\v\f]")
_NUMBER = re.compile(r"(?<!\d)\d{1,5}(?!\d)")
_PAGE_NUMBER = re.compile(r"(?:page|pg?\.|seite|página|pagina|of|von|de|di|sur|第|页|頁|ページ|[\W\d])+", re.IGNORECASE)
_LETTER = re.compile(r"[^\W\d_]")
_LABEL = re.compile(r"[^\W\d]+[.:]?")
_Key = tuple[str, str, int | None]


def clean_characters(text: str) -> tuple[str, Counter[str]]:
    """Return `text` with line ends as "\\n", without trailing white space and characters that services refuse.

    The counter says how many characters of "lone surrogate", "NUL" and "control character" were removed.
    """
    removed: Counter[str] = Counter()
    text = _SURROGATE_PAIR.sub(lambda pair: pair[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le"), text)
    text, removed["lone surrogate"] = _SURROGATE.subn("", text)
    removed["NUL"] = text.count("\0")
    text, removed["control character"] = _CONTROL.subn("", text.replace("\0", ""))
    text = "\n".join(line.rstrip() for line in _BREAK.sub("\n", text).split("\n"))
    return text.strip("\n") + "\n" if text.strip() else "", +removed


def clean_pages(texts: Sequence[str]) -> tuple[list[str], Counter[str]]:
    """Return the texts of one source's pages, clean and without headers and footers, and what was removed.

    "running header", "running footer" and "page number" are counted in lines. A text ends with one line end or is
    empty. Where all text would go, every page being the same, it stays.
    """
    removed: Counter[str] = Counter()
    cleaned = []
    for text in texts:
        clean, characters = clean_characters(text)
        cleaned.append(clean)
        removed += characters
    bodies = [text.rstrip("\n").split("\n") if text else [] for text in cleaned]
    bodies, headers = _strip_edge(bodies, "running header")
    bodies, footers = _strip_edge([body[::-1] for body in bodies], "running footer")
    stripped = ["\n".join(body[::-1]).strip("\n") for body in bodies]
    if not any(stripped):
        return cleaned, removed
    return [text + "\n" if text else "" for text in stripped], removed + headers + footers


def _strip_edge(bodies: Sequence[list[str]], kind: str) -> tuple[list[list[str]], Counter[str]]:
    """Remove header lines from the front of each page's lines, from the outermost line inwards."""
    edges = [[" ".join(line.split()) for line in body if line.strip()][:EDGE] for body in bodies]
    counts: Counter[_Key] = Counter()
    for index, edge in enumerate(edges):
        counts.update({key for line in edge for key in _keys(line, index)})
    needed = max(MIN_PAGES, MIN_SHARE * sum(map(bool, edges)))
    removed: Counter[str] = Counter()
    stripped = []
    for index, (body, edge) in enumerate(zip(bodies, edges, strict=True)):
        kinds: list[str] = []
        for line in edge:
            is_number = _PAGE_NUMBER.fullmatch(line) is not None
            if not any(counts[key] >= (MIN_PAGES if is_number else needed) for key in _keys(line, index)):
                break
            kinds.append("page number" if is_number else kind)
        if len(kinds) == EDGE:
            kinds = []
        removed.update(kinds)
        full_lines = [position for position, line in enumerate(body) if line.strip()]
        stripped.append(body[full_lines[len(kinds) - 1] + 1 :] if kinds else body)
    return stripped, removed


def _keys(line: str, index: int) -> Iterator[_Key]:
    """Yield what a header has in common over pages: the line itself, or the line around a number that counts pages.

    A label such as "Table 7" has no number that counts pages: what it labels may stand on each of them.
    """
    if len(line) > LONGEST_LINE:
        return
    if _LETTER.search(line) or not _NUMBER.search(line):
        yield line, "", None
    for match in _NUMBER.finditer(line):
        before, after = line[: match.start()], line[match.end() :]
        if after or not _LABEL.fullmatch(before.strip()) or _PAGE_NUMBER.fullmatch(before):
            yield before, after, int(match.group()) - index
