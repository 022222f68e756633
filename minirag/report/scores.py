"""The scores as pictures: every question of both arms side by side, and how the scores of each arm spread."""

from minirag.report.charts.distributions import Arm, distributions
from minirag.report.charts.paired import Pair, paired
from minirag.report.layout import figures, named, section
from minirag.report.markup import tag
from minirag.report.results import Results


def scores(results: Results) -> str:
    """Two parts: the pairs of every metric, then the distributions."""
    metrics = list(results.comparison["metrics"])
    pairs = [
        (f"{named(metric)}: {arm} and tuned", _paired(results, metric, arm))
        for metric in metrics
        for arm in results.against
        if arm != "control"
    ]
    spread = [(named(metric), _distributions(results, metric)) for metric in metrics]
    told = tag("p", "A stick a question, from one model's score to the other's.", class_="soft")
    return (section("Every question", told, figures(pairs)) if pairs else "") + section(
        "How the scores spread", figures(spread)
    )


def _paired(results: Results, metric: str, arm: str) -> str:
    first, second = results.values[arm, metric], results.values["tuned", metric]
    pairs = [Pair(question, value, second[question]) for question, value in first.items()]
    return paired(f"{named(metric)} of {arm} and tuned, question by question", pairs, (arm, "tuned"))


def _distributions(results: Results, metric: str) -> str:
    found = results.comparison["metrics"][metric]["arms"]
    arms = [Arm(arm, list(results.values[arm, metric].values()), found[arm]["mean"]) for arm in results.arms]
    return distributions(f"{named(metric)}: distribution of each arm's scores", arms)
