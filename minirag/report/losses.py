"""The examples that people decide from: the questions in which the tuned model lost most against the teacher."""

from minirag.questions import Question
from minirag.report.markup import bullets, number, section, spaced, tag, text
from minirag.report.results import Results

MOST = 5


def worst_losses(results: Results) -> str:
    """Return up to five questions with both answers and the statements of the tuned model that nothing supports."""
    if not results.against:
        return ""
    losses = {question.id: _loss(results, question) for question in results.questions}
    worst = [q for q in sorted(results.questions, key=lambda q: losses[q.id]) if losses[q.id] < 0][:MOST]
    if not worst:
        return section("Where the tuned model lost most", tag("p", "It scored below the teacher in no question."))
    return section("Where the tuned model lost most", *(_example(results, question) for question in worst))


def _loss(results: Results, question: Question) -> float:
    """Return the sum over the metrics of tuned minus teacher; an unscored pair counts as no difference."""
    differences = (results.difference(question.id, metric, "teacher") for metric in results.metrics)
    return sum(difference for difference in differences if difference is not None)


def _example(results: Results, question: Question) -> str:
    differences = (
        f"{text(spaced(metric))} {number(results.difference(question.id, metric, 'teacher'), '+')}"
        for metric in results.metrics
    )
    link = tag("a", text(question.text), href=f"#question-{question.id}", dir="auto")
    parts = [tag("h3", link), tag("p", "tuned minus teacher: ", ", ".join(differences), class_="soft")]
    for arm in ("teacher", "tuned"):
        answer = results.answers.get((arm, question.id))
        if answer is not None:
            parts += [tag("small", arm), tag("blockquote", text(answer.text), dir="auto")]
    unsupported = {
        str(item["statement"]): str(item.get("reason") or "")
        for row in results.scores_of.get(("tuned", question.id), ())
        for item in row.score.evidence
        if item.get("supported") is False and "statement" in item
    }
    if unsupported:
        reasons = (tag("bdi", text(one)) + (f" ({text(why)})" if why else "") for one, why in unsupported.items())
        parts += [tag("small", "not supported by the passages", class_="no"), bullets(reasons)]
    return tag("article", *parts)
