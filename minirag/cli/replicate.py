"""`minirag compare DIR_A DIR_B …`: does what one run found differ in the others?"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minirag.cli.terminal import say, show, show_json, table
from minirag.errors import InputError
from minirag.statistics import replication
from minirag.statistics.power import spaced


def main(options: Mapping[str, Any]) -> int:
    """Print the runs' comparisons side by side."""
    folders = [Path(name) for name in options.get("documents", ())]
    if len(folders) < 2:
        raise InputError(
            "Name the run's folder with --out DIR, or two or more to compare: folders of finished runs, or two files "
            "of scores."
        )
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder; name the folders of finished runs, or two files of scores.")
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise InputError("One run is named twice; a run does not replicate itself.")
    runs, texts = zip(*map(_read, folders), strict=True)
    names = [folder.name for folder in folders]
    if len(set(names)) < len(names):
        names = list(map(str, folders))
    comparisons = replication(runs)
    for name, asked in list(zip(names, texts, strict=True))[1:]:
        if shared := len(texts[0] & asked):
            say(f"{name} is another look at {shared} questions of {names[0]}, not fresh evidence.")
    if options.get("json"):
        show_json({"runs": list(map(str, folders)), "comparisons": comparisons})
    else:
        tables = [_table(one, names) for one in comparisons]
        show("\n\n".join(tables) or "No run compares a tuned model with anything.")
    return 0


def _read(folder: Path) -> tuple[dict[str, Any], set[str]]:
    """Return a finished run's `comparison.json` and the texts of its eval questions. Raises InputError."""
    try:
        comparison = json.loads((folder / "comparison.json").read_text("utf-8"))
        lines = (folder / "questions.jsonl").read_text("utf-8").split("\n")
        questions = [json.loads(line) for line in lines if line]
    except FileNotFoundError as error:
        raise InputError(f"There is no {error.filename}; name the folder of a finished run.") from None
    except (OSError, ValueError) as error:
        raise InputError(f"The run in {folder} cannot be read ({error}); run it again.") from error
    return comparison, {question["text"] for question in questions if question["split"] == "eval"}


def _table(one: Mapping[str, Any], names: Sequence[str]) -> str:
    rows = []
    for name, run in zip(names, one["runs"], strict=True):
        if run is None:
            rows.append([name, "not compared", "–", "–", "–"])
        else:
            rows.append([f"{name}, {run['n']} questions", str(run["verdict"]), *_figures(run)])
    for name, shift in zip(names[1:], one["shifts"], strict=True):
        if shift is not None:
            rows.append([f"{name} minus {names[0]}", "", *_figures(shift)])
    title = f"{spaced(one['metric'])}, tuned against {one['against']}: {one['outcome']}"
    return f"{title}\n{table(['run', 'verdict', 'difference', 'low', 'high'], rows, text_columns=2)}"


def _figures(one: Mapping[str, Any]) -> list[str]:
    return ["–" if (value := one[key]) is None else f"{value:+.3f}" for key in ("difference", "low", "high")]
