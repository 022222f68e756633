"""`minirag compare DIR_A DIR_B …`: whether what one run found holds in the others."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from minirag.cli.terminal import say, show, show_json, table
from minirag.errors import InputError
from minirag.message_log import write_atomically
from minirag.report import SavedRun, several_html
from minirag.statistics import Replication, replication


def main(options: Mapping[str, Any]) -> int:
    """Print the runs' comparisons side by side."""
    folders = [Path(name) for name in options.get("documents", ())]
    if len(folders) < 2:
        raise InputError(
            "Name the run's folder with --out DIR, or the folders of two or more finished runs to compare."
        )
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder; name the folders of finished runs.")
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise InputError("One run is named twice; a run does not replicate itself.")
    page: Path | None = options.get("html")
    if page is not None and page.suffix.lower() not in {".html", ".htm"}:
        raise InputError(f"--html {page} must be a file that ends in .html.")
    runs = [SavedRun(folder) for folder in folders]
    names = [folder.name for folder in folders]
    if len(set(names)) < len(names):
        names = list(map(str, folders))
    comparisons = replication([run.comparison for run in runs])
    if page is not None:
        facts = {name: run.facts for name, run in zip(names, runs, strict=True)}
        write_atomically(page, several_html(facts, [asdict(one) for one in comparisons]).encode("utf-8", "replace"))
        say(f"report: {page}")
    if options.get("json"):
        show_json({"runs": list(map(str, folders)), "comparisons": [asdict(one) for one in comparisons]})
    else:
        tables = [_table(one, names) for one in comparisons]
        show("\n\n".join(tables) or "No run compares a tuned model with anything.")
    return 0


def _table(one: Replication, names: Sequence[str]) -> str:
    rows = []
    for name, run in zip(names, one.runs, strict=True):
        if run is None:
            rows.append([name, "not compared", "–", "–", "–"])
        else:
            figures = ["–" if (value := run[key]) is None else f"{value:+.3f}" for key in ("difference", "low", "high")]
            rows.append([f"{name}, {run['n']} questions", str(run["verdict"]), *figures])
    title = f"{one.metric.replace('_', ' ')}, tuned against {one.against}: {one.outcome}"
    return f"{title}\n{table(['run', 'verdict', 'difference', 'low', 'high'], rows, text_columns=2)}"
