"""The parts of the report that follow from `comparison.json`, `costs.json` and `run.json` alone."""

import math
from collections.abc import Mapping
from typing import Any

from minirag.report.markup import bullets, section, table, tag, text
from minirag.statistics.power import comparisons, figures_of, number, spaced
from minirag.text import counted, dollars

DESCRIBED = {"teacher": "the teacher", "base": "the untrained model", "control": "untrained, with a better prompt"}
"""The arms that the tuned model is compared with, the most telling first."""
TOKENS = ("calls", "failed", "input_tokens", "cached_tokens", "output_tokens", "training_tokens")


def answer(comparison: Mapping[str, Any], costs: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Return the sentence that answers the title's question, and the card with the numbers."""
    models = ", ".join(f"{role} {text(settings[role])}" for role in ("teacher", "student", "judge"))
    each = ", ".join(f"{arm} {text(dollars(usd))}" for arm, usd in costs["usd_per_question"].items())
    price = tag("p", f"One answer costs: {each}. " if each else "", text(costs["payback"]))
    card = tag("div", _verdicts(comparison), price, tag("p", models, class_="soft"), class_="verdict")
    return tag("p", text(comparison["answer"]), class_="answer") + card


def _verdicts(comparison: Mapping[str, Any]) -> str:
    """Return the verdicts: a row a metric, a column for each arm that the tuned model is compared with."""
    if "tuned" not in comparison["ragas_score"]:
        return ""
    primary = (comparison["primary"]["metric"], comparison["primary"]["against"])
    cells: dict[str, dict[str, str]] = {}
    for metric, arm, row in comparisons(comparison):
        verdict = tag("strong", text(row["verdict"]), class_={"better": "yes", "worse": "no"}.get(row["verdict"]))
        pairs = f"{counted(row['n'], 'pair')}{', primary' if (metric, arm) == primary else ''}"
        notes = tag("small", text(f"{pairs}: {row['why']}" if row["why"] else pairs))
        cells.setdefault(metric, {})[arm] = f"{verdict} {tag('span', figures_of(row))} {notes}"
    arms = [arm for arm in DESCRIBED if arm in comparison["ragas_score"]]
    rows = [[text(spaced(metric)), *(row[arm] for arm in arms)] for metric, row in cells.items()]
    head = ["the tuned model against", *(DESCRIBED[arm] for arm in arms)]
    return table("Differences with 95 % intervals", head, rows, len(head))


def means(comparison: Mapping[str, Any]) -> str:
    """Return each arm's mean in every metric, over how many questions, and how many are unscored."""
    rows = []
    for metric, one in comparison["metrics"].items():
        cells = []
        for arm in one["arms"].values():
            count = f"n {arm['n']:,}" + (f", {arm['n_unscored']:,} unscored" if arm["n_unscored"] else "")
            cells.append(f"{number(arm['mean'])} {tag('small', count)}")
        rows.append([text(spaced(metric)), *cells])
    rows.append(["ragas score (harmonic mean)", *map(number, comparison["ragas_score"].values())])
    caption = "Means over each model's scored questions"
    arms = comparison["ragas_score"]
    if "tuned" in arms and any(one["n_unscored"] for _, _, one in comparisons(comparison)):
        caption += "; the differences above are over those that both models have scores for"
    return table(caption, ["metric", *arms], rows)


def money_section(costs: Mapping[str, Any]) -> str:
    """Return the bill by stage, arm and model, and what the same tokens cost elsewhere."""
    rows = [
        [text(line["stage"]), text(line["arm"]), text(line["model"])]
        + [f"{line[name]:,}" for name in TOKENS]
        + [text(dollars(line["usd"]))]
        for line in costs["lines"]
    ]
    rows.append(["total", "", "", *[""] * len(TOKENS), text(dollars(costs["total_usd"]))])
    head = ["stage", "arm", "model", *(name.removesuffix("_tokens") for name in TOKENS), "US dollars"]
    note = f"Tokens as the service counted them; prices of {text(costs['prices_of'])}."
    if costs["cache_saved_usd"]:
        note += f" Prompt caches saved {text(dollars(costs['cache_saved_usd']))} of it."
    parts = [table("The bill, in tokens and US dollars", head, rows, text_columns=3), tag("p", note, class_="soft")]
    if costs["elsewhere"]:
        head = ["models", "teacher", "untrained", "tuned", "training", "break-even, questions"]
        rows = []
        for trio in costs["elsewhere"]:
            each, questions = trio["usd_per_question"], trio["break_even_questions"]
            amounts = [None if (usd := each.get(arm)) is None else 1000 * usd for arm in ("teacher", "base", "tuned")]
            names = text(f"{trio['teacher']}, {trio['student']}")
            break_even = f"{math.ceil(questions):,}" if isinstance(questions, float) else str(questions or "–")
            rows.append([names, *(text(dollars(usd)) for usd in [*amounts, trio["training_usd"]]), break_even])
        parts.append(table("The same tokens elsewhere, in US dollars for 1,000 questions", head, rows))
        parts.append(bullets(text(" ".join(trio["in_words"])) for trio in costs["elsewhere"]))
    return section("Money", *parts)


def caution(comparison: Mapping[str, Any]) -> str:
    """Return what makes the verdict less certain: in words, by subject, and why answers are unscored."""
    subjects, parts = dict(comparison["in_words"]), []
    subjects["why answers are unscored, and in no mean"] = [
        f"{spaced(metric)}, {arm}: {times:,} × {reason}"
        for metric, result in comparison["metrics"].items()
        for arm, one in result["arms"].items()
        for reason, times in one["unscored"].items()
    ]
    for subject, sentences in subjects.items():
        if sentences:
            parts += [tag("h3", text(subject[0].upper() + subject[1:])), bullets(map(text, sentences))]
    counts = comparison["questions"]
    flagged = f"{counts['flagged']:,} of {counts['n']:,} eval questions are flagged; the scores include them."
    parts.append(tag("p", flagged if counts["flagged"] else "No eval question is flagged."))
    return section("Reasons for caution", *parts)


def about(facts: Mapping[str, Any]) -> str:
    """Return settings, documents, models served and the version."""
    rows = {spaced(name): value for name, value in facts["settings"].items() if value is not None}
    rows |= {f"sha256 of {name}": digest for name, digest in facts["documents"].items()}
    rows |= {f"{model} served as": names for model, names in facts["models_served"].items()}
    rows |= {"service": facts["service"], "minirag": facts["minirag"]}
    cells = [
        [text(name), text(", ".join(value) if isinstance(value, list | tuple) else value)]
        for name, value in rows.items()
    ]
    return section("About this run", table("Settings and sources", ["setting", "value"], cells, 2, "wide breaks"))
