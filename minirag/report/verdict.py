"""The card on top: what was found, how sure it is, what so many questions can see, and what it is worth in money."""

from minirag.report.charts.intervals import Interval, intervals
from minirag.report.layout import figures, listed, named, table
from minirag.report.markup import tag, text
from minirag.report.results import Results, pair
from minirag.report.traced import Traced, count, interval, money, number, words


def verdict(results: Results) -> str:
    """The card, and below it every difference with its interval."""
    compared, settings = results.compared, results.facts["settings"]
    roles = ", ".join(f"{role} {text(settings[role])}" for role in ("teacher", "student", "judge"))
    if not results.against:
        told = tag("p", tag("strong", words(compared["verdict"])))
        return tag("div", told, _money(results), tag("p", roles, class_="soft"), class_="verdict")
    pairs = [_pair(results, arm) for arm in sorted(results.against, key=["teacher", "base", "control"].index)]
    card = tag(
        "div", *pairs, _money(results), tag("p", roles, class_="soft"), class_=f"verdict {_kind(results)}".strip()
    )
    drawn = [
        (f"{named(name)}: tuned minus …", _intervals(results, name, metric))
        for name, metric in compared["metrics"].items()
    ]
    return card + figures(drawn) + _means(results)


def _kind(results: Results) -> str:
    """The card's colour: of a loss where there is any, of a gain where all metrics are better than untrained."""
    metrics = results.compared["metrics"]
    found = {arm: {pair(one, arm).value["verdict"] for _, one in metrics.items()} for arm in results.against}
    if any("worse" in verdicts for verdicts in found.values()):
        return "worse"
    return "better" if found["base"] == {"better"} else ""


def _pair(results: Results, arm: str) -> str:
    """What stands in the card on one arm: a line for each metric, and one for all together."""
    compared = results.compared
    each = [(named(name), pair(metric, arm)) for name, metric in compared["metrics"].items()]
    if len(each) > 1:
        each.append(("ragas score", compared["ragas_score_compared"][f"tuned_against_{arm}"]))
    return tag("h2", f"The tuned model against the {text(_described(arm))}") + listed(_line(*one) for one in each)


def _described(arm: str) -> str:
    return {"base": "untrained model", "teacher": "teacher", "control": "untrained model with a better prompt"}[arm]


def _line(name: str, found: Traced) -> str:
    why = f" ({text(found.value['why'])})" if found.value["why"] else ""
    told = f"{text(name)} {tag('strong', words(found['verdict']))}{why}"
    if found.value["difference"] is None:
        return told
    seen = f"{count(found['n'])} questions"
    if found.value["detectable"]:
        seen += f", which would show a difference from {number(found['detectable'])} on"
    return f"{told}: {number(found['difference'], sign=True)} {interval(found)}, {seen}"


def _money(results: Results) -> str:
    costs = results.costs
    each = ", ".join(f"{arm} {money(usd)}" for arm, usd in costs["usd_per_question"].items())
    return tag("p", f"One answer costs: {each}. " if each else "", words(costs["payback"]))


def _intervals(results: Results, name: str, metric: Traced) -> str:
    rows = []
    for arm in results.against:
        found = pair(metric, arm).value
        rows.append(Interval(arm, found["difference"], found["low"], found["high"], found["verdict"]))
    return intervals(f"{named(name)}: tuned against each other arm", rows)


def _means(results: Results) -> str:
    """The arms' means in every metric."""
    rows = [
        [text(named(name)), *(_mean(metric["arms"][arm]) for arm in results.arms)]
        for name, metric in results.compared["metrics"].items()
    ]
    together = results.compared["ragas_score"]
    rows.append(["ragas score (harmonic mean)", *(number(together[arm]) for arm in results.arms)])
    return table("Means over the scored questions", ["metric", *results.arms], rows)


def _mean(arm: Traced) -> str:
    unscored = f" ({count(arm['n_unscored'])} unscored)" if arm.value["n_unscored"] else ""
    return number(arm["mean"]) + unscored
