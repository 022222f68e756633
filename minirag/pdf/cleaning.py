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
"""A header or footer recurs on at least so many pages, and on such a share of them."""
LONGEST_LINE = 150
"""Characters of a header or footer line."""

_SURROGATE_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x01-\x08\x0e-\x1f\x7f]")
_BREAK = re.compile("\r\n?|[\v\f]")
_NUMBER = re.compile(r"(?<!\d)\d{1,5}(?!\d)")
_LABEL = re.compile(r"[^\W\d]+[.:]?")
# The Roman letters by name: regardless of case, i also stands for the Turkish İ and ı.
_PAGE_NUMBER = re.compile(
    r"(?:[-–—|\[(]*\s*)(?:(?P<word>page|p\.|pg\.|seite|página|pagina|第)\s*)?(?P<number>\d{1,5}|(?-i:[ivxlIVXL]{1,7}))"
    r"(?:\s*(?:of|/|von|de|di|sur)\s*\d{1,5})?(?:\s*[-–—|\]).]*|\s*页|\s*頁|\s*ページ)",
    re.IGNORECASE,
)
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50}


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
    counts = Counter(
        key for index, edge in enumerate(edges) for key in {k for line in edge for k in _keys(line, index)}
    )
    needed = max(MIN_PAGES, MIN_SHARE * sum(map(bool, edges)))
    numbers = {(number, index) for index, edge in enumerate(edges) for number in map(_page_number, edge) if number}
    removed: Counter[str] = Counter()
    stripped = []
    for index, (body, edge) in enumerate(zip(bodies, edges, strict=True)):
        kinds: list[str] = []
        for line in edge:
            if _is_page_number(line, index, numbers):
                kinds.append("page number")
            elif any(counts[key] >= needed for key in _keys(line, index)):
                kinds.append(kind)
            else:
                break
        if len(kinds) == EDGE:
            kinds = []
        removed.update(kinds)
        full_lines = [position for position, line in enumerate(body) if line.strip()]
        stripped.append(body[full_lines[len(kinds) - 1] + 1 :] if kinds else body)
    return stripped, removed


def _keys(line: str, index: int) -> Iterator[tuple[str, str, int | None]]:
    """Yield what a header has in common over pages: the line itself, or the line around a number that counts pages.

    A line of digits only has no key, it could be a cell of a table; nor does a label such as "Table 7".
    """
    if len(line) > LONGEST_LINE:
        return
    letters = any(character.isalpha() for character in line)
    if letters or (len(line) >= 3 and not any(character.isdigit() for character in line)):
        yield line, "", None
    if letters:
        for match in _NUMBER.finditer(line):
            before, after = line[: match.start()], line[match.end() :]
            if after or not _LABEL.fullmatch(before.strip()):
                yield before, after, int(match.group()) - index


def _page_number(line: str) -> int | None:
    """Return the number of a line that holds a page number and nothing else, else None."""
    match = _PAGE_NUMBER.fullmatch(line)
    if match is None:
        return None
    number = match["number"].lower()
    if number.isdecimal():
        return int(number)
    values = [_ROMAN[letter] for letter in number]
    return sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))


def _is_page_number(line: str, index: int, numbers: set[tuple[int, int]]) -> bool:
    """Return True if a lone number counts pages: one of the two pages before or after has the number that fits."""
    number = _page_number(line)
    if number is None:
        return False
    match = _PAGE_NUMBER.fullmatch(line)
    if match and match["word"] and number == index + 1:
        return True
    return any((number + step, index + step) in numbers for step in (-2, -1, 1, 2))
