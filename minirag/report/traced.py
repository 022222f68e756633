"""Values of a run's files with the place where each stands, so that whoever reads a number can look it up."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from minirag.costs.bill import dollars
from minirag.report.markup import tag, text


@dataclass(frozen=True, slots=True)
class Traced:
    """A value of a file, and where: `comparison.json#/metrics/…`, a JSON pointer (RFC 6901) behind the file's name.

    Of JSON Lines the first part of the pointer is the line, from 0.

    >>> Traced({"metrics": [0.5]}, "comparison.json#")["metrics"][0]
    Traced(value=0.5, at='comparison.json#/metrics/0')
    """

    value: Any
    at: str

    def __getitem__(self, key: str | int) -> "Traced":
        part = str(key).replace("~", "~0").replace("/", "~1")
        return Traced(self.value[key], f"{self.at}/{part}")

    def __iter__(self) -> Iterator["Traced"]:
        """The values of a list."""
        return (self[number] for number in range(len(self.value)))

    def items(self) -> Iterator[tuple[str, "Traced"]]:
        """The names and values of a mapping, in its order."""
        return ((name, self[name]) for name in self.value)


def number(found: Traced, digits: int = 3, sign: bool = False) -> str:
    """A number rounded for people, or a dash where there is none; unrounded and with its place beside it.

    >>> number(Traced(0.25, "a#/b"), sign=True)
    '<data value="0.25" data-at="a#/b">+0.250</data>'
    """
    return _data(found, "–" if found.value is None else f"{found.value:{'+' if sign else ''}.{digits}f}")


def p_value(found: Traced) -> str:
    """A probability: below a thousandth that is all that is said of it."""
    return _data(found, "&lt;0.001") if found.value is not None and found.value < 0.001 else number(found)


def count(found: Traced) -> str:
    """A whole number, or a dash where there is none."""
    return _data(found, "–" if found.value is None else f"{found.value:,}")


def money(found: Traced) -> str:
    """US dollars, `unknown` where a price is."""
    return _data(found, dollars(found.value))


def interval(found: Traced) -> str:
    """The interval of a difference."""
    return f"[{number(found['low'], sign=True)}, {number(found['high'], sign=True)}]"


def words(found: Traced) -> str:
    """A text, as it stands in the file."""
    return tag("span", text(found.value), data_at=found.at)


def _data(found: Traced, shown: str) -> str:
    return tag("data", shown, value="" if found.value is None else found.value, data_at=found.at)
