"""What speaks for caution: every comparison with all that tells how far to trust it, and what is odd in the inputs."""

from collections.abc import Iterator

from minirag.questions import Question, doubts
from minirag.report.layout import listed, named, section, table
from minirag.report.markup import tag, text
from minirag.report.results import Results, pair
from minirag.report.traced import Traced, count, interval, number, p_value, words

SUBJECTS = {
    "warnings": "The models",
    "several metrics": "Several metrics",
    "the teacher's lead": "How much of the teacher's lead was closed",
    "unscored answers": "What unscored answers could hide",
    "flagged questions": "Without the flagged questions",
    "where the change comes from": "Where the change comes from",
}


def caution(results: Results) -> str:
    """Words by subject, the table of all comparisons, unscored answers, flagged questions, text to look at."""
    return section(
        "Reasons for caution",
        *_said(results.compared["in_words"]),
        _comparisons(results),
        _unscored(results),
        _flagged(results),
        _suspicious(results),
    )


def _said(told: Traced) -> Iterator[str]:
    for subject, title in SUBJECTS.items():
        if lines := listed(map(words, told[subject])) if subject in told.value else "":
            yield tag("h3", text(title)) + lines


def _comparisons(results: Results) -> str:
    compared = results.compared
    found = [
        (named(name), arm, pair(metric, arm), p_value(metric["p_holm"]) if arm == "base" else "–")
        for name, metric in compared["metrics"].items()
        for arm in results.against
    ]
    together = compared["ragas_score_compared"]
    found += [("ragas score", arm, together[f"tuned_against_{arm}"], "–") for arm in results.against]
    rows = [
        [
            text(name),
            arm,
            words(one["verdict"]),
            number(one["difference"], sign=True),
            interval(one),
            count(one["n"]),
            count(one["n_unscored"]),
            p_value(one["p_value"]),
            p_value(one["p_permutation"]),
            corrected,
            number(one["detectable"]),
            count(one["n_needed"]),
            f"{number(one['worst'], sign=True)} to {number(one['best'], sign=True)}",
        ]
        for name, arm, one, corrected in found
    ]
    head = ["metric", "tuned against", "verdict", "difference", "95 % interval", "n", "unscored", "p (t)", "p (flips)"]
    head += ["p (Holm)", "detectable", "n needed", "if all were scored"]
    return table("All comparisons", head, rows, numeric=3) if rows else ""


def _unscored(results: Results) -> str:
    """Why answers have no score; they are in no mean."""
    reasons = listed(
        f"{text(named(name))}, {arm}: {count(times)} × {text(reason)}"
        for name, metric in results.compared["metrics"].items()
        for arm, found in metric["arms"].items()
        for reason, times in found["unscored"].items()
    )
    return tag("h3", "Not scored, and in no mean") + reasons if reasons else ""


def _flagged(results: Results) -> str:
    """The questions that something speaks against, and what it is; the comparison without them is in words above."""
    doubted = [question for question in results.questions if doubts(question)]
    if not doubted:
        return tag("p", "Nothing speaks against any eval question.")
    asked = results.compared["questions"]
    told = f"{count(asked['flagged'])} of {count(asked['n'])} eval questions are flagged; the scores include them."
    return tag("h3", "Questions on trial") + tag("p", told) + listed(map(_doubted, doubted))


def _doubted(question: Question) -> str:
    link = tag("a", text(question.id), href=f"#question-{question.id}")
    return f"{link} {text(question.text)} {tag('small', text('; '.join(doubts(question))))}"


def _suspicious(results: Results) -> str:
    """What in the documents is hidden from people or told to a model, if anything."""
    found = results.facts["pages"]["suspicious"]
    if not found:
        return ""
    rows = [[text(item[name]) for name in ("source", "page", "reason", "excerpt")] for item in found]
    told = tag("p", "Hidden from people, or told to a model. It was read as data, like all the rest.")
    head = ["document", "page", "reason", "text"]
    return tag("h3", "Text to look at") + told + table("Text to look at", head, rows, numeric=4)
