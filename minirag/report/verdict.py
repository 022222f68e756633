"""The card on top, which answers the report's question, and below it the differences and means it stands on."""

from collections.abc import Mapping
from typing import Any

from minirag.report.charts import differences
from minirag.report.markup import bullets, figures, interval, money, number, spaced, table, tag, text
from minirag.report.results import Results
from minirag.statistics.power import comparisons

DESCRIBED = {"teacher": "teacher", "base": "untrained model", "control": "untrained model with a better prompt"}


def verdict(results: Results) -> str:
    """Return the card, a chart of differences for each metric, and the table of means."""
    settings = results.facts["settings"]
    models = ", ".join(f"{role} {text(settings[role])}" for role in ("teacher", "student", "judge"))
    parts = [_against(results, arm) for arm in results.against]
    if not parts:
        parts = [tag("p", tag("strong", text(results.comparison["verdict"])))]
    kind = f"verdict {_colour(results)}".strip()
    card = tag("div", *parts, _costs(results.costs), tag("p", models, class_="soft"), class_=kind)
    charts = []
    for metric in results.metrics if results.against else ():
        rows = {arm: row for name, arm, row in comparisons(results.comparison) if name == metric}
        title = f"{spaced(metric)}: tuned minus …"
        charts.append((title, differences(title, {arm: rows[arm] for arm in results.against})))
    return card + (figures(charts) if charts else "") + _means(results)


def _colour(results: Results) -> str:
    """Return `worse` if any metric is worse than in another arm, `better` if all metrics are better than untrained."""
    rows = [row for row in comparisons(results.comparison) if row[0] != "ragas_score"] if results.against else []
    if any(one["verdict"] == "worse" for _, _, one in rows):
        return "worse"
    untrained = [one["verdict"] for _, arm, one in rows if arm == "base"]
    return "better" if untrained and set(untrained) == {"better"} else ""


def _against(results: Results, arm: str) -> str:
    """Return the comparison with one arm: a line for each metric, and one for all metrics together."""
    rows = [(metric, row) for metric, other, row in comparisons(results.comparison) if other == arm]
    shown = rows[:1] if len(results.metrics) == 1 else rows
    return tag("h2", f"The tuned model against the {DESCRIBED[arm]}") + bullets(_line(*row) for row in shown)


def _line(metric: str, row: Mapping[str, Any]) -> str:
    why = f" ({text(row['why'])})" if row["why"] else ""
    start = f"{text(spaced(metric))} {tag('strong', text(row['verdict']))}{why}"
    if row["difference"] is None:
        return start
    detectable = f", detectable difference {number(row['detectable'])}" if row["detectable"] else ""
    estimate = f"{number(row['difference'], '+')} {interval(row['low'], row['high'])}"
    return f"{start}: {estimate}, {row['n']:,} questions{detectable}"


def _costs(costs: Mapping[str, Any]) -> str:
    each = ", ".join(f"{arm} {money(usd)}" for arm, usd in costs["usd_per_question"].items())
    return tag("p", f"One answer costs: {each}. " if each else "", text(costs["payback"]))


def _means(results: Results) -> str:
    """Return each arm's mean in every metric, over how many questions, and how many are unscored."""
    rows = [
        [text(spaced(metric)), *(_mean(one["arms"][arm]) for arm in results.arms)]
        for metric, one in results.comparison["metrics"].items()
    ]
    together = results.comparison["ragas_score"]
    rows.append(["ragas score (harmonic mean)", *(number(together[arm]) for arm in results.arms)])
    return table("Means over the scored questions", ["metric", *results.arms], rows)


def _mean(arm: Mapping[str, Any]) -> str:
    unscored = f", {arm['n_unscored']:,} unscored" if arm["n_unscored"] else ""
    return f"{number(arm['mean'])} " + tag("small", f"n {arm['n']:,}{unscored}")
