"""A page on several runs: does what one of them found hold in the others, and in what do the runs differ?"""

from collections.abc import Mapping, Sequence
from typing import Any

from minirag.report.markup import document, interval, number, provenance, section, spaced, table, tag, text


def several_html(facts: Mapping[str, Mapping[str, Any]], comparisons: Sequence[Mapping[str, Any]]) -> str:
    """Return the page as one HTML document.

    `facts` are the content of each run's `run.json` by the run's name; `comparisons` name a metric, the arm that the
    tuned model stands `against`, the `outcome`, in `runs` each run's comparison, None if it made none, and in `shifts`
    how much larger each further run's difference is than the first one's, None if that is not known.
    """
    names, rows = list(facts), []
    for one in comparisons:
        outcome = tag("strong", text(one["outcome"]))
        for name, shift in zip(names[1:], one["shifts"], strict=True):
            if shift is not None:
                figures = f"{number(shift['difference'], '+')} {interval(shift['low'], shift['high'])}"
                outcome += tag("small", f" {text(name)} minus {text(names[0])}: {figures}")
        rows.append([text(spaced(one["metric"])), text(one["against"]), outcome, *map(_cell, one["runs"])])
    head = ["metric", "tuned against", "outcome", *facts]
    side_by_side = table("Tuned minus the other arm, with 95 % intervals", head, rows, len(head))
    if not rows:
        side_by_side = tag("p", "No run compares a tuned model with anything.")
    return document("Does it replicate?", [side_by_side, _settings(facts)])


def _cell(run: Mapping[str, Any] | None) -> str:
    if run is None:
        return "not compared"
    figures = f"{number(run['difference'], '+')} {interval(run['low'], run['high'])}, {run['n']:,} questions"
    return f"{text(run['verdict'])} {tag('small', figures)}"


def _settings(facts: Mapping[str, Mapping[str, Any]]) -> str:
    """Return settings, documents and versions in which the runs differ."""
    runs = [provenance(each) for each in facts.values()]
    names = dict.fromkeys(name for run in runs for name in run)
    values = {name: [run.get(name, "–") for run in runs] for name in names}
    rows = [[text(name), *map(text, row)] for name, row in values.items() if len(set(row)) > 1]
    if not rows:
        return section("Where the runs differ", tag("p", "They have the same settings, documents and versions."))
    head = ["setting", *facts]
    return section("Where the runs differ", table("Settings and sources", head, rows, len(head), "wide breaks"))
