"""Row 2. Takes out of a page what is not its text: broken characters, running headers and footers, page numbers.

Furniture is only looked for at the edges of pages and only by repetition, so a number that stands on a line of
its own in the middle of a page stays, and so does a heading that merely looks like another.

>>> texts, removed = clean_pages([f"Annual Report\\nSold {n * n} kettles.\\n- {n} -" for n in range(7, 12)])
>>> texts[0], dict(removed)
('Sold 49 kettles.\\n', {'running header': 5, 'page number': 5})
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

EDGE = 5
"""Furniture has fewer lines than this at either end of a page; where more recur, it is the text that repeats."""

MIN_PAGES, MIN_SHARE = 5, 0.3
"""A line is furniture when it recurs on so many pages and on such a share of them."""

_LONGEST = 150
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
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

Removed = Counter[str]
Key = tuple[str, str, int | None]


def clean_characters(text: str) -> tuple[str, Removed]:
    """`text` with line ends as "\\n", no trailing white space and no character that no service accepts.

    The counter says how many characters of "lone surrogate", "NUL" and "control character" went.
    """
    removed: Removed = Counter()
    text = _PAIR.sub(lambda pair: pair.group().encode("utf-16-le", "surrogatepass").decode("utf-16-le"), text)
    text, removed["lone surrogate"] = _SURROGATE.subn("", text)
    removed["NUL"] = text.count("\0")
    text, removed["control character"] = _CONTROL.subn("", text.replace("\0", ""))
    text = "\n".join(line.rstrip() for line in _BREAK.sub("\n", text).split("\n"))
    return text.strip("\n") + "\n" if text.strip() else "", +removed


def clean_pages(texts: Sequence[str]) -> tuple[list[str], Removed]:
    """The texts of one source's pages without broken characters and page furniture, and what was removed.

    "running header", "running footer" and "page number" are counted in lines. A text ends with one line end or
    is empty. Where nothing but furniture would go, every page being the same, it stays.
    """
    removed: Removed = Counter()
    cleaned = []
    for text in texts:
        clean, gone = clean_characters(text)
        cleaned.append(clean)
        removed += gone
    bodies = [text.rstrip("\n").split("\n") if text else [] for text in cleaned]
    furniture: Removed = Counter()
    for edge in ("running header", "running footer"):
        if edge == "running footer":
            bodies = [body[::-1] for body in bodies]
        bodies, gone = _strip_edge(bodies, edge)
        furniture += gone
    stripped = ["\n".join(body[::-1]).strip("\n") for body in bodies]
    if not any(stripped):
        return cleaned, removed
    return [text + "\n" if text else "" for text in stripped], removed + furniture


def _strip_edge(bodies: Sequence[list[str]], edge: str) -> tuple[list[list[str]], Removed]:
    """Take furniture off the front of each page's lines, from the outermost line inwards."""
    fronts = [[" ".join(line.split()) for line in body if line.strip()][:EDGE] for body in bodies]
    counts = Counter(
        key for index, front in enumerate(fronts) for key in {k for line in front for k in _keys(line, index)}
    )
    needed = max(MIN_PAGES, MIN_SHARE * sum(map(bool, fronts)))
    numbered = {(number, index) for index, front in enumerate(fronts) for number in map(_page_number, front) if number}
    removed: Removed = Counter()
    stripped = []
    for index, (body, front) in enumerate(zip(bodies, fronts, strict=True)):
        kinds: list[str] = []
        for line in front:
            if _is_page_number(line, index, numbered):
                kinds.append("page number")
            elif any(counts[key] >= needed for key in _keys(line, index)):
                kinds.append(edge)
            else:
                break
        if len(kinds) == EDGE:
            kinds = []
        removed.update(kinds)
        stripped.append(_after(body, len(kinds)))
    return stripped, removed


def _after(body: list[str], taken: int) -> list[str]:
    """`body` without its first `taken` lines that are not blank."""
    at = 0
    while taken:
        taken -= bool(body[at].strip())
        at += 1
    return body[at:]


def _keys(line: str, index: int) -> Iterator[Key]:
    """What furniture has in common over pages: the line itself, or the line around a number that counts pages.

    A line of digits only is no key, it could be a cell of a table; nor is a label such as "Table 7".
    """
    if len(line) > _LONGEST:
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
    """The number of a line that holds a page number and nothing else, else None."""
    match = _PAGE_NUMBER.fullmatch(line)
    if match is None:
        return None
    number = match["number"].lower()
    if number.isdecimal():
        return int(number)
    values = [_ROMAN[letter] for letter in number]
    return sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))


def _is_page_number(line: str, index: int, numbered: set[tuple[int, int]]) -> bool:
    """Whether a lone number counts pages: one of the two pages before or after has the number that fits."""
    number = _page_number(line)
    if number is None:
        return False
    match = _PAGE_NUMBER.fullmatch(line)
    if match and match["word"] and number == index + 1:
        return True
    return any((number + step, index + step) in numbered for step in (-2, -1, 1, 2))
