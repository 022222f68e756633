"""The other sections of the report, in reading order."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minirag.chunker import Chunk
from minirag.report.charts import loss_curve
from minirag.report.markup import bullets, figures, money, provenance, section, spaced, table, tag, text
from minirag.report.results import Results
from minirag.report.verdict import most_moved, scores_chart

CAUTION = {
    "warnings": "The models",
    "several comparisons": "Several comparisons",
    "large losses": "Large losses",
    "the teacher's lead": "How much of the teacher's lead was closed",
    "unscored answers": "What unscored answers could hide",
    "flagged questions": "Without the flagged questions",
    "where the change comes from": "Where the change comes from",
}
"""Headings of the subjects in `comparison.json`'s `in_words`; the judge's noise and labels have their own section."""
TOKENS = ("calls", "failed", "input_tokens", "cached_tokens", "output_tokens", "training_tokens")


def every_question(results: Results) -> str:
    """Return the charts of every question's scores that do not stand on top; those of equal scores as sentences."""
    pairs = [(metric, arm) for metric in results.metrics for arm in results.against if arm != "control"]
    charts = [scores_chart(results, *pair) for pair in pairs if pair != most_moved(results)]
    drawn = [(title, chart) for title, chart in charts if chart.startswith("<svg")]
    sentences = [tag("p", f"{text(title)}: {chart}") for title, chart in charts if not chart.startswith("<svg")]
    if not charts:
        return ""
    explained = tag("p", "Each stick is a question, from one model's score to the other's.", class_="soft")
    return section("Every question", explained if drawn else "", figures(drawn) if drawn else "", *sentences)


def costs(results: Results) -> str:
    """Return when training pays for itself, and the bill by stage, arm and model."""
    bill = results.costs
    rows = [
        [text(line["stage"]), text(line["arm"]), text(line["model"])]
        + [f"{line[name]:,}" for name in TOKENS]
        + [money(line["usd"])]
        for line in bill["lines"]
    ]
    rows.append(["total", "", "", *[""] * len(TOKENS), money(bill["total_usd"])])
    head = ["stage", "arm", "model", *(name.removesuffix("_tokens") for name in TOKENS), "US dollars"]
    counted = f"Tokens as the service counted them; prices of {text(bill['prices_of'])}."
    if saved := bill.get("cache_saved_usd"):
        counted += f" Prompt caches saved {money(saved)} of it."
    note = tag("p", counted, class_="soft")
    lines = table("The bill, in tokens and US dollars", head, rows, text_columns=3)
    return section("Money", tag("p", text(bill["payback"])), lines, note, _elsewhere(bill.get("elsewhere", ())))


def _elsewhere(trios: Sequence[Mapping[str, Any]]) -> str:
    """Return what the same tokens would cost with hosted models, if these models cost nothing."""
    if not trios:
        return ""
    rows = []
    for trio in trios:
        each, questions = trio["usd_per_question"], trio["break_even_questions"]
        amounts = [None if (usd := each.get(arm)) is None else 1000 * usd for arm in ("teacher", "base", "tuned")]
        break_even = f"{questions:,.0f}" if isinstance(questions, float) else str(questions or "–")
        names = f"{trio['teacher']}, {trio['student']}"
        rows.append([text(names), *map(money, amounts), money(trio["training_usd"]), break_even])
    head = ["models", "teacher", "untrained", "tuned", "training", "break-even, questions"]
    lines = table("The same tokens elsewhere, in US dollars for 1,000 questions", head, rows)
    return lines + bullets(text(" ".join(trio["in_words"])) for trio in trios)


def training(results: Results) -> str:
    """Return the loss curve of the job, or a sentence if nothing was trained here."""
    if results.losses is None:
        tuned = results.facts["settings"].get("tuned")
        return section(
            "Training", tag("p", text(f"{tuned} was trained elsewhere." if tuned else "No job was started."))
        )
    title = "Training and validation loss" if results.losses["validation"] else "Training loss"
    return section("Training", figures([(title, loss_curve(title, results.losses))]))


def noise(results: Results) -> str:
    """Return how steady the judge is, if answers were judged several times, and how a person's labels agree."""
    in_words = results.comparison["in_words"]
    judged = bullets(map(text, in_words.get("the judge's noise", ())))
    if not judged and max((row.round for row in results.scores), default=0):
        judged = tag("p", "No answer of both models was scored in two rounds.")
    elif not judged:
        judged = tag(
            "p", "Every answer was judged once, so the judge's noise is unknown; use --rounds 3 to measure it."
        )
    labels = bullets(map(text, in_words.get("a person's labels", ())))
    return section("The judge's noise", judged, tag("h3", "A person's labels") + labels if labels else "")


def caution(results: Results) -> str:
    """Return what makes the verdict less certain: in words, by subject, and why answers are unscored."""
    in_words, parts = results.comparison["in_words"], []
    for subject, title in CAUTION.items():
        if lines := bullets(map(text, in_words.get(subject, ()))):
            parts += [tag("h3", text(title)), lines]
    reasons = [
        f"{text(spaced(metric))}, {text(arm)}: {times:,} × {text(reason)}"
        for metric, result in results.comparison["metrics"].items()
        for arm, one in result["arms"].items()
        for reason, times in one["unscored"].items()
    ]
    if reasons:
        parts += [tag("h3", "Unscored answers, which are in no mean"), bullets(reasons)]
    counts = results.comparison["questions"]
    flagged = f"{counts['flagged']:,} of {counts['n']:,} eval questions are flagged; the scores include them."
    parts.append(tag("p", flagged if counts["flagged"] else "No eval question is flagged."))
    return section("Reasons for caution", *parts)


def passages(results: Results) -> str:
    """Return every passage that was given for an eval question once, in the order of the documents."""
    chunks: dict[str, Chunk] = {}
    question_ids: dict[str, set[str]] = {}
    for (_, question_id), answer in results.answers.items():
        for hit in answer.hits:
            chunks[hit.chunk.id] = hit.chunk
            question_ids.setdefault(hit.chunk.id, set()).add(question_id)
    parts = []
    for chunk in sorted(chunks.values(), key=lambda chunk: (chunk.source, chunk.start)):
        count = len(question_ids[chunk.id])
        summary = f"{Path(chunk.source).name}, page {chunk.page}, for {count} question{'' if count == 1 else 's'}"
        quoted = tag("blockquote", text(chunk.text), id=f"passage-{chunk.id}", dir="auto")
        parts.append(tag("details", tag("summary", text(summary)), quoted))
    return section("Passages", *parts)


def about(results: Results) -> str:
    """Return settings, documents, models served and the version."""
    rows = [[text(name), text(value)] for name, value in provenance(results.facts).items()]
    return section("About this run", table("Settings and sources", ["setting", "value"], rows, 2, "wide breaks"))
