"""What a run will cost and has cost: `minirag plan DOC…` (or `run --dry-run`), and `minirag costs DIR`.

To plan, the run itself is rehearsed over the real documents, with a service that invents replies: once with short, once
with usual and once with long ones. So the calls, windows, refine steps and training examples are those of a run.
"""

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from minirag.cli.connect import address_of
from minirag.cli.settings import check_pages, check_settings, completed, notes, prices_of, settings_of
from minirag.cli.terminal import number, say, show, show_json, table, wrapped
from minirag.corpus import Settings
from minirag.costs import Line, Prices, bill, dollars, load_prices, run_costs, total, training_cost
from minirag.costs.rehearsal import Rehearsal
from minirag.documents import Pages, load
from minirag.errors import InputError
from minirag.message_log import Exchange, MessageLog
from minirag.metrics.comparison import ARMS, FEWEST_CLUSTERS
from minirag.pipeline import Run
from minirag.statistics.power import plan_detectable
from minirag.text import counted
from minirag.training import FEWEST_EXAMPLES, default_epochs

LENGTHS = {"short": 0.5, "usual": 1.0, "long": 2.0}
"""Length of the invented answers, as a multiple of the usual one."""
MONEY = ("low", "expected", "high")
SPREAD = 0.26
"""Assumed standard deviation of a question's difference in faithfulness between two arms: that of the article."""
CORRELATION = 0.3
"""Assumed correlation between the differences of two questions about one page."""


def plan(options: Mapping[str, Any]) -> int:
    """Rehearse the run and print what it would take; nothing is sent, but documents may be downloaded."""
    options = completed(options)
    settings = settings_of(options, options.get("out", Path()))
    check_settings(settings, tuned_elsewhere="tuned_base_url" in options)
    prices, pages = prices_of(settings), load(*settings.documents)
    check_pages(settings, pages)
    bills: dict[str, list[Line]] = {}
    facts: dict[str, dict[str, Any]] = {}
    for name, length in LENGTHS.items():
        service = Rehearsal(address_of(options), length, settings.tokenizer)
        bills[name], facts[name] = _rehearse(settings, prices, service, pages, batched="batch" in options)
    usd = _range([total(lines) for lines in bills.values()])
    if options.get("json"):
        show_json({"bills": bills, **facts["usual"], "total_usd": dict(zip(MONEY, usd, strict=True))})
    else:
        show("\n".join([_plan_table(bills, usd), *_plan_lines(facts["usual"])]))
    for note in notes(settings, prices, options, date.today()):
        say(note)
    most = usd[-1]
    if most is None:
        say("warning: a price is not known: name it in a file for --prices, or the role of a free model with --free.")
    elif settings.max_cost is not None and most > settings.max_cost:
        say(f"warning: this run can cost {dollars(most)}, and --max-cost ends it at {dollars(settings.max_cost)}.")
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
    questions = run.corpus.of_split("eval")
    eval_pages = run.corpus.pages_of(questions)
    per_page = max(1.0, len(questions) / max(1, len(eval_pages)))
    return lines, {
        "training_examples": len(file.kept),
        "tokens_an_epoch": file.tokens,
        "epochs": epochs,
        "eval_questions": len(questions),
        "eval_pages": len(eval_pages),
        "prices_of": prices.date,
        "detectable": plan_detectable(len(questions), per_page, spread=SPREAD, correlation=CORRELATION),
    }


def _range(usd: Sequence[float | None]) -> list[float | None]:
    """Return the least, the usual and the most of what the rehearsals cost; None if a price is not known."""
    amounts = [amount for amount in usd if amount is not None]
    return [min(amounts), amounts[1], max(amounts)] if len(amounts) == len(usd) else [None] * len(MONEY)


def _plan_table(bills: Mapping[str, Sequence[Line]], usd: Sequence[float | None]) -> str:
    """Return the three bills as one table of at most 79 columns."""
    by_key = [{(line.stage, line.arm, line.model): line for line in lines} for lines in bills.values()]
    rows = []
    for key in sorted({key for lines in by_key for key in lines}):
        lines = [line.get(key, Line(*key)) for line in by_key]
        usual = lines[1]
        tokens = usual.input_tokens + usual.cached_tokens + usual.written_tokens + usual.training_tokens
        counts = [f"{count:,}" for count in (usual.calls, tokens, usual.output_tokens)]
        rows.append([usual.stage, usual.arm, *counts, *map(dollars, _range([line.usd for line in lines]))])
    calls = sum(line.calls for line in bills["usual"])
    rows.append(["total", "", f"{calls:,}", "", "", *map(dollars, usd)])
    return table(["stage", "arm", "calls", "tokens in", "tokens out", *MONEY], rows, 2)


def _plan_lines(facts: Mapping[str, Any]) -> list[str]:
    """Return what stands below the table: the training file, and what the evaluation could show."""
    examples, detectable = facts["training_examples"], facts["detectable"]
    lines = [
        "US dollars: the least and the most of short, usual and long answers;",
        f"prices of {facts['prices_of']}.",
        f"training: about {examples} examples, {facts['tokens_an_epoch']:,} tokens an epoch, {facts['epochs']} epochs",
    ]
    if examples < FEWEST_EXAMPLES:
        lines.append(f"warning: a job needs at least {FEWEST_EXAMPLES} examples; ask for more --train-questions.")
    difference = f"a difference of about {number(detectable, 2)}"
    if detectable is None:
        difference = f"no difference: a verdict takes {FEWEST_CLUSTERS} pages"
    evaluated = f"{facts['eval_questions']} questions from {counted(facts['eval_pages'], 'page')}"
    return [*lines, f"evaluation: {evaluated} can show {difference}"]


# -- costs -------------------------------------------------------------------------------------------------


def costs(options: Mapping[str, Any]) -> int:
    """Print what `costs.json` holds, computed from the log alone."""
    folder: Path = options["folder"]
    if not (folder / "messages.jsonl").is_file():
        raise InputError(f"There is no log in {folder} (messages.jsonl); name the folder of a run.")
    log = MessageLog(folder / "messages.jsonl")
    # the last call for each arm, eval question and draft: all that an answer takes
    answers: dict[tuple[str, str], dict[int, Exchange]] = {}
    for exchange in log:
        tags = exchange.tags
        if exchange.stage in {"draft", "refine"} and tags.get("split") == "eval" and exchange.error is None:
            answers.setdefault((str(tags.get("arm")), str(tags.get("question"))), {})[tags.get("draft", 1)] = exchange
    arms = [arm for arm in ARMS if arm in {of for of, _ in answers}]
    calls = {arm: [list(drafts.values()) for (of, _), drafts in answers.items() if of == arm] for arm in arms}
    settings = None
    with suppress(InputError):  # a log alone has no settings
        settings = settings_of({}, folder)
    source = options.get("prices")
    prices = load_prices(source) if settings is None else prices_of(settings, source)
    trained = next(((line.model, line.training_tokens) for line in bill(log, prices) if line.stage == "train"), None)
    result = run_costs(log, prices, calls, trained)
    show_json(result) if options.get("json") else show("\n".join(_bill_lines(result)))
    return 0


def _bill_lines(result: Mapping[str, Any]) -> list[str]:
    """Return the bill as a table of at most 79 columns, and below it what an answer costs."""
    rows = []
    for line in result["lines"]:
        failed = f" ({line['failed']:,} failed)" if line["failed"] else ""
        tokens = sum(line[f"{kind}_tokens"] for kind in ("input", "cached", "written", "training"))
        counts = [f"{line['calls']:,}{failed}", f"{tokens:,}", f"{line['output_tokens']:,}"]
        rows.append([line["stage"], line["arm"], line["model"][:18], *counts, dollars(line["usd"])])
    calls = sum(line["calls"] for line in result["lines"])
    rows.append(["total", "", "", f"{calls:,}", "", "", dollars(result["total_usd"])])
    lines = [f"US dollars by prices of {result['prices_of']}", ""]
    lines += [table(["stage", "arm", "model", "calls", "in", "out", "US dollars"], rows, 3), ""]
    if saved := result["cache_saved_usd"]:
        lines.append(f"Prompt caches saved {dollars(saved)} of it.")
    if each := ", ".join(f"{arm} {dollars(usd)}" for arm, usd in result["usd_per_question"].items()):
        lines.append(f"One answer costs: {each}.")
    if result["elsewhere"]:
        head = ["the same tokens with", "teacher", "untrained", "tuned", "training", "break-even"]
        rows = []
        for trio in result["elsewhere"]:
            each, questions = trio["usd_per_question"], trio["break_even_questions"]
            amounts = [None if each.get(arm) is None else 1000 * each[arm] for arm in ("teacher", "base", "tuned")]
            break_even = f"{math.ceil(questions):,}" if isinstance(questions, float) else str(questions or "–")
            money = map(dollars, [*amounts, trio["training_usd"]])
            rows.append([f"{trio['teacher']}, {trio['student']}", *money, break_even])
        lines += ["", "US dollars for 1,000 questions, and break-even in questions:", table(head, rows)]
        lines += [*(line for trio in result["elsewhere"] for line in trio["in_words"]), ""]
    return [*lines, wrapped(result["payback"])]
