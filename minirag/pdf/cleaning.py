"""Take out of page texts what is not text: broken characters, running headers and footers, page numbers.

Headers and footers are recognised by repetition at the edges of pages, so a number on a line of its own in the middle
of a page stays, and so does a heading that merely looks like another.

>>> clean_pages([f"Annual Report\\nSold {n * n} kettles.\\n- {n} -" for n in range(7, 12)])[0]
'Sold 49 kettles.\\n'
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
_REFUSED = re.compile("[\ud800-\udfff\0-\x08\x0e-\x1f\x7f]")
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


def clean_characters(text: str) -> str:
    """Return `text` with line ends as "\\n", without trailing white space and characters that services refuse."""
    text = _SURROGATE_PAIR.sub(lambda pair: pair[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le"), text)
    text = _REFUSED.sub("", text)
    text = "\n".join(line.rstrip() for line in _BREAK.sub("\n", text).split("\n"))
    return text.strip("\n") + "\n" if text.strip() else ""


def clean_pages(texts: Sequence[str]) -> list[str]:
    """Return the texts of one source's pages, clean and without headers and footers.

    A text ends with one line end or is empty. Where all text would go, every page being the same, it stays.
    """
    cleaned = [clean_characters(text) for text in texts]
    bodies = _without_headers([text.rstrip("\n").split("\n") if text else [] for text in cleaned])
    bodies = [body[::-1] for body in _without_headers([body[::-1] for body in bodies])]  # and without footers
    stripped = ["\n".join(body).strip("\n") for body in bodies]
    return [text + "\n" if text else "" for text in stripped] if any(stripped) else cleaned


def _without_headers(bodies: Sequence[list[str]]) -> list[list[str]]:
    """Remove header lines and page numbers from the front of each page's lines, from the outermost line inwards."""
    edges = [[" ".join(line.split()) for line in body if line.strip()][:EDGE] for body in bodies]
    counts = Counter(
        key for index, edge in enumerate(edges) for key in {k for line in edge for k in _keys(line, index)}
    )
    needed = max(MIN_PAGES, MIN_SHARE * sum(map(bool, edges)))
    numbers = {(number, index) for index, edge in enumerate(edges) for number in map(_page_number, edge) if number}
    stripped = []
    for index, (body, edge) in enumerate(zip(bodies, edges, strict=True)):
        headers = 0
        for line in edge:
            is_header = any(counts[key] >= needed for key in _keys(line, index))
            if not is_header and not _is_page_number(line, index, numbers):
                break
            headers += 1
        full_lines = [position for position, line in enumerate(body) if line.strip()]
        stripped.append(body[full_lines[headers - 1] + 1 :] if 0 < headers < EDGE else body)
    return stripped


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
