"""The report of several runs: does what one of them found hold in the others, and in what do they differ?"""

from collections.abc import Mapping, Sequence
from typing import Any

from minirag.report.charts.intervals import Interval, intervals
from minirag.report.document import document
from minirag.report.layout import figures, listed, named, section, table
from minirag.report.markup import tag, text
from minirag.report.saved_run import SavedRun
from minirag.report.traced import Traced, count, interval, number, words
from minirag.statistics.clustered import Estimate
from minirag.statistics.replication import Replication, names_of

TITLE = "Does it replicate?"


def html(runs: Sequence[SavedRun], found: Sequence[Replication]) -> str:
    """The report as one HTML document; the same runs give the same bytes. Raises InputError for an unfinished run."""
    names = names_of(runs)
    parts = [
        tag("h1", TITLE),
        _card(found),
        figures((_title(one), _intervals(one, names)) for one in found),
        section("All comparisons", *(_table(one, names) for one in found)),
        _settings(runs, names),
    ]
    return document(TITLE, parts)


def _title(one: Replication) -> str:
    return f"{named(one.metric)}: tuned minus {one.against}"


def _card(found: Sequence[Replication]) -> str:
    """What the runs say of each other, in a line for each comparison."""
    lines = listed(
        f"{text(named(one.metric))}, tuned against {text(one.against)}: {tag('strong', text(one.outcome))}"
        f" ({text(', '.join('not compared' if run is None else str(run['verdict']) for run in one.runs))})"
        for one in found
    )
    return tag("div", lines or tag("p", "No run compares a tuned model with anything."), class_="verdict")


def _intervals(one: Replication, names: Sequence[str]) -> str:
    rows = [
        Interval(name, run["difference"], run["low"], run["high"], run["verdict"]) if run else Interval(name, None)
        for name, run in zip(names, one.runs, strict=True)
    ]
    return intervals(_title(one), rows)


def _table(one: Replication, names: Sequence[str]) -> str:
    """A row for each run; from the second on with the change against the first."""
    rows = []
    for name, run, change in zip(names, one.runs, [None, *one.changes], strict=True):
        moved = ["–", "–"] if change is None else [f"{change.shared:,}", _moved(change.estimate)]
        rows.append([text(name), *_figures(Traced(run, f"{name}/{_place(one)}")), *moved])
    head = ["run", "verdict", "difference", "95 % interval", "questions", "shared with the first", "change on those"]
    return table(_title(one), head, rows, numeric=2)


def _place(one: Replication) -> str:
    """Where a run's comparison stands in its folder."""
    within = "ragas_score_compared" if one.metric == "ragas_score" else f"metrics/{one.metric}"
    arm = "" if within.startswith("metrics") and one.against == "base" else f"/tuned_against_{one.against}"
    return f"comparison.json#/{within}{arm}"


def _figures(found: Traced) -> list[str]:
    if found.value is None:
        return ["not compared", "–", "–", "–"]
    return [words(found["verdict"]), number(found["difference"], sign=True), interval(found), count(found["n"])]


def _moved(change: Estimate | None) -> str:
    if change is None:
        return "–"
    if change.low is None or change.high is None:
        return f"{change.value:+.3f}"
    return f"{change.value:+.3f} [{change.low:+.3f}, {change.high:+.3f}]"


def _settings(runs: Sequence[SavedRun], names: Sequence[str]) -> str:
    """Settings, documents and versions in which the runs differ; of what is equal, nothing."""
    known = [_known(run.facts) for run in runs]
    rows = [
        [text(name), *(text(each.get(name, "–")) for each in known)]
        for name in dict.fromkeys(name for each in known for name in each)
        if len({each.get(name) for each in known}) > 1
    ]
    same = tag("p", "The runs have the same settings, documents and versions.")
    return section(
        "In what the runs differ",
        table("Settings", head := ["setting", *names], rows, len(head), breaks=True) if rows else same,
    )


def _known(facts: Mapping[str, Any]) -> dict[str, str]:
    """What `run.json` says of a run, flat."""
    found = {name.replace("_", " "): str(value) for name, value in facts["settings"].items()}
    found |= {f"sha256 of {name}": str(digest) for name, digest in facts["documents"].items()}
    found |= {f"{model} served as": ", ".join(names) for model, names in facts["models_served"].items()}
    return {**found, "service": str(facts["service"]), "minirag": str(facts["minirag"])}
