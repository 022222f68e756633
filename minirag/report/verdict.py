"""The top of the report: one sentence that answers its question, the card with the numbers, and two pictures."""

from collections.abc import Mapping
from typing import Any

from minirag.report.charts import differences, paired
from minirag.report.markup import figures, interval, money, number, spaced, table, tag, text
from minirag.report.results import Results
from minirag.statistics.power import comparisons
from minirag.text import counted

DESCRIBED = {"teacher": "the teacher", "base": "the untrained model", "control": "untrained, with a better prompt"}


def verdict(results: Results) -> str:
    """Return the answer, the card, the intervals beside the scores of the metric that moved most, and the means."""
    comparison = results.comparison
    answer = tag("p", text(comparison.get("answer") or comparison["verdict"]), class_="answer")
    settings = results.facts["settings"]
    models = ", ".join(f"{role} {text(settings[role])}" for role in ("teacher", "student", "judge"))
    card = tag("div", _numbers(results), _costs(results.costs), tag("p", models, class_="soft"), class_="verdict")
    return answer + card + _pictures(results) + _means(results)


def _numbers(results: Results) -> str:
    """Return the table of verdicts: a row a metric, a column for each arm that the tuned model is compared with."""
    if not results.against:
        return ""
    primary = (results.comparison["primary"]["metric"], results.comparison["primary"]["against"])
    rows = {(metric, arm): row for metric, arm, row in comparisons(results.comparison)}
    cells = {key: _cell(row, is_primary=key == primary) for key, row in rows.items()}
    lines = [[text(spaced(metric)), *(cells[metric, arm] for arm in results.against)] for metric in results.metrics]
    head = ["the tuned model against", *(DESCRIBED[arm] for arm in results.against)]
    return table("Differences with 95 % intervals", head, lines, len(head))


def _cell(row: Mapping[str, Any], *, is_primary: bool) -> str:
    """Return a verdict with its difference and interval, the number of pairs, and the reason behind it."""
    outcome = tag("strong", text(row["verdict"]), class_={"better": "yes", "worse": "no"}.get(row["verdict"]))
    pairs = f" {counted(row['n'], 'pair')}{', primary' if is_primary else ''}"
    notes = tag("small", text(pairs + (f": {row['why']}" if row["why"] else "")))
    if row["difference"] is None:
        return outcome + notes
    return f"{outcome} {number(row['difference'], '+')} {interval(row['low'], row['high'])}{notes}"


def _costs(costs: Mapping[str, Any]) -> str:
    each = ", ".join(f"{arm} {money(usd)}" for arm, usd in costs["usd_per_question"].items())
    return tag("p", f"One answer costs: {each}. " if each else "", text(costs["payback"]))


def _pictures(results: Results) -> str:
    """Return the intervals of each metric, and every question's scores in the metric that moved most."""
    if not results.against:
        return ""
    rows = {(metric, arm): row for metric, arm, row in comparisons(results.comparison)}
    intervals = []
    for metric in results.metrics:
        title = f"{spaced(metric)}: tuned minus …"
        chart = differences(title, {arm: rows[metric, arm] for arm in results.against})
        intervals.append(tag("figure", tag("figcaption", text(title)), chart))
    moved = most_moved(results)
    if moved is None:
        return tag("div", *intervals, class_="charts")
    title, chart = scores_chart(results, *moved)
    return tag("div", tag("div", *intervals), figures([(title, chart)]), class_="charts")


def most_moved(results: Results) -> tuple[str, str] | None:
    """Return the metric in which the tuned model differs most from the untrained one, and "base"; None if in none."""
    sizes = {metric: abs(results.comparison["metrics"][metric]["difference"] or 0) for metric in results.metrics}
    metric = max(sizes, key=lambda name: sizes[name], default=None)
    return (metric, "base") if metric and "base" in results.against and sizes[metric] else None


def scores_chart(results: Results, metric: str, arm: str) -> tuple[str, str]:
    """Return the title and the chart of every question's scores in one arm and in the tuned model."""
    title = f"{spaced(metric)}: {arm} and tuned"
    return title, paired(title, results.values[arm, metric], results.values["tuned", metric], (arm, "tuned"))


def _means(results: Results) -> str:
    """Return each arm's mean in every metric, over how many questions, and how many are unscored."""
    rows = [
        [text(spaced(metric)), *(_mean(one["arms"][arm]) for arm in results.arms)]
        for metric, one in results.comparison["metrics"].items()
    ]
    together = results.comparison["ragas_score"]
    rows.append(["ragas score (harmonic mean)", *(number(together[arm]) for arm in results.arms)])
    caption = "Means over each model's scored questions"
    if any(one["n_unscored"] for _, _, one in comparisons(results.comparison)):
        caption += "; the differences above are over those that both models have scores for"
    return table(caption, ["metric", *results.arms], rows)


def _mean(arm: Mapping[str, Any]) -> str:
    unscored = f", {arm['n_unscored']:,} unscored" if arm["n_unscored"] else ""
    return f"{number(arm['mean'])} " + tag("small", f"n {arm['n']:,}{unscored}")
