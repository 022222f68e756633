"""How steady the judge is, where answers were judged several times, and what a person says of its verdicts."""

from minirag.report.charts.judge_rounds import judge_rounds
from minirag.report.layout import figures, listed, named, section
from minirag.report.markup import tag, text
from minirag.report.results import Results
from minirag.report.traced import words


def noise(results: Results) -> str:
    """A chart of each metric's rounds, and both subjects in words."""
    rounds = max((row.round for row in results.scores), default=0) + 1
    told = results.compared["in_words"]
    judged = listed(map(words, told["the judge's noise"])) if "the judge's noise" in told.value else ""
    labels = listed(map(words, told["a person's labels"])) if "a person's labels" in told.value else ""
    parts = [judged or tag("p", text(_once(rounds))), _charts(results) if rounds > 1 else ""]
    if labels:
        parts += [tag("h3", "What a person says"), labels]
    return section("The judge's noise", *parts)


def _once(rounds: int) -> str:
    if rounds > 1:
        return f"{rounds} rounds, and nothing was scored in two of them in both models."
    return "Every answer was judged once, so nothing is known of it; --rounds 3 would tell."


def _charts(results: Results) -> str:
    arm = "tuned" if "tuned" in results.arms else results.arms[0]
    ids = [question.id for question in results.questions]
    drawn = []
    for metric in results.comparison["metrics"]:
        columns = results.scores.by_round(arm, metric, ids)
        questions = [(id, [values[i] for values in columns]) for i, id in enumerate(ids)]
        drawn.append((f"{named(metric)}, {arm}", judge_rounds(f"{named(metric)} in each round", questions, arm)))
    return figures(drawn)
