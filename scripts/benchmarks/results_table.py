"""The table of results in the README: what the kept figures say, between two markers of the file."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks import Line

MARKED = re.compile(r"(?<=<!-- bench -->\n).*?(?=<!-- /bench -->)", re.DOTALL)


def write_results(readme: Path, records: Iterable[Path]) -> None:
    """Replace what stands between the markers by a table of each record that `--json` has kept.

    Raises SystemExit where the file has no such markers.
    """
    text = readme.read_text("utf-8")
    tables = "\n".join(table_of(json.loads(path.read_text("utf-8"))) for path in records)
    replaced, count = MARKED.subn(lambda _: f"\n{tables}\n", text)
    if count != 1:
        raise SystemExit(f"{readme} needs <!-- bench --> and <!-- /bench --> once, each on a line of its own.")
    readme.write_text(replaced, "utf-8")


def table_of(record: dict[str, Any]) -> str:
    """One run of a benchmark in Markdown: the command, the day, the machine, and a row a figure."""
    rows = [row_of(Line(**line)) for line in record["lines"]]
    head = f"`{record['command']}` ({record['date']}; {record['machine']})"
    return "\n".join([head, "", "| measured | | against | at most |", "|---|---|---|---|", *rows, ""])


def row_of(line: Line) -> str:
    """A figure as a row; in bold where it is more than it should be."""
    value = f"{line.value:,.3g} {line.unit}" if line.value < 1000 else f"{line.value:,.0f} {line.unit}"
    shown = f"**{value}**" if line.reached is False else value
    return f"| {line.what} | {shown} | {line.against} | {'' if line.reach is None else f'{line.reach:g}'} |"
