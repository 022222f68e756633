"""`minirag plan DOC…` (or `run --dry-run`): calls, tokens and money before a request is sent.

The run itself is rehearsed over the real documents, with a service that invents replies: once with short, once with
usual and once with long ones. So the calls, windows, refine steps and training examples are those that a run will have.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from minirag.cli.connect import address_of
from minirag.cli.settings import check_pages, check_settings, completed, date_warnings, settings_of
from minirag.cli.terminal import number, say, show, show_json, table
from minirag.corpus import Settings
from minirag.costs import Line, Prices, bill, dollars, load_prices, total, training_cost
from minirag.costs.rehearsal import Rehearsal
from minirag.documents import Pages, load
from minirag.metrics.comparison import FEWEST_CLUSTERS
from minirag.pipeline import Run
from minirag.statistics.power import plan_detectable
from minirag.training import FEWEST_EXAMPLES, default_epochs

LENGTHS = {"short": 0.5, "usual": 1.0, "long": 2.0}
"""Length of the invented answers, as a multiple of the usual one."""
SPREAD = 0.26
"""Assumed standard deviation of a question's difference in faithfulness between two arms: that of the article."""
CORRELATION = 0.3
"""Assumed correlation between the differences of two questions about one page."""


def main(options: Mapping[str, Any]) -> int:
    """Rehearse the run and print what it would take; nothing is sent, but documents may be downloaded."""
    options = completed(options)
    settings, offline = settings_of(options, options.get("out", Path()))
    check_settings(settings, tuned_elsewhere="tuned_base_url" in options)
    if offline:
        options = {**options, "offline": True}
    prices, pages = load_prices(settings.prices), load(*settings.documents)
    check_pages(settings, pages)
    bills: dict[str, list[Line]] = {}
    facts: dict[str, dict[str, Any]] = {}
    for name, length in LENGTHS.items():
        service = Rehearsal(address_of(options), length, settings.tokenizer)
        bills[name], facts[name] = _rehearse(settings, prices, service, pages, batched="batch" in options)
    usd = _low_expected_high([total(lines) for lines in bills.values()])
    if options.get("json"):
        show_json({"bills": bills, **facts["usual"], "total_usd": usd})
    else:
        show("\n".join([_table(bills, usd), *_lines(facts["usual"])]))
    for warning in date_warnings(settings, prices, options, date.today()):
        say(f"warning: {warning}")
    return 0


def _rehearse(
    settings: Settings, prices: Prices, service: Rehearsal, pages: Pages, *, batched: bool
) -> tuple[list[Line], dict[str, Any]]:
    """Take a run through all its steps with an inventing service; return its bill and the other facts of a plan."""
    with TemporaryDirectory(prefix="minirag-plan-") as folder:
        run = Run(Path(folder), settings, service, workers=1, prices=prices, sync=False)
        run.corpus.pages = pages
        run.fewest_examples = 0  # invented answers are more alike than real ones, so more of them are dropped
        with run.log:
            _ = run.scores
            tags = {"batch": "rehearsed"} if batched else {}
            lines = bill((replace(exchange, tags={**exchange.tags, **tags}) for exchange in run.log), prices)
            file = run.training_file
        epochs = settings.epochs or default_epochs(len(file.kept))
        if settings.tuned is None:
            tokens = file.tokens * epochs
            usd = training_cost(prices, settings.student, tokens)
            lines.append(Line("train", "tuned", settings.student, calls=1, training_tokens=tokens, usd=usd))
        eval_questions = run.corpus.of_split("eval")
        questions, eval_pages = len(eval_questions), len(run.corpus.pages_of(eval_questions))
        detectable = None
        if eval_pages:
            per_page = max(1.0, questions / eval_pages)
            detectable = plan_detectable(questions, per_page, spread=SPREAD, correlation=CORRELATION)
        return lines, {
            "training_examples": len(file.kept),
            "tokens_an_epoch": file.tokens,
            "epochs": epochs,
            "eval_questions": questions,
            "eval_pages": eval_pages,
            "prices_of": prices.date,
            "detectable": detectable,
        }


def _low_expected_high(usd: Sequence[float | None]) -> dict[str, float | None]:
    """Return the least, the usual and the most of what the rehearsals cost; None if a price is not known."""
    amounts = [amount for amount in usd if amount is not None]
    if len(amounts) < len(usd):
        return dict.fromkeys(("low", "expected", "high"))
    return {"low": min(amounts), "expected": amounts[1], "high": max(amounts)}


def _table(bills: Mapping[str, Sequence[Line]], usd: Mapping[str, float | None]) -> str:
    """Return the three bills as one table of at most 79 columns."""
    by_key = [{(line.stage, line.arm, line.model): line for line in lines} for lines in bills.values()]
    rows = []
    for key in sorted({key for lines in by_key for key in lines}):
        lines = [line.get(key, Line(*key)) for line in by_key]
        usual = lines[1]
        tokens = usual.input_tokens + usual.cached_tokens + usual.written_tokens + usual.training_tokens
        money = _low_expected_high([line.usd for line in lines])
        counts = [f"{count:,}" for count in (usual.calls, tokens, usual.output_tokens)]
        rows.append([usual.stage, usual.arm, *counts, *map(dollars, money.values())])
    calls = sum(line.calls for line in bills["usual"])
    rows.append(["total", "", f"{calls:,}", "", "", *map(dollars, usd.values())])
    return table(["stage", "arm", "calls", "tokens in", "tokens out", "low", "expected", "high"], rows, 2)


def _lines(facts: Mapping[str, Any]) -> list[str]:
    """Return what stands below the table: the training file, and what the evaluation could show."""
    examples, pages, detectable = facts["training_examples"], facts["eval_pages"], facts["detectable"]
    lines = [
        "US dollars: the least and the most of short, usual and long answers;",
        f"prices of {facts['prices_of']}.",
        f"training: about {examples} examples, {facts['tokens_an_epoch']:,} tokens an epoch, {facts['epochs']} epochs",
    ]
    if examples < FEWEST_EXAMPLES:
        lines.append(f"warning: a job needs at least {FEWEST_EXAMPLES} examples; ask for more --train-questions.")
    difference = f"no difference: a verdict takes {FEWEST_CLUSTERS} pages"
    if detectable is not None:
        difference = f"a difference of about {number(detectable, 2)}"
    evaluated = f"{facts['eval_questions']} questions from {pages} page{'' if pages == 1 else 's'}"
    return [*lines, f"evaluation: {evaluated} can show {difference}"]
