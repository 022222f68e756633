"""Row 9. `minirag compare DIR_A DIR_B`: whether what one run found holds in another."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minirag.errors import InputError
from minirag.replication import Replication, replication
from minirag.saved_run import SavedRun
from minirag.terminal import show, show_json, table


def main(given: Mapping[str, Any]) -> int:
    """Print both runs' comparisons side by side, and how they differ on the questions that they share."""
    folders = [Path(name) for name in given["documents"]]
    if len(folders) != 2 or not all(folder.is_dir() for folder in folders):
        raise InputError("Name the run's folder with --out DIR, or the folders of two finished runs to compare.")
    found = replication(*map(SavedRun, folders))
    if given.get("json"):
        show_json({"runs": list(map(str, folders)), "comparisons": [one.to_json() for one in found]})
    else:
        show("\n".join(_lines(found)))
    return 0


def _lines(found: list[Replication]) -> list[str]:
    if not found:
        return ["Neither run compares a tuned model with anything."]
    told = []
    for one in found:
        told.append(f"{one.metric.replace('_', ' ')}, tuned against {one.against}: {one.outcome}")
        rows = [_row(name, run) for name, run in (("first", one.first), ("second", one.second))]
        if one.change is not None:
            change = one.change
            rows.append(
                [f"change on {one.shared} shared questions", "", *_figures(change.value, change.low, change.high)]
            )
        told.append(table(["run", "verdict", "difference", "low", "high"], rows, text_columns=2))
        told.append("")
    return told[:-1]


def _row(name: str, run: Mapping[str, Any] | None) -> list[str]:
    if run is None:
        return [name, "not compared", "–", "–", "–"]
    n = f"{name}, {run['n']} questions"
    return [n, str(run["verdict"]), *_figures(run["difference"], run["low"], run["high"])]


def _figures(*values: float | None) -> list[str]:
    return ["–" if value is None else f"{value:+.3f}" for value in values]
