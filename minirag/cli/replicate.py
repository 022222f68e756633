"""Row 9. `minirag compare DIR_A DIR_B …`: whether what one run found holds in the others."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from minirag.cli.terminal import say, show, show_json, table
from minirag.errors import InputError
from minirag.files import write_atomically
from minirag.report import SavedRun, several_html
from minirag.statistics.replication import Replication, names_of, replication

TAKEN = {"command", "documents", "html", "json"}
"""All that finished runs are compared with."""


def main(given: Mapping[str, Any]) -> int:
    """Print the runs' comparisons side by side, and how the first run's questions moved in the others."""
    folders = [Path(name) for name in given.get("documents", ())]
    if len(folders) < 2:
        raise InputError(
            "Name the run's folder with --out DIR, or the folders of two or more finished runs to compare."
        )
    if idle := given.keys() - TAKEN:
        raise InputError(f"--{min(idle).replace('_', '-')} is for a run; finished runs are compared as they are.")
    _require_different_folders(folders)
    page: Path | None = given.get("html")
    if page is not None:
        _require_page(page)
    runs = [SavedRun(folder) for folder in folders]
    found = replication(runs)
    if page is not None:
        facts = {name: run.facts for name, run in zip(names_of(runs), runs, strict=True)}
        write_atomically(page, several_html(facts, [one.to_json() for one in found]).encode("utf-8", "replace"))
        say(f"report: {page}")
    if given.get("json"):
        show_json({"runs": list(map(str, folders)), "comparisons": [one.to_json() for one in found]})
    else:
        told = [_lines(one, names_of(runs)) for one in found]
        show("\n\n".join(told) or "No run compares a tuned model with anything.")
    return 0


def _require_different_folders(folders: Sequence[Path]) -> None:
    known: dict[Path, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder; name the folders of finished runs.")
        if (before := known.setdefault(folder.resolve(), folder)) is not folder:
            raise InputError(f"{before} and {folder} are the same run; a run does not replicate itself.")


def _require_page(path: Path) -> None:
    """Nothing that was paid for is ever replaced by a page, nor a device."""
    taken = path.exists() and not path.is_file()
    if path.suffix.lower() not in {".html", ".htm"} or taken or (path.parent / "messages.jsonl").exists():
        raise InputError(f"--html {path} must be a file that ends in .html, outside the folder of a run.")


def _lines(one: Replication, names: Sequence[str]) -> str:
    rows = [*map(_row, names, one.runs), *_changes(one, names[1:])]
    told = f"{one.metric.replace('_', ' ')}, tuned against {one.against}: {one.outcome}"
    return f"{told}\n{table(['run', 'verdict', 'difference', 'low', 'high'], rows, text_columns=2)}"


def _row(name: str, run: Mapping[str, Any] | None) -> list[str]:
    if run is None:
        return [name, "not compared", "–", "–", "–"]
    figures = _figures(run["difference"], run["low"], run["high"])
    return [f"{name}, {run['n']} questions", str(run["verdict"]), *figures]


def _changes(one: Replication, later: Sequence[str]) -> Iterator[list[str]]:
    for name, change in zip(later, one.changes, strict=True):
        if (moved := change.estimate) is not None:
            yield [f"change in {name}, {change.shared} shared", "", *_figures(moved.value, moved.low, moved.high)]


def _figures(*values: float | None) -> list[str]:
    return ["–" if value is None else f"{value:+.3f}" for value in values]
